//! Both files as botocore has read them, and the profiles in them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::aws::resolve::file::{Contents, Refusal, Section, Value};
use crate::aws::resolve::python;
use crate::aws::resolve::verdict::{default_path, expanded};
use crate::aws_files::LONGEST_FILE;
use crate::aws_files::text::FileKind;
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::private_file;

/// Both files, as botocore has read them.
pub struct Botocore {
    pub config: File,
    pub credentials: File,
    pub sso_sessions: HashMap<String, Section>,
}

pub struct File {
    path: PathBuf,
    /// By the name of the profile.
    profiles: Result<HashMap<String, Section>, Refusal>,
}

impl File {
    pub fn refusal(&self) -> Option<Diagnostic> {
        let refusal = self.profiles.as_ref().err()?;
        Some(refusal.told(&self.path))
    }

    fn profile(&self, name: &str) -> Option<&Section> {
        self.profiles.as_ref().ok()?.get(name)
    }
}

/// A profile with the values of both files: those of the credentials file win.
#[derive(Clone, Copy)]
pub struct Profile<'a> {
    pub name: &'a str,
    pub config: Option<&'a Section>,
    pub credentials: Option<&'a Section>,
}

impl<'a> Profile<'a> {
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        let credentials = self.credentials.and_then(|section| section.value(key));
        credentials.or_else(|| self.config.and_then(|section| section.value(key)))
    }

    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.value(key).map(|value| value.text.as_str())
    }

    pub fn has_keys(&self) -> bool {
        self.value("aws_access_key_id").is_some() || self.value("aws_secret_access_key").is_some()
    }

    pub fn is_role(&self) -> bool {
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

    pub fn profile<'a>(&'a self, name: &'a str) -> Option<Profile<'a>> {
        let (config, credentials) = (self.config.profile(name), self.credentials.profile(name));
        let is_there = config.is_some() || credentials.is_some();
        is_there.then_some(Profile { name, config, credentials })
    }

    pub fn place(&self, value: &Value) -> (&Path, usize) {
        match value.kind {
            FileKind::Config => (&self.config.path, value.line),
            FileKind::Credentials => (&self.credentials.path, value.line),
        }
    }

    pub fn at(&self, problem: Diagnostic, value: Option<&Value>) -> Diagnostic {
        match value.map(|value| self.place(value)) {
            Some((path, line)) => problem.at(path, line),
            None => problem,
        }
    }
}

/// Empty where there is no such file, or none that can be read.
fn read(path: &Path, kind: FileKind) -> Result<Contents, Refusal> {
    match private_file::read(path, LONGEST_FILE) {
        Ok(Some(bytes)) => python::read(kind, &zeroize::Zeroizing::new(bytes)),
        _ => Ok(Contents::default()),
    }
}
