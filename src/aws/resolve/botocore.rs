//! What the AWS CLI and Ansible use: botocore's chain of providers (`botocore/credentials.py`), and what the
//! modules of `amazon.aws` do before it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::aws::resolve::file::{Contents, Refusal, Section, Value};
use crate::aws::resolve::pair::Pair;
use crate::aws::resolve::process::starts_without_shell;
use crate::aws::resolve::settings::Settings;
use crate::aws::resolve::sign_in::{login_problem, sso_problem};
use crate::aws::resolve::{
    Provider, Uses, Verdict, ca_bundle_problem, default_path, no_credentials, python,
};
use crate::aws_files::text::FileKind;
use crate::diagnostic::Diagnostic;
use crate::env::{Env, is_region};
use crate::private_file;

/// The order of a profile's own providers.
const OF_A_PROFILE: [Provider; 6] = [
    Provider::WebIdentity,
    Provider::Sso,
    // The keys of the credentials file.
    Provider::Static,
    Provider::Login,
    Provider::CredentialProcess,
    // The keys of the config file.
    Provider::Session,
];

/// Both botocore and Go know these.
pub const DEFAULTS_MODES: [&str; 6] =
    ["legacy", "auto", "standard", "in-region", "cross-region", "mobile"];

/// The place of a pair, in words.
pub const VARIABLES: &str = "the environment variables";

/// A setting that a variable or a profile's key gives.
struct Setting<'a> {
    name: String,
    text: &'a str,
    value: Option<&'a Value>,
}

/// Both files, as botocore has read them.
pub struct Botocore {
    config: File,
    credentials: File,
    sso_sessions: HashMap<String, Section>,
}

struct File {
    path: PathBuf,
    /// By the name of the profile.
    profiles: Result<HashMap<String, Section>, Refusal>,
}

impl File {
    fn refusal(&self) -> Option<Diagnostic> {
        let refusal = self.profiles.as_ref().err()?;
        Some(refusal.told(&self.path))
    }

    fn profile(&self, name: &str) -> Option<&Section> {
        self.profiles.as_ref().ok()?.get(name)
    }
}

/// A profile with the values of both files: those of the credentials file win.
#[derive(Clone, Copy)]
struct Profile<'a> {
    name: &'a str,
    config: Option<&'a Section>,
    credentials: Option<&'a Section>,
}

impl<'a> Profile<'a> {
    fn value(&self, key: &str) -> Option<&'a Value> {
        let credentials = self.credentials.and_then(|section| section.value(key));
        credentials.or_else(|| self.config.and_then(|section| section.value(key)))
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.value(key).map(|value| value.text.as_str())
    }

    fn has_keys(&self) -> bool {
        self.value("aws_access_key_id").is_some() || self.value("aws_secret_access_key").is_some()
    }

    fn is_role(&self) -> bool {
        self.value("role_arn").is_some() && self.value("web_identity_token_file").is_none()
    }
}

impl Botocore {
    pub fn read(env: &Env) -> Self {
        let path = |variable, name| match env.raw(variable) {
            Some(path) => expanded(env, path),
            None => default_path(env, name).unwrap_or_default(),
        };
        let config = path("AWS_CONFIG_FILE", "config");
        let credentials = path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let mut sso_sessions = HashMap::new();
        let config_profiles = read(&config, FileKind::Config).map(|contents| {
            let mut profiles = HashMap::new();
            for section in contents.sections {
                // A later section of the same name takes the place of an earlier one, whole.
                if let Some(name) = python::profile_name(&section.name) {
                    profiles.insert(name, section);
                } else if let Some(name) = python::sso_session_name(&section.name) {
                    sso_sessions.insert(name, section);
                }
            }
            profiles
        });
        let credentials_profiles = read(&credentials, FileKind::Credentials).map(|contents| {
            contents.sections.into_iter().map(|section| (section.name.clone(), section)).collect()
        });
        Botocore {
            config: File { path: config, profiles: config_profiles },
            credentials: File { path: credentials, profiles: credentials_profiles },
            sso_sessions,
        }
    }

