//! The providers of botocore, one after the other.

use jiff::Timestamp;

use crate::aws::resolve::botocore::files::{Botocore, Profile};
use crate::aws::resolve::file::{Section, Value};
use crate::aws::resolve::pair::Pair;
use crate::aws::resolve::process::starts_without_shell;
use crate::aws::resolve::settings::Settings;
use crate::aws::resolve::sign_in::{login_problem, sso_problem};
use crate::aws::resolve::verdict::{
    LONGEST_CHAIN, Provider, VARIABLES, Verdict, elsewhere, shown, uses, web_identity_problem,
};
use crate::diagnostic::Diagnostic;

/// One of a profile's own providers.
#[derive(Clone, Copy)]
enum OwnProvider {
    WebIdentity,
    Sso,
    KeysOfCredentials,
    Login,
    Process,
    KeysOfConfig,
}

/// In botocore's order.
const OF_A_PROFILE: [OwnProvider; 6] = [
    OwnProvider::WebIdentity,
    OwnProvider::Sso,
    OwnProvider::KeysOfCredentials,
    OwnProvider::Login,
    OwnProvider::Process,
    OwnProvider::KeysOfConfig,
];

/// One way through the providers.
pub struct Chain<'a> {
    pub files: &'a Botocore,
    pub settings: &'a Settings<'a>,
    /// Whether credentials in variables count: not where a program has named a profile to botocore.
    pub with_variables: bool,
    /// Whether a person is asked for the code of an MFA device.
    pub asks_for_codes: bool,
}

impl<'a> Chain<'a> {
    pub fn resolve(&self, profile: Option<&'a str>) -> Verdict {
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
            OwnProvider::WebIdentity => self.web_identity(profile, with_variables),
            OwnProvider::Sso => self.sso(profile),
            OwnProvider::KeysOfCredentials => self.keys(profile, profile.credentials),
            OwnProvider::Login => {
                let session = profile.value("login_session")?;
                let problem = login_problem(self.settings, &session.text, profile.name);
                Some(self.unless(problem, Some(session), Provider::Login, profile))
            }
            OwnProvider::Process => {
                let command = profile.value("credential_process")?;
                let problem = starts_without_shell(self.settings, &command.text).err();
                Some(self.unless(problem, Some(command), Provider::CredentialProcess, profile))
            }
            OwnProvider::KeysOfConfig => self.keys(profile, profile.config),
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
                format!("there is no sso-session {}", shown(session.unwrap_or_default())),
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
        if profile.text("mfa_serial").is_some() && !self.asks_for_codes {
            let message =
                format!("the role of `{name}` needs an MFA code, which Ansible cannot ask for");
            let hint = "run it in `cloudcred exec`, or use a profile with credential_process";
            return fails("mfa", message, hint);
        }
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
                let message = format!("{} is no credential_source", shown(other));
                let hint = "write Environment, Ec2InstanceMetadata or EcsContainer";
                return fails("credential_source", message, hint);
            }
            (Some(source), None) => {
                let Some(origin) = self.files.profile(source) else {
                    let message =
                        format!("the source_profile {} of `{name}` is not there", shown(source));
                    return fails("source_missing", message, "name a profile that is there");
                };
                let is_own = source == name && origin.has_keys();
                if visited.len() > LONGEST_CHAIN || visited.contains(&source) && !is_own {
                    let message =
                        format!("the roles of `{name}` and {} wait for each other", shown(source));
                    return fails("circle", message, "end the circle at a profile with keys");
                }
                let verdict = if origin.is_role() && !origin.has_keys() {
                    visited.push(source);
                    self.role(origin, visited)
                } else {
                    self.of_profile(origin, false).unwrap_or_else(|| {
                        let message =
                            format!("the source profile {} has no credentials", shown(source));
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

pub fn half_of_the_variables() -> Diagnostic {
    let message = "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set without the other";
    Diagnostic::new("partial_credentials", message, "set both, or neither")
}
