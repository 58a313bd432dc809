//! What will trouble the owner of credentials one day, though they may work now. Looks at what was
//! found and at the `~/.aws` files as they were read; asks nobody.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;

use crate::aws::configured::configured;
use crate::aws::found::{Found, Source, State, Status, Warning};
use crate::aws::kind::Kind;
use crate::aws::profiles::selected_profile;
use crate::env::Env;
use crate::private_file;
use crate::shared_config::text::{FileKind, Problem, Section};
use crate::shared_config::{Locations, Profiles, SharedConfig};

/// AWS advises to replace keys that are older ("Rotate access keys", IAM user guide).
const OLD_DAYS: i64 = 90;

/// What was read, and when.
pub struct Scene<'a> {
    pub env: &'a Env,
    pub files: &'a SharedConfig,
    pub locations: Option<&'a Locations>,
    pub now: Timestamp,
    /// How many keys IAM was not asked about, for being too many.
    pub keys_not_looked_at: usize,
}

/// The warnings of each of the found ones, in their order, and those of the files themselves.
pub fn warnings(found: &[Found], scene: &Scene) -> (Vec<Vec<Warning>>, Vec<Warning>) {
    let profiles = scene.files.profiles();
    let mut of_files = Vec::new();
    let mut of_profiles: HashMap<String, Vec<Warning>> = HashMap::new();
    if let Some(locations) = scene.locations {
        for kind in FileKind::BOTH {
            let file = scene.files.file(kind);
            for problem in file.problems() {
                let warning = about(problem, locations.path(kind));
                match file.section_of(problem.line) {
                    _ if problem.code == "byte_order_mark" => of_files.push(warning),
                    Some(Section::Profile(name)) if profiles.find(name).is_some() => {
                        of_profiles.entry(name.clone()).or_default().push(warning);
                    }
                    _ => of_files.push(warning),
                }
            }
        }
    }
    of_files.extend(default_profile(scene.env));
    of_files.extend(keys_not_looked_at(scene.keys_not_looked_at));
    let loose = loose_files(scene, &profiles);
    let of_found = found
        .iter()
        .map(|found| {
            let mut all = Vec::new();
            if let Some(name) = found.source.profile_name() {
                all.extend(of_profiles.remove(name).unwrap_or_default());
                all.extend(of_profile(name, &profiles));
                all.extend(shadowed(name, scene.env));
                let holds_keys = profiles
                    .find(name)
                    .and_then(|profile| profile.file_of("aws_secret_access_key"));
                let of_its_file = loose.iter().filter(|(kind, _)| holds_keys == Some(*kind));
                all.extend(of_its_file.map(|(_, warning)| warning.clone()));
            }
            all.extend(of_identity(found));
            all.extend(of_keys(found, scene.now));
            all
        })
        .collect();
    (of_found, of_files)
}