    /// Version 2, which users have.
    pub fn aws_cli(&self, settings: &Settings) -> Verdict {
        // The older variable goes first, also where it is set to nothing.
        let profile = ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"].iter().find_map(|it| settings.raw(it));
        let chain = Chain { files: self, settings, with_variables: true };
        chain.check_files(profile)?;
        chain.check_attempts(profile)?;
        // Version 1 still has the mode `legacy`.
        chain.check_settings(profile, &["standard", "adaptive"])?;
        chain.resolve(profile)
    }

    pub fn ansible(&self, settings: &Settings) -> Verdict {
        let given = |names: [&'static str; 2]| names.into_iter().find_map(|it| settings.raw(it));
        let profile = given(["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        let id = given(["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]).unwrap_or_default();
        let secret = given(["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]).unwrap_or_default();
        let token = settings.var("AWS_SESSION_TOKEN");
        let named = profile.filter(|name| !name.is_empty());
        if let Some(profile) = named
            && !(id.is_empty() && secret.is_empty() && token.is_none())
        {
            let message =
                format!("Ansible refuses AWS_PROFILE (`{profile}`) beside keys in variables");
            let hint = "unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE";
            return Err(Diagnostic::new("profile_and_keys", message, hint));
        }
        let chain = Chain { files: self, settings, with_variables: named.is_none() };
        chain.check_files(profile)?;
        if settings.raw("AWS_MAX_ATTEMPTS").is_some() {
            chain.check_attempts(profile)?;
        }
        chain.check_settings(profile, &["legacy", "standard", "adaptive"])?;
        match (id, secret) {
            ("", "") => chain.resolve(profile),
            ("", _) | (_, "") => Err(half_of_the_variables()),
            _ => match (Pair { id, secret, token }).problem(VARIABLES) {
                Some(problem) => Err(problem),
                None => Ok(uses(Provider::Environment, None, Some(id))),
            },
        }
    }

    fn profile<'a>(&'a self, name: &'a str) -> Option<Profile<'a>> {
        let (config, credentials) = (self.config.profile(name), self.credentials.profile(name));
        let is_there = config.is_some() || credentials.is_some();
        is_there.then_some(Profile { name, config, credentials })
    }

    fn place(&self, value: &Value) -> (&Path, usize) {
        match value.kind {
            FileKind::Config => (&self.config.path, value.line),
            FileKind::Credentials => (&self.credentials.path, value.line),
        }
    }

    fn at(&self, problem: Diagnostic, value: Option<&Value>) -> Diagnostic {
        match value.map(|value| self.place(value)) {
            Some((path, line)) => problem.at(path, line),
            None => problem,
        }
    }
}

/// Empty where there is no such file, or none that can be read.
fn read(path: &Path, kind: FileKind) -> Result<Contents, Refusal> {
    match private_file::read(path, crate::aws_files::LONGEST_FILE) {
        Ok(Some(bytes)) => python::read(kind, &zeroize::Zeroizing::new(bytes)),
        _ => Ok(Contents::default()),
    }
}

/// With `$NAME`, `${NAME}` and `~` replaced, as Python does it to the path of a file.
fn expanded(env: &Env, path: &str) -> PathBuf {
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
        Some(rest) => {
            PathBuf::from(format!("{}{rest}", crate::aws_files::home_of(env).unwrap_or_default()))
        }
        None => PathBuf::from(text),
    }
}

/// One way through the providers.
struct Chain<'a> {
    files: &'a Botocore,
    settings: &'a Settings<'a>,
    /// Whether credentials in variables count: not where a program has named a profile to botocore.
    with_variables: bool,
}

impl<'a> Chain<'a> {
    /// What makes every command fail, whatever the credentials are.
    fn check_files(&self, profile: Option<&'a str>) -> Result<(), Diagnostic> {
        let files = self.files;
        if let Some(refusal) = files.config.refusal().or_else(|| files.credentials.refusal()) {
            return Err(refusal);
        }
        match profile.filter(|name| files.profile(name).is_none()) {
            Some(name) => Err(missing_profile(name)),
            None => Ok(()),
        }
    }

