//! What makes botocore refuse to work at all, whatever the credentials are.

use crate::aws::resolve::botocore::chain::Chain;
use crate::aws::resolve::file::Value;
use crate::aws::resolve::verdict::{DEFAULTS_MODES, ca_bundle_problem, missing_profile, shown};
use crate::diagnostic::Diagnostic;
use crate::env::is_region;

/// A setting that a variable or a profile's key gives.
struct Setting<'a> {
    name: String,
    text: &'a str,
    value: Option<&'a Value>,
}

impl<'a> Chain<'a> {
    /// What makes every command fail, whatever the credentials are.
    pub fn check_files(&self, profile: Option<&'a str>) -> Result<(), Diagnostic> {
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
        let message = format!("{} is {}", setting.name, shown(setting.text));
        self.files.at(Diagnostic::new(code, message, hint), setting.value)
    }

    pub fn check_attempts(&self, profile: Option<&'a str>) -> Result<(), Diagnostic> {
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

    pub fn check_settings(
        &self,
        profile: Option<&'a str>,
        modes: &[&str],
    ) -> Result<(), Diagnostic> {
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
}
