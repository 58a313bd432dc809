//! Both files as Go has merged them, and the profiles in them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::aws::resolve::file::{Contents, Refusal, Section, Value};
use crate::aws::resolve::go;
use crate::aws::resolve::verdict::default_path;
use crate::aws_files::LONGEST_FILE;
use crate::aws_files::text::FileKind;
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::private_file;

pub const ID: &str = "aws_access_key_id";
pub const SECRET: &str = "aws_secret_access_key";
pub const TOKEN: &str = "aws_session_token";

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
    pub credentials: PathBuf,
    pub profiles: HashMap<String, Profile>,
    pub sso_sessions: HashMap<String, Section>,
    pub refusal: Option<Diagnostic>,
}

pub struct Profile {
    pub values: Section,
    /// Half a pair makes the profile unusable.
    pub half: Option<Value>,
}

impl Profile {
    pub fn text(&self, key: &str) -> &str {
        self.values.value(key).map(|value| value.text.as_str()).unwrap_or_default()
    }

    pub fn has_keys(&self) -> bool {
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
        let Ok(Some(bytes)) = private_file::read(path, LONGEST_FILE) else {
            return Contents::default();
        };
        let bytes = zeroize::Zeroizing::new(bytes);
        let refusal = go::refusal(&bytes).map(|refusal: Refusal| refusal.told(path));
        self.refusal = self.refusal.take().or(refusal);
        go::read(kind, &bytes)
    }

    pub fn path(&self, kind: FileKind) -> &Path {
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

    pub fn at(
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
