//! What Terraform's AWS provider uses: the chain of the AWS SDK for Go (`config/resolve_credentials.go` in its
//! sources), after what `aws-sdk-go-base` checks before it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::aws::resolve::botocore::{
    DEFAULTS_MODES, VARIABLES, elsewhere, missing_profile, uses, web_identity_problem,
};
use crate::aws::resolve::file::{Contents, Refusal, Section, Value};
use crate::aws::resolve::pair::Pair;
use crate::aws::resolve::process::starts_in_shell;
use crate::aws::resolve::settings::Settings;
use crate::aws::resolve::sign_in::sso_problem;
use crate::aws::resolve::{Provider, Verdict, ca_bundle_problem, default_path, go};
use crate::aws_files::text::FileKind;
use crate::diagnostic::Diagnostic;
use crate::env::{Env, is_region};
use crate::private_file;

const ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";

/// The keys that Go carries over from the credentials file where the config file has the profile, too.
const MERGED: [&str; 16] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "mfa_serial",
    "region",
    "credential_process",
    "web_identity_token_file",
    "retry_mode",
    "max_attempts",
    "defaults_mode",
    "ca_bundle",
    "sso_session",
    "sso_account_id",
    "sso_region",
    "sso_role_name",
    "sso_start_url",
];

/// Both files, merged as Go does it.
pub struct Terraform {
    config: PathBuf,
    credentials: PathBuf,
    profiles: HashMap<String, Profile>,
    sso_sessions: HashMap<String, Section>,
    refusal: Option<Diagnostic>,
}

struct Profile {
    values: Section,
    /// Half a pair makes the profile unusable.
    half: Option<Value>,
}

impl Profile {
    fn text(&self, key: &str) -> &str {
        self.values.value(key).map(|value| value.text.as_str()).unwrap_or_default()
    }

    fn has_keys(&self) -> bool {
        !self.text(ID).is_empty() && !self.text(SECRET).is_empty()
    }
}

impl Terraform {
    pub fn read(env: &Env) -> Self {
        let path = |variable, name| match env.var(variable) {
            Some(path) => PathBuf::from(path),
            None => default_path(env, name).unwrap_or_default(),
        };
        let config = path("AWS_CONFIG_FILE", "config");
        let credentials = path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let mut terraform = Terraform {
            profiles: HashMap::new(),
            sso_sessions: HashMap::new(),
            refusal: None,
            config,
            credentials,
        };
        let contents = terraform.contents(FileKind::Config);
        terraform.add_config(contents);
        let contents = terraform.contents(FileKind::Credentials);
        terraform.add_credentials(contents);
        terraform
    }

    /// Nothing where there is no such file, or none that can be read.
    fn contents(&mut self, kind: FileKind) -> Contents {
        let path = self.path(kind);
        if path.is_dir() {
            let message = format!("{} is a folder", path.display());
            let folder = Diagnostic::new("folder", message, "name a file");
            self.refusal.get_or_insert(folder);
        }
        let path = self.path(kind);
        let Ok(Some(bytes)) = private_file::read(path, crate::aws_files::LONGEST_FILE) else {
            return Contents::default();
        };
        let bytes = zeroize::Zeroizing::new(bytes);
        let refusal = go::refusal(&bytes).map(|refusal: Refusal| refusal.told(path));
        self.refusal = self.refusal.take().or(refusal);
        go::read(kind, &bytes)
    }

    fn path(&self, kind: FileKind) -> &Path {
        match kind {
            FileKind::Config => &self.config,
            FileKind::Credentials => &self.credentials,
        }
    }

    fn add_config(&mut self, contents: Contents) {
        let mut prefixed = Vec::new();
        for section in contents.sections {
            if let Some(name) = section.name.strip_prefix("profile ") {
                prefixed.push((name.to_owned(), section));
            } else if let Some(name) = section.name.strip_prefix("sso-session ") {
                self.sso_sessions.insert(name.to_owned(), section);
            } else if section.name == "default" {
                self.profiles.insert(section.name.clone(), profile(section));
            }
        }
        // [profile default] takes the place of [default], wherever the two stand.
        for (name, section) in prefixed {
            self.profiles.insert(name, profile(section));
        }
    }

