//! What a profile's settings amount to before anything is resolved: a kind of credentials, what
//! they depend on, and what is wrong with them. Plain values in and out; reads nothing.

use crate::aws_files::{Profile, Profiles, excerpt};
use crate::diagnostic::Diagnostic;
use crate::error::did_you_mean;

/// How credentials are configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Static,
    Session,
    Sso,
    /// With the profile or the credential source that assumes the role.
    AssumeRole(Option<String>),
    WebIdentity,
    CredentialProcess,
    Login,
    Container,
    Instance,
    /// A profile that lacks something, or has settings only.
    Incomplete,
}

impl Kind {
    /// As `--output json` names it.
    pub fn name(&self) -> &'static str {
        self.words().0
    }

    /// A few words for a table.
    pub fn described(&self) -> String {
        match self {
            Kind::AssumeRole(Some(source)) => format!("role from {source}"),
            _ => self.words().1.to_owned(),
        }
    }

    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Kind::Static => ("static", "access key"),
            Kind::Session => ("session", "temporary keys"),
            Kind::Sso => ("sso", "IAM Identity C."),
            Kind::AssumeRole(_) => ("assume_role", "role"),
            Kind::WebIdentity => ("web_identity", "web identity"),
            Kind::CredentialProcess => ("credential_process", "external program"),
            Kind::Login => ("login", "browser sign-in"),
            Kind::Container => ("container", "container role"),
            Kind::Instance => ("instance", "instance role"),
            Kind::Incomplete => ("incomplete", "incomplete"),
        }
    }
}

/// What a profile's keys amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    pub kind: Kind,
    /// The sign-in that it depends on: its own, or that of the last profile in its role chain.
    pub signs_in: Option<SignIn>,
    /// The MFA device whose code the role needs: its serial number or ARN.
    pub mfa_serial: Option<String>,
    /// Why it cannot work.
    pub defect: Option<Diagnostic>,
}

/// A sign-in that a person repeats now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub profile: String,
    /// With IAM Identity Center, rather than with `aws login`.
    pub sso: bool,
}

const INCOMPLETE: &str = "incomplete";

const SSO_KEYS: [&str; 5] =
    ["sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"];

/// The key that names a browser sign-in.
pub const LOGIN_SESSION: &str = "login_session";

/// The keys that make a profile one of credentials, rather than of settings such as a region, and
/// what each stands for.
pub const CREDENTIAL_KEYS: [(&str, &str); 10] = [
    ("aws_access_key_id", "an access key"),
    ("aws_secret_access_key", "an access key"),
    ("role_arn", "a role"),
    ("web_identity_token_file", "a web identity"),
    ("sso_session", "an IAM Identity Center session"),
    ("sso_start_url", "an IAM Identity Center session"),
    ("sso_account_id", "an IAM Identity Center session"),
    ("sso_role_name", "an IAM Identity Center session"),
    ("credential_process", "an external program"),
    (LOGIN_SESSION, "a browser sign-in"),
];

pub fn has_credentials(profile: &Profile) -> bool {
    CREDENTIAL_KEYS.iter().any(|(key, _)| value(profile, key).is_some())
}

/// A key that is set but empty counts as not set.
pub fn value<'p>(profile: &'p Profile, key: &str) -> Option<&'p str> {
    profile.get(key).filter(|value| !value.is_empty())
}

/// In the order in which the Rust SDK decides (aws-config, `profile/credentials/repr.rs`).
pub fn configured(profile: &Profile, all: &Profiles) -> Configured {
    if is_chained(profile) { of_role(profile, all) } else { base(profile, all) }
}

/// Whether it is a role that other credentials assume.
fn is_chained(profile: &Profile) -> bool {
    value(profile, "role_arn").is_some() && value(profile, "web_identity_token_file").is_none()
}

fn has_keys(profile: &Profile) -> bool {
    ["aws_access_key_id", "aws_secret_access_key"].iter().all(|key| value(profile, key).is_some())
}

