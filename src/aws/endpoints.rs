//! Where the services are for one profile, by the variables and its own settings (SDKs and Tools reference,
//! "Service-specific endpoints"). No profile is ever spoken for at the address of another.

use crate::aws_files::{Profile, Profiles};
use crate::env::Env;

/// Addresses in place of AWS's own, and which kind of AWS's own is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub sts: Option<String>,
    pub iam: Option<String>,
    pub signin: Option<String>,
    pub use_fips: bool,
    pub use_dual_stack: bool,
}

impl Endpoints {
    /// The variable of the service, the variable for all, the profile's section of services, and the
    /// profile's own address, in this order; what is set to nothing counts as not set.
    pub fn of(env: &Env, profile: Option<&Profile>, all: &Profiles) -> Self {
        let own = |key: &str| profile.and_then(|it| it.get(key)).filter(|it| !it.is_empty());
        let is_on = |variable: &str, key: &str| {
            env.var(variable).or_else(|| own(key)).is_some_and(|it| it.eq_ignore_ascii_case("true"))
        };
        let (fips, dual_stack) = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT");
        let endpoints = Endpoints {
            use_fips: is_on(fips, "use_fips_endpoint"),
            use_dual_stack: is_on(dual_stack, "use_dualstack_endpoint"),
            ..Endpoints::default()
        };
        if is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls") {
            return endpoints;
        }
        let services = own("services").and_then(|name| all.services(name));
        let address = |service: &str| {
            let variable = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase());
            env.var(&variable)
                .or_else(|| env.var("AWS_ENDPOINT_URL"))
                .or_else(|| services.and_then(|section| nested(section.get(service)?)))
                .or_else(|| own("endpoint_url"))
                .map(str::to_owned)
        };
        Endpoints {
            sts: address("sts"),
            iam: address("iam"),
            signin: address("signin"),
            ..endpoints
        }
    }
}

/// The address in the lines below a service's name.
fn nested(lines: &str) -> Option<&str> {
    lines.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        (key.trim() == "endpoint_url" && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws_files::AwsFiles;
    use crate::aws_files::text::{AwsFile, FileKind};

    #[test]
    fn each_profile_has_addresses_of_its_own() {
        let config = "[default]\nendpoint_url = http://one\n\
                      [profile p]\nservices = s\nendpoint_url = http://two\nuse_fips_endpoint = true\n\
                      [profile q]\nregion = x\n[profile r]\nendpoint_url =\n\
                      [services s]\nsts =\n  endpoint_url = http://three\n";
        let all = AwsFiles {
            config: AwsFile::parse(FileKind::Config, config.as_bytes()),
            ..AwsFiles::default()
        }
        .profiles();
        let of = |name| Endpoints::of(&Env::for_tests(&[]), all.find(name), &all);
        let address = |text: &str| Some(text.to_owned());
        assert_eq!(of("default").sts, address("http://one"));
        assert_eq!((of("p").sts, of("p").iam), (address("http://three"), address("http://two")));
        assert!(of("p").use_fips && !of("q").use_fips);
        assert_eq!((of("q").sts, of("r").sts), (None, None));
    }
}