fn warning(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Warning {
    Warning { code, message: message.into(), hint: hint.into() }
}

fn about(problem: &Problem, path: &Path) -> Warning {
    let hint = match problem.code {
        "byte_order_mark" => "save the file as UTF-8 without a byte order mark",
        "not_utf8" => "save the file as UTF-8",
        "unreadable" => "make the file readable for you",
        "duplicate_section" | "section_twice" => "put the keys of both into one section",
        "duplicate_key" => "keep the one that is meant; the SDKs take the last one",
        "syntax" => "fix or remove the line; the AWS SDKs refuse the whole file for it",
        _ => "change the line as it says, or remove it",
    };
    warning(problem.code, problem.described(path), hint)
}

/// What the profile's own keys are about.
fn of_profile(name: &str, profiles: &Profiles) -> Vec<Warning> {
    let Some(profile) = profiles.find(name) else {
        return Vec::new();
    };
    let configured = configured(profile, profiles);
    let mut all = Vec::new();
    if let Some(defect) = &configured.defect
        && defect.code != "incomplete"
    {
        all.push(warning(defect.code, &defect.what, &defect.hint));
    }
    let has_keys = profile.get("aws_secret_access_key").is_some();
    // botocore takes keys of the credentials file after an Identity Center sign-in and before a
    // browser sign-in (`credentials.py`, ProfileProviderBuilder); the SDK for Go takes them first of
    // all (`resolve_credentials.go`), the SDK for Rust last (`repr.rs`).
    let disagreement = match configured.kind {
        Kind::Login => {
            Some(("login_session", "the AWS CLI takes the keys, the AWS SDK for Rust the sign-in"))
        }
        Kind::Sso => Some(("the sso_ keys", "Terraform takes the keys, the AWS CLI the sign-in")),
        _ => None,
    };
    if let (true, Some((other, who))) = (has_keys, disagreement) {
        all.push(warning(
            "static_keys_beside_sign_in",
            format!("an access key stands beside {other}: {who}"),
            format!("remove one of the two from the profile `{name}`"),
        ));
    }
    all
}

/// Variables with keys come before the selected profile: in the AWS CLI unless `--profile` names one
/// (botocore, `create_credential_resolver`), and in most SDKs. Where AWS_PROFILE is set, the SDK for
/// JavaScript takes the profile instead (`credential-provider-node`, `defaultProvider`).
fn shadowed(name: &str, env: &Env) -> Option<Warning> {
    let id = env.var("AWS_ACCESS_KEY_ID")?;
    let others = match env.var("AWS_PROFILE") {
        Some(_) => "; the AWS SDK for JavaScript follows AWS_PROFILE",
        None => "",
    };
    (name == selected_profile(env)).then(|| {
        warning(
            "environment_shadows_profile",
            format!(
                "the AWS CLI and most tools use {id} from AWS_ACCESS_KEY_ID instead, unless told --profile {name}{others}"
            ),
            "unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
        )
    })
}

/// botocore looks at AWS_DEFAULT_PROFILE before AWS_PROFILE (`configprovider.py`), the SDK for Go after
/// it, and the others not at all.
fn default_profile(env: &Env) -> Option<Warning> {
    let other = env.var("AWS_DEFAULT_PROFILE")?;
    let selected = selected_profile(env);
    (other != selected).then(|| {
        warning(
            "default_profile_variable",
            format!(
                "the AWS CLI takes the profile `{other}` from AWS_DEFAULT_PROFILE, and most AWS SDKs take `{selected}`"
            ),
            "unset AWS_DEFAULT_PROFILE, and name the profile with AWS_PROFILE",
        )
    })
}

/// Where there are too many keys to ask IAM about them.
fn keys_not_looked_at(count: usize) -> Option<Warning> {
    (count > 0).then(|| {
        warning(
            "keys_not_looked_at",
            format!("the age of {count} keys was not looked at, nor whether their users have two"),
            "name fewer profiles, with --profile",
        )
    })
}

fn of_identity(found: &Found) -> Vec<Warning> {
    let mut all = Vec::new();
    let lasting = found.kind == Kind::Static;
    if lasting && found.identity().is_some_and(|identity| identity.is_root()) {
        let with = match &found.source {
            Source::Profile(name) => format!(" --profile {name}"),
            _ => String::new(),
        };
        all.push(warning(
            "root_key",
            "this is a key of the root user: unrestricted, and hard to contain",
            format!(
                "cloudcred setup --mode iam-user{with}; then delete the root key in the console"
            ),
        ));
    }
    if let State::Fails { status: Status::Expired, what, hint } = &found.state {
        all.push(warning("expired", what, hint));
    }
    all
}

fn of_keys(found: &Found, now: Timestamp) -> Vec<Warning> {
    let mut all = Vec::new();
    let own = found.keys.iter().find(|key| Some(&key.id) == found.access_key_id.as_ref());
    let age = own.and_then(|key| key.created_at);
    let days = age.map_or(0, |created| now.duration_since(created).as_hours() / 24);
    if days > OLD_DAYS {
        all.push(warning(
            "old_key",
            format!("the key is {days} days old"),
            format!("replace keys that are older than {OLD_DAYS} days"),
        ));
    }
    let active: Vec<&str> =
        found.keys.iter().filter(|key| key.active).map(|key| key.id.as_str()).collect();
    if active.len() > 1 {
        all.push(warning(
            "two_keys",
            format!("its user has two keys in use: {}", active.join(" and ")),
            "delete the one that is not needed; IAM allows two, and a new one needs a free place",
        ));
    }
    all
}

/// Files with secrets, and their folders, that other users of this machine can read.
fn loose_files(scene: &Scene, profiles: &Profiles) -> Vec<(FileKind, Warning)> {
    let Some(locations) = scene.locations else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for kind in FileKind::BOTH {
        let mut profiles = profiles.profiles.iter();
        if !profiles.any(|it| it.file_of("aws_secret_access_key") == Some(kind)) {
            continue;
        }
        let file = locations.path(kind);
        for (path, mode) in [(Some(file), "600"), (file.parent(), "700")] {
            let Some(path) = path.filter(|path| private_file::readable_by_others(path)) else {
                continue;
            };
            let path = path.display();
            let loose = warning(
                "readable_by_others",
                format!("others on this machine can read {path}"),
                format!("chmod {mode} \"{path}\""),
            );
            all.push((kind, loose));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::account::AccessKey;
    use crate::shared_config::text::SharedFile;

    fn codes(
        config: &str,
        credentials: &str,
        found: &[Found],
    ) -> (Vec<Vec<&'static str>>, Vec<&'static str>) {
        let files = SharedConfig {
            config: SharedFile::parse(FileKind::Config, config.as_bytes()),
            credentials: SharedFile::parse(FileKind::Credentials, credentials.as_bytes()),
        };
        let locations = Locations {
            config: "/nowhere/config".into(),
            credentials: "/nowhere/credentials".into(),
        };
        let env = Env::for_tests(&[("AWS_ACCESS_KEY_ID", "AKIA")]);
        let scene = Scene {
            env: &env,
            files: &files,
            locations: Some(&locations),
            now: "2026-11-25T00:00:00Z".parse().expect("a time"),
            keys_not_looked_at: 0,
        };
        let code = |warnings: Vec<Warning>| warnings.iter().map(|it| it.code).collect();
        let (of_found, of_files) = warnings(found, &scene);
        (of_found.into_iter().map(code).collect(), code(of_files))
    }

    const ANA: &str = "arn:aws:iam::111122223333:user/ana";

    #[test]
    fn a_problem_belongs_to_the_profile_it_stands_in() {
        let found =
            ["default", "a"].map(|name| Found::for_tests(Source::Profile(name.into()), ANA));
        let config = "[foo]\n[default]\nx = 1\n[profile a]\nk = 1\nk = 2\nnothing\n[ profile b ]\n";
        let (of_found, of_files) = codes(config, "", &found);
        assert_eq!(of_found[0], ["environment_shadows_profile"]);
        assert_eq!(of_found[1], ["duplicate_key", "syntax"]);
        assert_eq!(of_files, ["ignored_section"]);
    }

    #[test]
    fn keys_beside_a_sign_in_are_told() {
        let found = [Found::for_tests(Source::Profile("a".into()), ANA)];
        let keys = "[a]\naws_access_key_id = AKIA\naws_secret_access_key = s\n";
        for config in [
            "[profile a]\nlogin_session = arn\n",
            "[profile a]\nsso_start_url = u\nsso_region = r\nsso_account_id = 1\nsso_role_name = r\n",
        ] {
            assert_eq!(codes(config, keys, &found).0[0], ["static_keys_beside_sign_in"]);
        }
        assert_eq!(codes("", keys, &found).0[0], [""; 0]);
    }

    #[test]
    fn root_keys_old_keys_and_second_keys_are_told() {
        let key = |id: &str, created: &str, active| AccessKey {
            id: id.to_owned(),
            active,
            created_at: Some(created.parse().expect("a time")),
        };
        let root = "arn:aws:iam::111122223333:root";
        let mut found = Found::for_tests(Source::Given, root);
        found.keys = vec![
            key("AKIAIOSFODNN7EXAMPLE", "2026-08-01T00:00:00Z", true),
            key("AKIAOTHER", "2026-11-01T00:00:00Z", true),
        ];
        let all = codes("", "", &[found.clone()]).0;
        assert_eq!(all[0], ["root_key", "old_key", "two_keys"]);
        found.keys[0].created_at = Some("2026-09-01T00:00:00Z".parse().expect("a time"));
        found.keys[1].active = false;
        assert_eq!(codes("", "", &[found]).0[0], ["root_key"]);
    }
}
