//! What a profile says of its credentials before anything is resolved: their kind, what they rest
//! on, and what is wrong with them. Plain values in and out; reads nothing and asks nobody.

use crate::aws::kind::Kind;
use crate::error::{did_you_mean, near_names};
use crate::shared_config::{Profile, Profiles, excerpt};

/// What a profile's keys amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    pub kind: Kind,
    /// The profile whose sign-in it rests on: itself, or the last one of its role chain.
    pub signs_in: Option<SignIn>,
    /// The MFA device whose code the role needs: its serial number or ARN.
    pub mfa_serial: Option<String>,
    /// Why nothing can come of it.
    pub defect: Option<Defect>,
}

/// A sign-in that a person repeats now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub profile: String,
    /// With IAM Identity Center, rather than with `aws login`.
    pub sso: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Stable, for scripts.
    pub code: &'static str,
    /// A few words for a table.
    pub what: String,
    pub hint: String,
}

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
    let mut keys = CREDENTIAL_KEYS.iter();
    keys.any(|(key, _)| value(profile, key).is_some())
}

/// A key that is set but empty counts as not set.
pub fn value<'p>(profile: &'p Profile, key: &str) -> Option<&'p str> {
    profile.get(key).filter(|value| !value.is_empty())
}

/// In the order in which the Rust SDK decides (aws-config, `profile/credentials/repr.rs`).
pub fn configured(profile: &Profile, all: &Profiles) -> Configured {
    let has = |key| value(profile, key).is_some();
    if has("role_arn") && !has("web_identity_token_file") {
        return of_role(profile, all);
    }
    base(profile, all)
}

fn sound(kind: Kind) -> Configured {
    Configured { kind, signs_in: None, mfa_serial: None, defect: None }
}

fn incomplete(what: impl Into<String>, hint: impl Into<String>) -> Configured {
    Configured {
        defect: Some(Defect { code: "incomplete", what: what.into(), hint: hint.into() }),
        ..sound(Kind::Incomplete)
    }
}

/// Credentials that rest on no other profile.
fn base(profile: &Profile, all: &Profiles) -> Configured {
    let has = |key: &str| value(profile, key).is_some();
    let signs_in = |sso| Some(SignIn { profile: profile.name.clone(), sso });
    if has("credential_source") {
        return incomplete(
            "credential_source without role_arn",
            "add the role_arn that is to be assumed",
        );
    }
    if has("web_identity_token_file") {
        return match has("role_arn") {
            true => sound(Kind::WebIdentity),
            false => incomplete(
                "web_identity_token_file without role_arn",
                "add the role_arn that is to be assumed",
            ),
        };
    }
    if SSO_KEYS.iter().any(|key| has(key)) {
        let defect = sso_defect(profile, all);
        return match defect {
            Some(defect) if defect.code == "incomplete" => {
                Configured { defect: Some(defect), ..sound(Kind::Incomplete) }
            }
            defect => Configured { signs_in: signs_in(true), defect, ..sound(Kind::Sso) },
        };
    }
    if has("login_session") {
        return Configured { signs_in: signs_in(false), ..sound(Kind::Login) };
    }
    if has("credential_process") {
        return sound(Kind::CredentialProcess);
    }
    match (has("aws_access_key_id"), has("aws_secret_access_key"), has("aws_session_token")) {
        (true, true, false) => sound(Kind::Static),
        (true, true, true) => sound(Kind::Session),
        (true, false, _) => incomplete(
            "aws_access_key_id without aws_secret_access_key",
            format!("aws configure --profile {}", profile.name),
        ),
        (false, true, _) => incomplete(
            "aws_secret_access_key without aws_access_key_id",
            format!("aws configure --profile {}", profile.name),
        ),
        (false, false, _) => incomplete(
            "no credentials in it",
            "settings only; tools need credentials from elsewhere",
        ),
    }
}

fn sso_defect(profile: &Profile, all: &Profiles) -> Option<Defect> {
    let lacks = |what: String| {
        Some(Defect {
            code: "incomplete",
            what,
            hint: format!("aws configure sso --profile {}", profile.name),
        })
    };
    let own = |key: &str| value(profile, key);
    let session = match own("sso_session") {
        None => None,
        Some(name) => match all.sso_session(name) {
            Some(session) => Some(session),
            None => {
                let names = all.sso_sessions.iter().map(|session| session.name.as_str());
                return Some(Defect {
                    code: "unknown_sso_session",
                    what: format!("there is no [sso-session {name}]"),
                    hint: did_you_mean(&near_names(name, names), "aws configure sso-session"),
                });
            }
        },
    };
    let needed = |key: &str| match session {
        Some(session) => value(session, key),
        None => own(key),
    };
    for key in ["sso_start_url", "sso_region"] {
        if session.is_some() && own(key).is_some() {
            return lacks(format!("{key} stands beside sso_session, which has its own"));
        }
        if needed(key).is_none() {
            return lacks(format!("{key} is missing"));
        }
    }
    let missing = ["sso_account_id", "sso_role_name"];
    let missing = missing.into_iter().find(|key| own(key).is_none())?;
    lacks(format!("{missing} is missing"))
}

