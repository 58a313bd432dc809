//! What makes Go refuse a profile, or to work at all, whatever the credentials are.

use crate::aws::resolve::settings::Settings;
use crate::aws::resolve::terraform::files::{Profile, Terraform};
use crate::aws::resolve::verdict::{DEFAULTS_MODES, LONGEST_CHAIN, ca_bundle_problem, shown};
use crate::diagnostic::Diagnostic;

impl Terraform {
    /// What Go finds wrong with a profile when it reads it, and with those that it builds on.
    pub fn check<'a>(
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
        if !visited.is_empty() && profile.has_keys() || visited.len() > LONGEST_CHAIN {
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
                let message =
                    format!("the source_profile {} of `{name}` is not there", shown(source));
                return Err(fails("source_missing", message));
            };
            self.check(source, origin, visited)?;
            let again = visited.iter().filter(|it| **it == source).count() > 1;
            if !has_credentials(origin, again) {
                let message = format!("the source profile {} has no credentials", shown(source));
                return Err(fails("source_empty", message));
            }
        }
        let session = profile.text("sso_session");
        if !session.is_empty() && !self.sso_sessions.contains_key(session.trim()) {
            let message = format!("there is no sso-session {}", shown(session));
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
            let message = format!("retry_mode of profile `{name}` is {}", shown(&mode.text));
            return Err(self.at("retry_mode", message, "set it to standard or adaptive", mode));
        }
        if let Some(attempts) = value("max_attempts")
            && attempts.text.parse::<i64>().is_err()
        {
            let message = format!("max_attempts of profile `{name}` is {}", shown(&attempts.text));
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
            let message = format!("defaults_mode of profile `{name}` is {}", shown(&mode.text));
            return Err(self.at(
                "defaults_mode",
                message,
                "set it to standard, or remove it",
                mode,
            ));
        }
        Ok(())
    }
}

fn has_credentials(profile: &Profile, seen_before: bool) -> bool {
    let keys = ["credential_source", "credential_process", "web_identity_token_file"];
    let sso = ["sso_session", "sso_account_id", "sso_start_url"];
    profile.has_keys()
        || (!seen_before && !profile.text("source_profile").is_empty())
        || keys.iter().chain(&sso).any(|key| !profile.text(key).is_empty())
}

pub fn check_variables(settings: &Settings) -> Result<(), Diagnostic> {
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
