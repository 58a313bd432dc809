//! What a tool does with what it finds, and the reasons that all of them share.

use std::path::{Path, PathBuf};

use crate::aws::resolve::settings::Settings;
use crate::aws_files::home_of;
use crate::diagnostic::Diagnostic;
use crate::env::Env;

/// The credential that a tool uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    pub source: Provider,
    pub profile: Option<String>,
    /// `None` where only a call could tell.
    pub access_key_id: Option<String>,
}

/// Where a tool looks for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Environment,
    Static,
    Session,
    AssumeRole,
    WebIdentity,
    Sso,
    Login,
    CredentialProcess,
    Container,
    Instance,
}

impl Provider {
    /// As `kind` of a profile in `check --output json` names it.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Environment => "environment",
            Provider::Static => "static",
            Provider::Session => "session",
            Provider::AssumeRole => "assume_role",
            Provider::WebIdentity => "web_identity",
            Provider::Sso => "sso",
            Provider::Login => "login",
            Provider::CredentialProcess => "credential_process",
            Provider::Container => "container",
            Provider::Instance => "instance",
        }
    }

    /// For people, before the name of a profile.
    pub fn described(self) -> &'static str {
        match self {
            Provider::Environment => "the environment variables",
            Provider::Static => "the access key",
            Provider::Session => "the temporary keys",
            Provider::AssumeRole => "the role",
            Provider::WebIdentity => "the web identity token",
            Provider::Sso => "IAM Identity Center",
            Provider::Login => "the browser sign-in",
            Provider::CredentialProcess => "the external program",
            Provider::Container => "the container's role",
            Provider::Instance => "the instance's role",
        }
    }
}

/// What a tool would do: use a credential, or fail for a reason.
pub type Verdict = Result<Uses, Diagnostic>;

/// Both botocore and Go know these.
pub const DEFAULTS_MODES: [&str; 6] =
    ["legacy", "auto", "standard", "in-region", "cross-region", "mobile"];

/// Nobody builds so many roles on each other.
pub const LONGEST_CHAIN: usize = 50;

/// The place of a pair, in words.
pub const VARIABLES: &str = "the environment variables";

/// Where a tool looks once variables and files have given nothing.
pub fn elsewhere(settings: &Settings) -> Verdict {
    let container =
        ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    if settings.first(&container).is_some() {
        Ok(uses(Provider::Container, None, None))
    } else if settings.has_instance {
        Ok(uses(Provider::Instance, None, None))
    } else {
        Err(no_credentials())
    }
}

pub fn web_identity_problem(file: &str, role: Option<&str>) -> Option<Diagnostic> {
    if role.is_none() {
        let message = "a web identity token is named, and no role that it is for";
        return Some(Diagnostic::new("no_role", message, "set AWS_ROLE_ARN or role_arn beside it"));
    }
    if !Path::new(file).is_file() {
        let message = format!("the web identity token {} is not there", shown(file));
        return Some(Diagnostic::new(
            "no_token_file",
            message,
            "name the file that holds the token",
        ));
    }
    None
}

pub fn missing_profile(name: &str) -> Diagnostic {
    let message = match name {
        "" => "AWS_PROFILE is set to nothing, which is taken for the name of a profile".to_owned(),
        _ => format!("there is no profile `{name}`"),
    };
    Diagnostic::new(
        "no_such_profile",
        message,
        "set AWS_PROFILE to a profile that is there, or unset it",
    )
}

pub fn uses(source: Provider, profile: Option<&str>, access_key_id: Option<&str>) -> Uses {
    Uses {
        source,
        profile: profile.map(str::to_owned),
        access_key_id: access_key_id.map(str::to_owned),
    }
}

/// The home folder as Python and Go find it: on Windows HOME does not count for them.
pub fn home(env: &Env) -> Option<String> {
    let of_windows = env.var("USERPROFILE").filter(|_| cfg!(windows));
    of_windows.map(str::to_owned).or_else(|| home_of(env))
}

/// Where the file `name` in the folder `.aws` lies, unless a variable says otherwise.
pub fn default_path(env: &Env, name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(home(env)?).join(".aws").join(name))
}

pub fn no_credentials() -> Diagnostic {
    let message = "no credentials: nothing in the variables, the files or the machine's role";
    Diagnostic::new("no_credentials", message, "`cloudcred setup` makes some")
}

/// Why a tool cannot start where the certificates that it is told to trust are not there.
pub fn ca_bundle_problem(path: &str) -> Option<Diagnostic> {
    (!path.is_empty() && !Path::new(path).is_file()).then(|| {
        let message = format!("the file of certificates {} is not there", shown(path));
        Diagnostic::new("ca_bundle", message, "correct AWS_CA_BUNDLE or ca_bundle, or remove it")
    })
}

/// A value as a message may quote it: one that runs over lines has swallowed other settings, and with them
/// perhaps a secret.
pub fn shown(text: &str) -> String {
    if text.len() > 200 || text.contains('\n') || text.to_lowercase().contains("secret") {
        "more than one value (are the lines below it indented?)".to_owned()
    } else {
        format!("`{text}`")
    }
}

/// With `$NAME`, `${NAME}` and `~` replaced, as Python does it to the path of a file.
pub fn expanded(env: &Env, path: &str) -> PathBuf {
    let mut text = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let (name, length) = match after.strip_prefix('{').and_then(|it| it.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        match env.raw(name) {
            Some(value) => text.push_str(value),
            None => text.push_str(&format!("${}", &after[..length])),
        }
        rest = &after[length..];
    }
    text.push_str(rest);
    match text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(['/', '\\'])) {
        Some(rest) => PathBuf::from(format!("{}{rest}", home(env).unwrap_or_default())),
        None => PathBuf::from(text),
    }
}
