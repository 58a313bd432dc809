//! What Terraform's AWS provider uses: the chain of the AWS SDK for Go (`config/resolve_credentials.go` in its
//! sources), after what `aws-sdk-go-base` checks before it.

mod checks;
mod files;

use crate::aws::resolve::pair::Pair;
use crate::aws::resolve::process::starts_in_shell;
use crate::aws::resolve::settings::Settings;
use crate::aws::resolve::sign_in::sso_problem;
use crate::aws::resolve::terraform::checks::check_variables;
pub use crate::aws::resolve::terraform::files::Terraform;
use crate::aws::resolve::terraform::files::{ID, Profile, SECRET, TOKEN};
use crate::aws::resolve::verdict::{
    Provider, VARIABLES, Verdict, elsewhere, missing_profile, shown, uses, web_identity_problem,
};
use crate::diagnostic::Diagnostic;

impl Terraform {
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
            (Some(profile), Some(())) => {
                self.of_profile(settings, (name, profile), &mut Vec::new())
            }
            _ => elsewhere(settings),
        }
    }

    fn of_profile<'a>(
        &'a self,
        settings: &Settings,
        (name, profile): (&'a str, &'a Profile),
        visited: &mut Vec<&'a str>,
    ) -> Verdict {
        // A profile that comes up again, or has keys where another one builds on it, is the end of the chain.
        let again = visited.contains(&name);
        let is_end = again || !visited.is_empty() && profile.has_keys();
        visited.push(name);
        let source = if is_end { "" } else { profile.text("source_profile") };
        let has_role = !again && !profile.text("role_arn").is_empty();
        let base = match self.profiles.get_key_value(source) {
            Some((source, origin)) => self.of_profile(settings, (source, origin), visited),
            None => self.own(settings, name, profile),
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
                let message = format!("{} is no credential_source", shown(other));
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
}