/// A role, and the profiles that lead to the credentials that assume it.
fn of_role(profile: &Profile, all: &Profiles) -> Configured {
    let source = value(profile, "source_profile");
    let named = value(profile, "credential_source");
    let kind = Kind::AssumeRole(source.or(named).map(str::to_owned));
    // A machine that assumes a role by itself has no device to show a code.
    let asks = source.is_some() || named == Some("Environment");
    let mfa_serial = value(profile, "mfa_serial").filter(|_| asks);
    let mfa_serial = mfa_serial.map(str::to_owned);
    match (source, named) {
        (Some(_), Some(_)) => incomplete(
            "both source_profile and credential_source",
            "keep the one that holds the credentials which assume the role",
        ),
        (None, None) => incomplete(
            "role_arn without source_profile or credential_source",
            "add the source_profile whose credentials assume the role",
        ),
        (None, Some(named)) => {
            Configured { mfa_serial, defect: unknown_source(named), ..sound(kind) }
        }
        (Some(_), None) => match last_of_chain(profile, all) {
            Err(defect) => Configured { defect: Some(defect), ..sound(kind) },
            Ok(last) => {
                let last_is = match value(last, "source_profile") {
                    None if value(last, "role_arn").is_some() && !has_keys(last) => {
                        of_role(last, all)
                    }
                    _ => base(last, all),
                };
                let defect = last_is.defect.map(|defect| Defect {
                    what: format!("its source `{}`: {}", last.name, defect.what),
                    ..defect
                });
                Configured { kind, signs_in: last_is.signs_in, mfa_serial, defect }
            }
        },
    }
}

fn unknown_source(named: &str) -> Option<Defect> {
    const KNOWN: [&str; 3] = ["Environment", "Ec2InstanceMetadata", "EcsContainer"];
    (!KNOWN.contains(&named)).then(|| Defect {
        code: "unknown_credential_source",
        what: format!("there is no credential_source `{named}`"),
        hint: did_you_mean(
            &near_names(named, KNOWN.into_iter()),
            &format!("use {}", KNOWN.join(", ")),
        ),
    })
}

fn has_keys(profile: &Profile) -> bool {
    let has = |key| value(profile, key).is_some();
    has("aws_access_key_id") && has("aws_secret_access_key")
}

/// The profile at the end of a role chain: one with its own credentials, or with a named source.
fn last_of_chain<'p>(first: &'p Profile, all: &'p Profiles) -> Result<&'p Profile, Defect> {
    let mut visited = vec![first.name.as_str()];
    let mut profile = first;
    loop {
        let is_role = value(profile, "role_arn").is_some()
            && value(profile, "web_identity_token_file").is_none();
        let source = value(profile, "source_profile").filter(|_| is_role);
        // Behind the first one, keys of its own come first; and a profile may rest on itself.
        let source = source
            .filter(|_| visited.len() == 1 || !has_keys(profile))
            .filter(|source| *source != profile.name);
        let Some(source) = source else {
            return Ok(profile);
        };
        if visited.contains(&source) {
            visited.push(source);
            return Err(Defect {
                code: "role_loop",
                what: format!("its sources go round in a circle: {}", visited.join(" → ")),
                hint: "let one of them hold credentials of its own".to_owned(),
            });
        }
        let Some(next) = all.find(source) else {
            let names = all.profiles.iter().map(|profile| profile.name.as_str());
            return Err(Defect {
                code: "unknown_source_profile",
                what: format!("there is no source_profile `{source}`"),
                hint: did_you_mean(
                    &near_names(source, names),
                    "add that profile, or name another one",
                ),
            });
        };
        visited.push(source);
        profile = next;
    }
}

/// All that the SDK has to read to resolve the profile, and nothing else: a broken line elsewhere
/// in the files would make it refuse them whole.
pub fn sources_of(profile: &Profile, all: &Profiles) -> String {
    let mut chain = vec![profile];
    while let Some(source) = value(chain[chain.len() - 1], "source_profile")
        && let Some(next) = all.find(source)
        && !chain.iter().any(|known| known.name == next.name)
    {
        chain.push(next);
    }
    let sessions =
        chain.iter().filter_map(|profile| all.sso_session(value(profile, "sso_session")?));
    let sessions: Vec<&Profile> = sessions.collect();
    excerpt(chain.into_iter(), sessions.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_config::SharedConfig;
    use crate::shared_config::text::{FileKind, SharedFile};

    fn profiles(config: &str) -> Profiles {
        let files = SharedConfig {
            config: SharedFile::parse(FileKind::Config, config.as_bytes()),
            credentials: SharedFile::parse(FileKind::Credentials, b""),
        };
        files.profiles()
    }

    fn of(config: &str) -> (Kind, Option<&'static str>) {
        let all = profiles(&format!("[default]\n{config}"));
        let configured = configured(all.find("default").expect("there"), &all);
        (configured.kind, configured.defect.map(|defect| defect.code))
    }

    #[test]
    fn each_kind_is_told_by_its_keys() {
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