    /// A setting by its variable, also where that is empty, or by its key in the profile.
    fn setting(
        &self,
        profile: Option<&'a str>,
        variable: &'static str,
        key: &str,
    ) -> Option<Setting<'a>> {
        if let Some(text) = self.settings.raw(variable) {
            return Some(Setting { name: variable.to_owned(), text, value: None });
        }
        let value = self.files.profile(profile.unwrap_or("default"))?.value(key)?;
        Some(Setting { name: key.to_owned(), text: &value.text, value: Some(value) })
    }

    fn refused(&self, code: &'static str, setting: &Setting<'_>, hint: &str) -> Diagnostic {
        let message = format!("{} is `{}`", setting.name, setting.text);
        self.files.at(Diagnostic::new(code, message, hint), setting.value)
    }

    fn check_attempts(&self, profile: Option<&'a str>) -> Result<(), Diagnostic> {
        match self.setting(profile, "AWS_MAX_ATTEMPTS", "max_attempts") {
            Some(setting)
                if !setting.text.trim().parse().is_ok_and(|attempts: i64| attempts > 0) =>
            {
                Err(self.refused(
                    "max_attempts",
                    &setting,
                    "set it to a number such as 3, or remove it",
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_settings(&self, profile: Option<&'a str>, modes: &[&str]) -> Result<(), Diagnostic> {
        if let Some(setting) = self.setting(profile, "AWS_RETRY_MODE", "retry_mode")
            && !modes.contains(&setting.text)
        {
            return Err(self.refused(
                "retry_mode",
                &setting,
                "set it to standard or adaptive, or remove it",
            ));
        }
        if let Some(setting) = self.setting(profile, "AWS_DEFAULTS_MODE", "defaults_mode")
            && !DEFAULTS_MODES.contains(&setting.text.to_lowercase().as_str())
        {
            return Err(self.refused(
                "defaults_mode",
                &setting,
                "set it to standard, or remove it",
            ));
        }
        let endpoint = self.settings.first(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]);
        let over_http = endpoint.is_some_and(|(_, url)| url.starts_with("http://"));
        if let Some(setting) =
            self.setting(profile, "AWS_CA_BUNDLE", "ca_bundle").filter(|_| !over_http)
            && let Some(problem) = ca_bundle_problem(setting.text)
        {
            return Err(self.files.at(problem, setting.value));
        }
        let by_variable = self.settings.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
        let region = match by_variable {
            Some((name, text)) => Some(Setting { name: name.to_owned(), text, value: None }),
            // An empty value in the file counts as a region here.
            None => self.setting(profile, "", "region"),
        };
        match region {
            // AWS itself answers at an address without one.
            None if endpoint.is_none() => Ok(()),
            None => Err(Diagnostic::new(
                "no_region",
                "no region is set",
                "set AWS_REGION, or the profile's region",
            )),
            Some(region) if !region.text.is_empty() && !is_region(region.text) => {
                Err(self.refused("region", &region, "write nothing but a region such as eu-west-1"))
            }
            Some(_) => Ok(()),
        }
    }

    fn resolve(&self, profile: Option<&'a str>) -> Verdict {
        if self.with_variables
            && let Some(verdict) = self.variables()
        {
            return verdict;
        }
        let name = profile.unwrap_or("default");
        let Some(profile) = self.files.profile(name) else {
            let nothing = Profile { name, config: None, credentials: None };
            return self
                .of_profile(nothing, self.with_variables)
                .unwrap_or_else(|| self.elsewhere());
        };
        if profile.is_role() {
            return self.role(profile, &mut vec![name]);
        }
        self.of_profile(profile, self.with_variables).unwrap_or_else(|| self.elsewhere())
    }

    fn variables(&self) -> Option<Verdict> {
        let id = self.settings.var("AWS_ACCESS_KEY_ID")?;
        let Some(secret) = self.settings.var("AWS_SECRET_ACCESS_KEY") else {
            return Some(Err(half_of_the_variables()));
        };
        let token = ["AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"];
        let token = self.settings.first(&token).map(|(_, token)| token);
        let expired = self.settings.var("AWS_CREDENTIAL_EXPIRATION").filter(|time| {
            time.parse::<Timestamp>().is_ok_and(|time| time < self.settings.env.now())
        });
        let expired = expired.map(|time| {
            let message = format!("AWS_CREDENTIAL_EXPIRATION says that they expired at {time}");
            Diagnostic::new("expired", message, "set new ones, or unset that variable")
        });
        let problem = expired.or_else(|| Pair { id, secret, token }.problem(VARIABLES));
        Some(problem.map_or_else(|| Ok(uses(Provider::Environment, None, Some(id))), Err))
    }

    /// What the providers of one profile give; `None` where it has nothing for any of them.
    fn of_profile(&self, profile: Profile<'a>, with_variables: bool) -> Option<Verdict> {
        OF_A_PROFILE.into_iter().find_map(|provider| match provider {
            Provider::WebIdentity => self.web_identity(profile, with_variables),
            Provider::Sso => self.sso(profile),
            Provider::Static => self.keys(profile, profile.credentials),
            Provider::Login => {
                let session = profile.value("login_session")?;
                let problem = login_problem(self.settings, &session.text, profile.name);
                Some(self.unless(problem, Some(session), Provider::Login, profile))
            }
            Provider::CredentialProcess => {
                let command = profile.value("credential_process")?;
                let problem = starts_without_shell(self.settings, &command.text).err();
                Some(self.unless(problem, Some(command), Provider::CredentialProcess, profile))
            }
            _ => self.keys(profile, profile.config),
        })
    }

    fn unless(
        &self,
        problem: Option<Diagnostic>,
        value: Option<&Value>,
        provider: Provider,
        profile: Profile<'_>,
    ) -> Verdict {
        match problem {
            Some(problem) => Err(self.files.at(problem, value)),
            None => Ok(uses(provider, Some(profile.name), None)),
        }
    }

    fn keys(&self, profile: Profile<'a>, section: Option<&'a Section>) -> Option<Verdict> {
        let section = section?;
        let id = section.value("aws_access_key_id")?;
        let (path, _) = self.files.place(id);
        let Some(secret) = section.value("aws_secret_access_key") else {
            let message = "the access key ID has no secret access key in the same section";
            let problem = Diagnostic::new("partial_credentials", message, "put both halves there");
            return Some(Err(self.files.at(problem, Some(id))));
        };
        let tokens = ["aws_security_token", "aws_session_token"];
        let token = tokens.iter().find_map(|key| section.value(key)).map(|it| it.text.as_str());
        let pair = Pair { id: &id.text, secret: &secret.text, token };
        let problem = pair.problem(&path.display().to_string());
        let provider = if token.is_some_and(|it| !it.is_empty()) {
            Provider::Session
        } else {
            Provider::Static
        };
        Some(match problem {
            Some(problem) => Err(self.files.at(problem, Some(id))),
            None => Ok(uses(provider, Some(profile.name), Some(&id.text))),
        })
    }

    fn web_identity(&self, profile: Profile<'a>, with_variables: bool) -> Option<Verdict> {
        let value = |variable, key| {
            let of_variable = if with_variables { self.settings.raw(variable) } else { None };
            of_variable.or_else(|| profile.text(key))
        };
        let file = value("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file")?;
        if file.is_empty() {
            return None;
        }
        let role = value("AWS_ROLE_ARN", "role_arn").filter(|role| !role.is_empty());
        let at = profile.value("web_identity_token_file");
        let problem = web_identity_problem(file, role);
        Some(self.unless(problem, at, Provider::WebIdentity, profile))
    }

    fn sso(&self, profile: Profile<'a>) -> Option<Verdict> {
        let account = profile.value("sso_account_id");
        let first = account.or_else(|| profile.value("sso_role_name"))?;
        let session = profile.text("sso_session");
        let section = session.map(|name| self.files.sso_sessions.get(name));
        let problem = match section {
            Some(None) => Some(Diagnostic::new(
                "sso_session",
                format!("there is no [sso-session {}]", session.unwrap_or_default()),
                "add it: aws configure sso-session",
            )),
            _ => {
                let has = |key: &str| {
                    profile.value(key).is_some()
                        || section.flatten().is_some_and(|section| section.value(key).is_some())
                };
                let all = ["sso_account_id", "sso_role_name", "sso_start_url", "sso_region"];
                match all.into_iter().find(|key| !has(key)) {
                    Some(key) => Some(Diagnostic::new(
                        "sso_incomplete",
                        format!("profile `{}` lacks {key}", profile.name),
                        "complete it: aws configure sso",
                    )),
                    None => {
                        let url = profile.text("sso_start_url").unwrap_or_default();
                        sso_problem(self.settings, session.unwrap_or(url), profile.name)
                    }
                }
            }
        };
        Some(self.unless(problem, Some(first), Provider::Sso, profile))
    }

    /// A role, and what signs for it.
    fn role(&self, profile: Profile<'a>, visited: &mut Vec<&'a str>) -> Verdict {
        let at = profile.value("role_arn");
        let fails = |code, message: String, hint: &str| {
            Err(self.files.at(Diagnostic::new(code, message, hint), at))
        };
        let name = profile.name;
        let source = profile.text("source_profile").filter(|it| !it.is_empty());
        let credential_source = profile.text("credential_source").filter(|it| !it.is_empty());
        match (source, credential_source) {
            (Some(_), Some(_)) => {
                let message = format!("`{name}` has both source_profile and credential_source");
                return fails("two_sources", message, "remove one of the two");
            }
            (None, None) => {
                let message = format!(
                    "the role of `{name}` has neither source_profile nor credential_source"
                );
                return fails(
                    "no_source",
                    message,
                    "add the source_profile whose credentials assume it",
                );
            }
            (None, Some("Environment")) => match self.variables() {
                Some(Ok(_)) => {}
                Some(Err(problem)) => return Err(problem),
                None => {
                    let message =
                        format!("the role of `{name}` needs credentials in the variables");
                    return fails("no_source", message, "set AWS_ACCESS_KEY_ID and its secret");
                }
            },
            (None, Some("Ec2InstanceMetadata" | "EcsContainer")) => {}
            (None, Some(other)) => {
                let message = format!("`{other}` is no credential_source");
                let hint = "write Environment, Ec2InstanceMetadata or EcsContainer";
                return fails("credential_source", message, hint);
            }
            (Some(source), None) => {
                let Some(origin) = self.files.profile(source) else {
                    let message = format!("the source_profile `{source}` of `{name}` is not there");
                    return fails("source_missing", message, "name a profile that is there");
                };
                if visited.contains(&source) && !(source == name && origin.has_keys()) {
                    let message =
                        format!("the roles of `{name}` and `{source}` wait for each other");
                    return fails("circle", message, "end the circle at a profile with keys");
                }
                let verdict = if origin.is_role() && !origin.has_keys() {
                    visited.push(source);
                    self.role(origin, visited)
                } else {
                    self.of_profile(origin, false).unwrap_or_else(|| {
                        let message = format!("the source profile `{source}` has no credentials");
                        fails("source_empty", message, "put keys into it, or name another profile")
                    })
                };
                verdict?;
            }
        }
        Ok(uses(Provider::AssumeRole, Some(name), None))
    }

    /// Outside of variables and files.
    fn elsewhere(&self) -> Verdict {
        elsewhere(self.settings)
    }
}

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
        let message = format!("the web identity token {file} is not there");
        return Some(Diagnostic::new(
            "no_token_file",
            message,
            "name the file that holds the token",
        ));
    }
    None
}

fn half_of_the_variables() -> Diagnostic {
    let message = "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set without the other";
    Diagnostic::new("partial_credentials", message, "set both, or neither")
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