    fn add_credentials(&mut self, contents: Contents) {
        for section in contents.sections {
            if section.name.starts_with("profile ") {
                continue;
            }
            let name = section.name.clone();
            let Some(there) = self.profiles.get_mut(&name) else {
                self.profiles.insert(name, profile(section));
                continue;
            };
            there.half = half(&section);
            let has_pair = section.value(ID).is_some() && section.value(SECRET).is_some();
            for value in section.values {
                let key = value.key.as_str();
                if MERGED.contains(&key) || (has_pair && [ID, SECRET, TOKEN].contains(&key)) {
                    there.values.set(value);
                }
            }
        }
    }

    pub fn verdict(&self, settings: &Settings) -> Verdict {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        check_variables(settings)?;
        let named = settings.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]).map(|(_, name)| name);
        let name = named.unwrap_or("default");
        let profile = self.profiles.get(name);
        if named.is_some() && profile.is_none() {
            return Err(missing_profile(name));
        }
        // A defect of the profile ends it, even where variables would have gone first.
        let mut visited = Vec::new();
        let of_profile = profile.map(|it| self.check(name, it, &mut visited)).transpose()?;
        self.check_region(settings, profile)?;
        let id = settings.first(&["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]);
        let secret = settings.first(&["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]);
        if let (Some((_, id)), Some((_, secret))) = (id, secret) {
            let pair = Pair { id, secret, token: settings.var("AWS_SESSION_TOKEN") };
            return match pair.problem(VARIABLES) {
                Some(problem) => Err(problem),
                None => Ok(uses(Provider::Environment, None, Some(id))),
            };
        }
        if let Some(file) = settings.var("AWS_WEB_IDENTITY_TOKEN_FILE") {
            return match web_identity_problem(file, settings.var("AWS_ROLE_ARN")) {
                Some(problem) => Err(problem),
                None => Ok(uses(Provider::WebIdentity, None, None)),
            };
        }
        match (profile, of_profile) {
            (Some(profile), Some(())) => self.of_profile(settings, name, profile),
            _ => elsewhere(settings),
        }
    }

    /// What Go finds wrong with a profile when it reads it, and with those that it builds on.
    fn check<'a>(
        &'a self,
        name: &'a str,
        profile: &'a Profile,
        visited: &mut Vec<&'a str>,
    ) -> Result<(), Diagnostic> {
        if let Some(half) = &profile.half {
            let message = format!("profile `{name}` has only one half of a pair in this file");
            return Err(self.at("partial_credentials", message, "put both halves there", half));
        }
        self.check_settings(name, profile)?;
        let seen = visited.contains(&name);
        let source = if seen { "" } else { profile.text("source_profile") };
        let kinds = ["credential_source", "credential_process", "web_identity_token_file"];
        if !seen {
            let needs_role = ["source_profile", "credential_source", "web_identity_token_file"];
            let needs = needs_role.iter().find(|key| !profile.text(key).is_empty());
            if let Some(value) = needs.and_then(|key| profile.values.value(key))
                && profile.text("role_arn").is_empty()
            {
                let message = format!("profile `{name}` has {} without role_arn", value.key);
                return Err(self.at("no_role", message, "add role_arn, or remove the line", value));
            }
        }
        if !visited.is_empty() && profile.has_keys() {
            return Ok(());
        }
        visited.push(name);
        let mut several = kinds.iter().filter_map(|key| profile.values.value(key));
        let mut several = several.by_ref().filter(|value| !value.text.is_empty());
        let first = several.next();
        if let Some(value) = several.next().or(first.filter(|_| !source.is_empty())) {
            let message = format!("profile `{name}` names more than one source of credentials");
            return Err(self.at("two_sources", message, "leave one of them", value));
        }
        if !source.is_empty() {
            let at = profile.values.value("source_profile").or(profile.values.values.first());
            let fails = |code, message: String| match at {
                Some(value) => self.at(code, message, "name a profile that has credentials", value),
                None => Diagnostic::new(code, message, "name a profile that has credentials"),
            };
            let Some(origin) = self.profiles.get(source) else {
                let message = format!("the source_profile `{source}` of `{name}` is not there");
                return Err(fails("source_missing", message));
            };
            self.check(source, origin, visited)?;
            let again = visited.iter().filter(|it| **it == source).count() > 1;
            if !has_credentials(origin, again) {
                let message = format!("the source profile `{source}` has no credentials");
                return Err(fails("source_empty", message));
            }
        }
        let session = profile.text("sso_session");
        if !session.is_empty() && !self.sso_sessions.contains_key(session.trim()) {
            let message = format!("there is no [sso-session {session}]");
            let value = profile.values.value("sso_session").cloned();
            let hint = "add it: aws configure sso-session";
            return Err(match value {
                Some(value) => self.at("sso_session", message, hint, &value),
                None => Diagnostic::new("sso_session", message, hint),
            });
        }
        Ok(())
    }

    fn check_settings(&self, name: &str, profile: &Profile) -> Result<(), Diagnostic> {
        let value = |key| profile.values.value(key);
        if let Some(mode) = value("retry_mode")
            && !["standard", "adaptive"].contains(&mode.text.as_str())
        {
            let message = format!("retry_mode of profile `{name}` is `{}`", *mode.text);
            return Err(self.at("retry_mode", message, "set it to standard or adaptive", mode));
        }
        if let Some(attempts) = value("max_attempts")
            && attempts.text.parse::<i64>().is_err()
        {
            let message = format!("max_attempts of profile `{name}` is `{}`", *attempts.text);
            return Err(self.at("max_attempts", message, "set it to a number such as 3", attempts));
        }
        if let Some(bundle) = value("ca_bundle")
            && let Some(problem) = ca_bundle_problem(&bundle.text)
        {
            return Err(problem.at(self.path(bundle.kind), bundle.line));
        }
        if let Some(mode) = value("defaults_mode")
            && !DEFAULTS_MODES.contains(&mode.text.to_lowercase().as_str())
        {
            let message = format!("defaults_mode of profile `{name}` is `{}`", *mode.text);
            return Err(self.at(
                "defaults_mode",
                message,
                "set it to standard, or remove it",
                mode,
            ));
        }
        Ok(())
    }

    fn check_region(
        &self,
        settings: &Settings,
        profile: Option<&Profile>,
    ) -> Result<(), Diagnostic> {
        let of_profile = profile.and_then(|it| it.values.value("region"));
        let by_variable = settings.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
        let text = match (by_variable, of_profile) {
            (Some((_, text)), _) => text,
            (None, Some(value)) if !value.text.is_empty() => &value.text,
            _ => {
                let hint = "set AWS_REGION or the profile's region, or name it in the project";
                return Err(Diagnostic::new("no_region", "no region is set", hint));
            }
        };
        if is_region(text) {
            return Ok(());
        }
        let message = format!("the region is read as `{text}`, which is none");
        let hint = "write nothing but a region such as eu-west-1";
        Err(match of_profile.filter(|_| by_variable.is_none()) {
            Some(value) => self.at("region", message, hint, value),
            None => Diagnostic::new("region", message, hint),
        })
    }

    fn of_profile(&self, settings: &Settings, name: &str, profile: &Profile) -> Verdict {
        let source = profile.text("source_profile");
        let has_role = !profile.text("role_arn").is_empty();
        let base = if !source.is_empty() {
            match self.profiles.get(source).filter(|_| source != name) {
                Some(origin) => self.of_profile(settings, source, origin),
                None => self.own(settings, name, profile),
            }
        } else {
            self.own(settings, name, profile)
        };
        let base = base?;
        if base.source == Provider::WebIdentity && source.is_empty() {
            return Ok(base);
        }
        if !has_role {
            return Ok(base);
        }
        if let Some(serial) = profile.values.value("mfa_serial").filter(|it| !it.text.is_empty()) {
            let message =
                format!("the role of `{name}` needs an MFA code, which Terraform never asks for");
            let hint = "use a session: cloudcred exec, or a profile with credential_process";
            return Err(self.at("mfa", message, hint, serial));
        }
        Ok(uses(Provider::AssumeRole, Some(name), None))
    }

    /// What the profile itself gives, before a role is assumed with it.
    fn own(&self, settings: &Settings, name: &str, profile: &Profile) -> Verdict {
        let told = |problem: Option<Diagnostic>, key: &str, provider| match problem {
            Some(problem) => Err(match profile.values.value(key) {
                Some(value) => problem.at(self.path(value.kind), value.line),
                None => problem,
            }),
            None => Ok(uses(provider, Some(name), None)),
        };
        if profile.has_keys() {
            let token = Some(profile.text(TOKEN)).filter(|token| !token.is_empty());
            let pair = Pair { id: profile.text(ID), secret: profile.text(SECRET), token };
            let at = profile
                .values
                .value(ID)
                .map(|value| self.path(value.kind))
                .unwrap_or(&self.credentials);
            let provider = if token.is_some() { Provider::Session } else { Provider::Static };
            return match pair.problem(&at.display().to_string()) {
                Some(problem) => told(Some(problem), ID, provider),
                None => Ok(uses(provider, Some(name), Some(pair.id))),
            };
        }
        match profile.text("credential_source") {
            "" => {}
            "Environment" => {
                let hint = "set AWS_ACCESS_KEY_ID and its secret";
                let message = format!("the role of `{name}` needs credentials in the variables");
                return told(
                    Some(Diagnostic::new("no_source", message, hint)),
                    "credential_source",
                    Provider::AssumeRole,
                );
            }
            "Ec2InstanceMetadata" | "EcsContainer" => return elsewhere(settings),
            other => {
                let hint = "write Environment, Ec2InstanceMetadata or EcsContainer";
                let message = format!("`{other}` is no credential_source");
                let problem = Diagnostic::new("credential_source", message, hint);
                return told(Some(problem), "credential_source", Provider::AssumeRole);
            }
        }
        let token_file = profile.text("web_identity_token_file");
        if !token_file.is_empty() {
            let problem = web_identity_problem(token_file, Some(profile.text("role_arn")));
            return told(problem, "web_identity_token_file", Provider::WebIdentity);
        }
        let session = profile.text("sso_session");
        let url = profile.text("sso_start_url");
        if !(session.is_empty() && profile.text("sso_account_id").is_empty() && url.is_empty()) {
            let key = if session.is_empty() { url } else { session };
            return told(sso_problem(settings, key, name), "sso_account_id", Provider::Sso);
        }
        let command = profile.text("credential_process");
        if !command.is_empty() {
            let problem = starts_in_shell(settings, command).err();
            return told(problem, "credential_process", Provider::CredentialProcess);
        }
        if let Some(session) =
            profile.values.value("login_session").filter(|it| !it.text.is_empty())
        {
            let message =
                format!("Terraform passes over login_session, the browser sign-in of `{name}`");
            let hint = "put a profile with credential_process in front of it";
            return elsewhere(settings)
                .map_err(|_| self.at("login_session", message, hint, session));
        }
        elsewhere(settings)
    }

    fn at(
        &self,
        code: &'static str,
        message: impl AsRef<str>,
        hint: &str,
        value: &Value,
    ) -> Diagnostic {
        Diagnostic::new(code, message, hint).at(self.path(value.kind), value.line)
    }
}

fn profile(section: Section) -> Profile {
    Profile { half: half(&section), values: section }
}

fn half(section: &Section) -> Option<Value> {
    match (section.value(ID), section.value(SECRET)) {
        (Some(value), None) | (None, Some(value)) => Some(value.clone()),
        _ => None,
    }
}

fn has_credentials(profile: &Profile, seen_before: bool) -> bool {
    let keys = ["credential_source", "credential_process", "web_identity_token_file"];
    let sso = ["sso_session", "sso_account_id", "sso_start_url"];
    profile.has_keys()
        || (!seen_before && !profile.text("source_profile").is_empty())
        || keys.iter().chain(&sso).any(|key| !profile.text(key).is_empty())
}

fn check_variables(settings: &Settings) -> Result<(), Diagnostic> {
    if let Some(problem) = settings.var("AWS_CA_BUNDLE").and_then(ca_bundle_problem) {
        return Err(problem);
    }
    if let Some(mode) = settings.var("AWS_RETRY_MODE")
        && !["standard", "adaptive"].contains(&mode)
    {
        let message = format!("AWS_RETRY_MODE is `{mode}`, which is no mode of retries");
        return Err(Diagnostic::new(
            "retry_mode",
            message,
            "set it to standard or adaptive, or unset it",
        ));
    }
    if let Some(attempts) = settings.var("AWS_MAX_ATTEMPTS")
        && attempts.parse::<i64>().is_err()
    {
        let message = format!("AWS_MAX_ATTEMPTS is `{attempts}`, which is no number of attempts");
        return Err(Diagnostic::new(
            "max_attempts",
            message,
            "set it to a number such as 3, or unset it",
        ));
    }
    Ok(())
}