fn sound(kind: Kind) -> Configured {
    Configured { kind, signs_in: None, mfa_serial: None, defect: None }
}

fn incomplete(what: &str, hint: &str) -> Configured {
    let defect = Some(Diagnostic::new(INCOMPLETE, what, hint));
    Configured { defect, ..sound(Kind::Incomplete) }
}

/// Credentials that depend on no other profile.
fn base(profile: &Profile, all: &Profiles) -> Configured {
    let has = |key: &str| value(profile, key).is_some();
    let signs_in = |sso| Some(SignIn { profile: profile.name.clone(), sso });
    let add_role = "add the role_arn to assume";
    if has("credential_source") {
        return incomplete("credential_source without role_arn", add_role);
    }
    if has("web_identity_token_file") {
        if has("role_arn") {
            return sound(Kind::WebIdentity);
        }
        return incomplete("web_identity_token_file without role_arn", add_role);
    }
    if SSO_KEYS.iter().any(|key| has(key)) {
        let defect = check_sso(profile, all).err();
        if defect.as_ref().is_some_and(|defect| defect.code == INCOMPLETE) {
            return Configured { defect, ..sound(Kind::Incomplete) };
        }
        return Configured { signs_in: signs_in(true), defect, ..sound(Kind::Sso) };
    }
    if has(LOGIN_SESSION) {
        return Configured { signs_in: signs_in(false), ..sound(Kind::Login) };
    }
    if has("credential_process") {
        return sound(Kind::CredentialProcess);
    }
    let configure = format!("aws configure --profile {}", profile.name);
    match (has("aws_access_key_id"), has("aws_secret_access_key")) {
        (true, true) if has("aws_session_token") => sound(Kind::Session),
        (true, true) => sound(Kind::Static),
        (true, false) => incomplete("aws_access_key_id without aws_secret_access_key", &configure),
        (false, true) => incomplete("aws_secret_access_key without aws_access_key_id", &configure),
        (false, false) => {
            let hint = "settings only; tools need credentials from elsewhere";
            incomplete("no credentials in it", hint)
        }
    }
}

fn check_sso(profile: &Profile, all: &Profiles) -> Result<(), Diagnostic> {
    let incomplete = |what: String| {
        let hint = format!("aws configure sso --profile {}", profile.name);
        Err(Diagnostic::new(INCOMPLETE, what, hint))
    };
    let mut session = profile;
    if let Some(name) = value(profile, "sso_session") {
        session = all.sso_session(name).ok_or_else(|| {
            let names = all.sso_sessions.iter().map(|session| session.name.as_str());
            let hint = did_you_mean(name, names, "aws configure sso-session");
            let message = format!("there is no [sso-session {name}]");
            Diagnostic::new("unknown_sso_session", message, hint)
        })?;
    }
    for key in ["sso_start_url", "sso_region"] {
        if !std::ptr::eq(session, profile) && value(profile, key).is_some() {
            return incomplete(format!("{key} stands beside sso_session, which has its own"));
        }
        if value(session, key).is_none() {
            return incomplete(format!("{key} is missing"));
        }
    }
    match ["sso_account_id", "sso_role_name"].iter().find(|key| value(profile, key).is_none()) {
        Some(missing) => incomplete(format!("{missing} is missing")),
        None => Ok(()),
    }
}

