//! What may trouble the owner of credentials that work now.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;

use crate::aws::configured::{Kind, configured};
use crate::aws::credential::{Credential, EXPIRED, State};
use crate::aws::profiles::selected_profile;
use crate::aws_files::text::{FileKind, Problem, Section};
use crate::aws_files::{AwsFiles, Locations, Profile, Profiles};
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::private_file;

/// AWS advises to replace keys that are older ("Rotate access keys", IAM user guide).
const OLD_DAYS: i64 = 90;

/// The warnings about each of the credentials, in their order, and those about the files themselves.
pub fn warnings(
    credentials: &[Credential],
    files: &AwsFiles,
    env: &Env,
) -> (Vec<Vec<Diagnostic>>, Vec<Diagnostic>) {
    let profiles = files.profiles();
    let locations = Locations::of(env).ok();
    let mut of_files = Vec::new();
    let mut of_profiles: HashMap<&str, Vec<Diagnostic>> = HashMap::new();
    for kind in FileKind::BOTH {
        let file = files.file(kind);
        for problem in file.problems() {
            let mut warning = about(problem);
            // Where it is the whole file, the message names that.
            if let (Some(locations), 1..) = (&locations, problem.line) {
                warning = warning.at(locations.path(kind), problem.line);
            }
            match file.section_of(problem.line) {
                Some(Section::Profile(name))
                    if problem.code != "byte_order_mark" && profiles.find(name).is_some() =>
                {
                    of_profiles.entry(name.as_str()).or_default().push(warning);
                }
                _ => of_files.push(warning),
            }
        }
    }
    of_files.extend(default_profile(env));
    let of_credentials = credentials.iter().map(|credential| {
        let mut all = Vec::new();
        if let Some(name) = credential.source.profile_name() {
            all.extend(of_profiles.remove(name).unwrap_or_default());
            let profile = profiles.find(name);
            all.extend(profile.map(|it| of_profile(it, &profiles)).unwrap_or_default());
            all.extend(shadowed(name, env));
            let secret = profile.and_then(|it| it.file_of("aws_secret_access_key"));
            if let (Some(locations), Some(file)) = (&locations, secret) {
                all.extend(readable_by_others(locations.path(file)));
            }
        }
        all.extend(root_key(credential));
        if let State::Fails(why) = &credential.state
            && why.code == EXPIRED
        {
            all.push(why.clone());
        }
        all.extend(of_keys(credential, env.now()));
        all
    });
    (of_credentials.collect(), of_files)
}

fn about(problem: &Problem) -> Diagnostic {
    let hint = match problem.code {
        "byte_order_mark" => "save the file as UTF-8 without a byte order mark",
        "not_utf8" => "save the file as UTF-8",
        "unreadable" => "make the file readable for you",
        "duplicate_section" | "section_twice" => "put the keys of both into one section",
        "duplicate_key" => "keep the one that is meant; the SDKs take the last one",
        "syntax" => "fix or remove the line; the AWS SDKs refuse the whole file for it",
        _ => "change the line as it says, or remove it",
    };
    Diagnostic::new(problem.code, &problem.message, hint)
}

/// What the profile's own keys are about.
fn of_profile(profile: &Profile, profiles: &Profiles) -> Vec<Diagnostic> {
    let configured = configured(profile, profiles);
    let mut all: Vec<Diagnostic> = configured.defect.into_iter().collect();
    all.retain(|defect| defect.code != "incomplete");
    // botocore takes keys of the credentials file after an Identity Center sign-in and before a
    // browser sign-in (`credentials.py`, ProfileProviderBuilder); the SDK for Go takes them first of
    // all (`resolve_credentials.go`), the SDK for Rust last (`repr.rs`).
    let disagreement = match configured.kind {
        Kind::Login => {
            "login_session: the AWS CLI takes the keys, the AWS SDK for Rust the sign-in"
        }
        Kind::Sso => "the sso_ keys: Terraform takes the keys, the AWS CLI the sign-in",
        _ => return all,
    };
    if profile.get("aws_secret_access_key").is_some() {
        let message = format!("an access key stands beside {disagreement}");
        let hint = format!("remove one of the two from the profile `{}`", profile.name);
        all.push(Diagnostic::new("static_keys_beside_sign_in", message, hint));
    }
    all
}

/// Variables with keys come before the selected profile: in the AWS CLI unless `--profile` names one
/// (botocore, `create_credential_resolver`), and in most SDKs. Where AWS_PROFILE is set, the SDK for
/// JavaScript takes the profile instead (`credential-provider-node`, `defaultProvider`).
fn shadowed(name: &str, env: &Env) -> Option<Diagnostic> {
    let id = env.var("AWS_ACCESS_KEY_ID").filter(|_| name == selected_profile(env))?;
    let mut message = format!(
        "without --profile {name}, the AWS CLI and most tools use {id} from AWS_ACCESS_KEY_ID instead"
    );
    if env.var("AWS_PROFILE").is_some() {
        message += "; the AWS SDK for JavaScript follows AWS_PROFILE";
    }
    let hint = "unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN";
    Some(Diagnostic::new("environment_shadows_profile", message, hint))
}

