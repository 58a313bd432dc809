//! What came out of a setup: one value, as text and as JSON.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::output::{Page, Report};
use crate::setup::request::Mode;
use crate::store::{SecretName, StoreKind};

#[derive(Serialize)]
pub struct SetupReport {
    pub changed: bool,
    pub mode: Mode,
    pub account_id: String,
    pub arn: String,
    pub user_name: Option<String>,
    pub access_key_id: Option<String>,
    pub key_description: Option<String>,
    pub verified: bool,
    pub secret: Option<SecretReport>,
    pub aws_profile: Option<String>,
    /// The profile that stays in place, in mode `existing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    pub run: Option<String>,
    pub steps: Vec<StepReport>,
    pub warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    /// A generated one only: it was asked for, and this is the one time it is shown.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    pub console_password: Option<SecretString>,
    /// For people only: what is in place, and what to do next.
    #[serde(skip)]
    pub headline: String,
}

#[derive(Serialize)]
pub struct SecretReport {
    pub name: SecretName,
    pub store: StoreKind,
    pub current: bool,
}

#[derive(Serialize)]
pub struct StepReport {
    pub step: &'static str,
    pub status: &'static str,
}

fn exposed<S: serde::Serializer>(
    password: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match password {
        Some(password) => serializer.serialize_str(password.expose_secret()),
        None => serializer.serialize_none(),
    }
}

impl Report for SetupReport {
    fn text(&self, page: &Page) -> String {
        let mut text = format!("\n{}\n", page.strong(&self.headline));
        if let (Some(url), Some(user)) = (&self.console_url, &self.user_name) {
            text.push_str(&format!("  Console   {url}  as {user}\n"));
        }
        if let Some(password) = &self.console_password {
            text.push_str(&format!(
                "  Password  {}  (shown only now)\n",
                password.expose_secret()
            ));
        }
        let planned = self.steps.iter().any(|step| step.status == "planned");
        match &self.secret {
            Some(secret) if !planned && secret.store != StoreKind::Stdout => {
                text.push_str(&format!(
                    "  To paste it into CloudStudio:  cloudcred secret show {} --reveal\n",
                    secret.name
                ));
                text.push_str(
                    "  In the app:  AWS provider → add secret → paste, apply → set current\n",
                );
            }
            _ => {}
        }
        text
    }
}