/// A role, and the profiles that lead to the credentials that assume it.
fn of_role(profile: &Profile, all: &Profiles) -> Configured {
    let source = value(profile, "source_profile");
    let named = value(profile, "credential_source");
    // A machine that assumes a role by itself has no device to show a code.
    let can_ask = source.is_some() || named == Some("Environment");
    let mfa_serial = value(profile, "mfa_serial").filter(|_| can_ask).map(str::to_owned);
    let kind = Kind::AssumeRole(source.or(named).map(str::to_owned));
    let role = Configured { mfa_serial, ..sound(kind) };
    match (source, named) {
        (Some(_), Some(_)) => incomplete(
            "both source_profile and credential_source",
            "keep the one whose credentials assume the role",
        ),
        (None, None) => incomplete(
            "role_arn without source_profile or credential_source",
            "add the source_profile whose credentials assume the role",
        ),
        (None, Some(named)) => Configured { defect: unknown_source(named), ..role },
        (Some(_), None) => match last_of_chain(profile, all) {
            Err(defect) => Configured { defect: Some(defect), ..role },
            Ok(last) => {
                let names_source =
                    value(last, "source_profile").is_none() && value(last, "role_arn").is_some();
                let is_role = names_source && !has_keys(last);
                let origin = if is_role { of_role(last, all) } else { base(last, all) };
                let defect = origin.defect.map(|defect| {
                    let message = format!("its source `{}`: {}", last.name, defect.message);
                    Diagnostic { message, ..defect }
                });
                Configured { signs_in: origin.signs_in, defect, ..role }
            }
        },
    }
}

fn unknown_source(named: &str) -> Option<Diagnostic> {
    const KNOWN: [&str; 3] = ["Environment", "Ec2InstanceMetadata", "EcsContainer"];
    (!KNOWN.contains(&named)).then(|| {
        let otherwise = format!("use {}", KNOWN.join(", "));
        let hint = did_you_mean(named, KNOWN.into_iter(), &otherwise);
        let message = format!("there is no credential_source `{named}`");
        Diagnostic::new("unknown_credential_source", message, hint)
    })
}

/// Which profiles may be meant by a name that none has.
pub fn near_profile(name: &str, all: &Profiles, otherwise: &str) -> String {
    let names = all.profiles.iter().map(|profile| profile.name.as_str());
    did_you_mean(name, names, otherwise)
}

/// The profile at the end of a role chain: one with its own credentials, or with a named source.
fn last_of_chain<'p>(first: &'p Profile, all: &'p Profiles) -> Result<&'p Profile, Diagnostic> {
    let mut visited = vec![first.name.as_str()];
    let mut profile = first;
    loop {
        // After the first profile, its own keys come before its source, which may be itself.
        let source = value(profile, "source_profile")
            .filter(|_| is_chained(profile) && (visited.len() == 1 || !has_keys(profile)))
            .filter(|source| *source != profile.name);
        let Some(source) = source else { return Ok(profile) };
        let is_visited = visited.contains(&source);
        visited.push(source);
        if is_visited {
            let message = format!("its sources form a circle: {}", visited.join(" → "));
            let hint = "give one of them credentials of its own";
            return Err(Diagnostic::new("role_loop", message, hint));
        }
        profile = all.find(source).ok_or_else(|| {
            let message = format!("there is no source_profile `{source}`");
            let hint = near_profile(source, all, "add that profile, or name another one");
            Diagnostic::new("unknown_source_profile", message, hint)
        })?;
    }
}

/// The profile whose external program the credentials come from, and its command.
pub fn program_of<'p>(profile: &'p Profile, all: &'p Profiles) -> Option<(&'p str, &'p str)> {
    let last = last_of_chain(profile, all).ok()?;
    let is_program = base(last, all).kind == Kind::CredentialProcess;
    let command = value(last, "credential_process").filter(|_| is_program)?;
    Some((&last.name, command))
}