/// botocore looks at AWS_DEFAULT_PROFILE before AWS_PROFILE (`configprovider.py`), the SDK for Go after
/// it, and the others not at all.
fn default_profile(env: &Env) -> Option<Diagnostic> {
    let selected = selected_profile(env);
    let other = env.var("AWS_DEFAULT_PROFILE").filter(|other| *other != selected)?;
    let message = format!(
        "the AWS CLI takes the profile `{other}` from AWS_DEFAULT_PROFILE, and most AWS SDKs take `{selected}`"
    );
    let hint = "unset AWS_DEFAULT_PROFILE, and name the profile with AWS_PROFILE";
    Some(Diagnostic::new("default_profile_variable", message, hint))
}

fn root_key(credential: &Credential) -> Option<Diagnostic> {
    credential.identity().filter(|it| it.is_root() && credential.kind == Kind::Static)?;
    let profile = credential.source.profile_name().map(|name| format!(" --profile {name}"));
    let profile = profile.unwrap_or_default();
    Some(Diagnostic::new(
        "root_key",
        "this is a key of the root user, whose permissions nothing limits",
        format!(
            "cloudcred setup --mode iam-user{profile}; then delete the root key in the console"
        ),
    ))
}

fn of_keys(credential: &Credential, now: Timestamp) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    let keys = credential.keys.iter();
    let own = keys.clone().find(|key| Some(&key.id) == credential.access_key_id.as_ref());
    let created = own.and_then(|key| key.created_at);
    let days = created.map_or(0, |created| now.duration_since(created).as_hours() / 24);
    if days > OLD_DAYS {
        let hint = format!("replace keys that are older than {OLD_DAYS} days");
        all.push(Diagnostic::new("old_key", format!("the key is {days} days old"), hint));
    }
    let active: Vec<&str> = keys.filter(|key| key.active).map(|key| key.id.as_str()).collect();
    if active.len() > 1 {
        let message = format!("its user has two active keys: {}", active.join(" and "));
        let hint =
            "delete the one that is not needed: IAM allows two, so there is no room for a new one";
        all.push(Diagnostic::new("two_keys", message, hint));
    }
    all
}

/// The file and its folder, where other users of this machine can read them.
fn readable_by_others(file: &Path) -> Vec<Diagnostic> {
    let warning = |(path, mode): (Option<&Path>, &str)| {
        let path = path.filter(|path| private_file::readable_by_others(path))?.display();
        let message = format!("others on this machine can read {path}");
        Some(Diagnostic::new("readable_by_others", message, format!("chmod {mode} \"{path}\"")))
    };
    [(Some(file), "600"), (file.parent(), "700")].into_iter().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::aws::account::AccessKey;
    use crate::aws::credential::Source;
    use crate::aws_files::text::{AwsFile, FileKind};

    fn codes(
        config: &str,
        credentials: &str,
        all: &[Credential],
    ) -> (Vec<Vec<&'static str>>, Vec<&'static str>) {
        let files = AwsFiles {
            config: AwsFile::parse(FileKind::Config, config.as_bytes()),
            credentials: AwsFile::parse(FileKind::Credentials, credentials.as_bytes()),
        };
        let env = Env::for_tests(&[
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_CONFIG_FILE", "/nowhere/config"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials"),
        ]);
        let code = |warnings: Vec<Diagnostic>| warnings.iter().map(|it| it.code).collect();
        let (of_credentials, of_files) = warnings(all, &files, &env);
        (of_credentials.into_iter().map(code).collect(), code(of_files))
    }

    const ANA: &str = "arn:aws:iam::111122223333:user/ana";

    #[test]
    fn a_problem_belongs_to_the_profile_around_it() {
        let credentials =
            ["default", "a"].map(|name| Credential::for_tests(Source::Profile(name.into()), ANA));
        let config = "[foo]\n[default]\nx = 1\n[profile a]\nk = 1\nk = 2\nnothing\n[ profile b ]\n";
        let (of_credentials, of_files) = codes(config, "", &credentials);
        assert_eq!(of_credentials[0], ["environment_shadows_profile"]);
        assert_eq!(of_credentials[1], ["duplicate_key", "syntax"]);
        assert_eq!(of_files, ["ignored_section"]);
    }

    #[test]
    fn keys_beside_a_sign_in_are_reported() {
        let credentials = [Credential::for_tests(Source::Profile("a".into()), ANA)];
        let keys = "[a]\naws_access_key_id = AKIA\naws_secret_access_key = s\n";
        for config in [
            "[profile a]\nlogin_session = arn\n",
            "[profile a]\nsso_start_url = u\nsso_region = r\nsso_account_id = 1\nsso_role_name = r\n",
        ] {
            assert_eq!(codes(config, keys, &credentials).0[0], ["static_keys_beside_sign_in"]);
        }
        assert_eq!(codes("", keys, &credentials).0[0], [""; 0]);
    }

    #[test]
    fn root_keys_old_keys_and_second_keys_are_reported() {
        let days_ago =
            |days: i64| Timestamp::now().checked_sub(SignedDuration::from_hours(24 * days));
        let key = |id: &str, days, active| AccessKey {
            id: id.to_owned(),
            active,
            created_at: Some(days_ago(days).expect("a time")),
        };
        let root = "arn:aws:iam::111122223333:root";
        let mut credential = Credential::for_tests(Source::Given, root);
        credential.keys = vec![key("AKIAIOSFODNN7EXAMPLE", 116, true), key("AKIAOTHER", 24, true)];
        let all = codes("", "", &[credential.clone()]).0;
        assert_eq!(all[0], ["root_key", "old_key", "two_keys"]);
        credential.keys[0].created_at = Some(days_ago(85).expect("a time"));
        credential.keys[1].active = false;
        assert_eq!(codes("", "", &[credential]).0[0], ["root_key"]);
    }
}