/// All that the SDK has to read to resolve the profile, and nothing else: it would refuse both files
/// for a broken line elsewhere.
pub fn sources_of(profile: &Profile, all: &Profiles) -> String {
    let mut chain = vec![profile];
    while let Some(source) = value(chain[chain.len() - 1], "source_profile")
        && let Some(next) = all.find(source)
        && !chain.iter().any(|known| known.name == next.name)
    {
        chain.push(next);
    }
    let sessions = chain.iter().filter_map(|it| all.sso_session(value(it, "sso_session")?));
    excerpt(chain.iter().copied(), sessions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws_files::AwsFiles;
    use crate::aws_files::text::{AwsFile, FileKind};

    fn profiles(config: &str) -> Profiles {
        let files = AwsFiles {
            config: AwsFile::parse(FileKind::Config, config.as_bytes()),
            credentials: AwsFile::parse(FileKind::Credentials, b""),
        };
        files.profiles()
    }

    fn of(config: &str) -> (Kind, Option<&'static str>) {
        let all = profiles(&format!("[default]\n{config}"));
        let configured = configured(all.find("default").expect("there"), &all);
        (configured.kind, configured.defect.map(|defect| defect.code))
    }

    #[test]
    fn each_kind_is_known_by_its_keys() {
        let role = |source: &str| Kind::AssumeRole(Some(source.to_owned()));
        let keys = "aws_access_key_id = AKIA\naws_secret_access_key = s\n";
        let sso = "sso_account_id = 1\nsso_role_name = r\n";
        let old_sso = "sso_start_url = u\nsso_region = r\n";
        let cases = [
            (keys.to_owned(), Kind::Static),
            (format!("{keys}aws_session_token = t\n"), Kind::Session),
            (format!("{sso}{old_sso}"), Kind::Sso),
            (format!("{sso}sso_session = s\n[sso-session s]\n{old_sso}"), Kind::Sso),
            ("login_session = arn\n".to_owned(), Kind::Login),
            ("credential_process = x\n".to_owned(), Kind::CredentialProcess),
            ("role_arn = a\nweb_identity_token_file = f\n".to_owned(), Kind::WebIdentity),
            ("role_arn = a\ncredential_source = Environment\n".to_owned(), role("Environment")),
            (format!("role_arn = a\nsource_profile = b\n[profile b]\n{keys}"), role("b")),
            (format!("role_arn = a\nsource_profile = default\n{keys}"), role("default")),
            (
                format!(
                    "role_arn = a\nsource_profile = b\n[profile b]\nrole_arn = b\nsource_profile = default\n{keys}"
                ),
                role("b"),
            ),
        ];
        for (config, kind) in cases {
            assert_eq!(of(&config), (kind, None), "{config}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_code_of_its_own() {
        let cases = [
            ("region = x\n", "incomplete"),
            ("aws_access_key_id = AKIA\n", "incomplete"),
            ("aws_access_key_id =\naws_secret_access_key = s\n", "incomplete"),
            ("role_arn = a\n", "incomplete"),
            ("sso_start_url = u\nsso_region = r\nsso_role_name = r\n", "incomplete"),
            ("sso_session = s\nsso_account_id = 1\nsso_role_name = r\n", "unknown_sso_session"),
            ("role_arn = a\nsource_profile = b\n", "unknown_source_profile"),
            ("role_arn = a\ncredential_source = Moon\n", "unknown_credential_source"),
            (
                "role_arn = a\nsource_profile = b\n[profile b]\nrole_arn = b\nsource_profile = c\n[profile c]\nrole_arn = c\nsource_profile = b\n",
                "role_loop",
            ),
            ("role_arn = a\nsource_profile = b\n[profile b]\nregion = x\n", "incomplete"),
        ];
        for (config, code) in cases {
            assert_eq!(of(config).1, Some(code), "{config}");
        }
    }

    #[test]
    fn a_role_rests_on_the_sign_in_at_its_end() {
        let all = profiles(
            "[profile a]\nrole_arn = a\nsource_profile = b\n[profile b]\nrole_arn = b\nsource_profile = c\n\
             [profile c]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n\
             [sso-session s]\nsso_start_url = u\nsso_region = r\n[profile d]\nx = 1\n",
        );
        let a = all.find("a").expect("there");
        let sign_in = configured(a, &all).signs_in.expect("by Identity Center");
        assert_eq!((sign_in.profile.as_str(), sign_in.sso), ("c", true));
        let text = sources_of(a, &all);
        assert!(!text.contains("[profile d]"));
        let reread = profiles(&text);
        assert!(reread.profiles == all.profiles[..3]);
        assert!(reread.sso_sessions == all.sso_sessions);
    }
}
