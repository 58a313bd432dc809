//! What the secret commands say of a secret, and how they ask.

use serde::Serialize;
use serde_json::json;

use crate::aws::identity::Identity;
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::output::{Page, Report};
use crate::prompt::{Prompt, Question};
use crate::store::index::Entry;

/// The result of a command: its JSON, and its text.
pub fn answer(
    context: &Context,
    json: serde_json::Value,
    text: impl Fn(&Page) -> String,
) -> Result<()> {
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Answer<F> {
        json: serde_json::Value,
        #[serde(skip)]
        text: F,
    }
    impl<F: Fn(&Page) -> String> Report for Answer<F> {
        fn text(&self, page: &Page) -> String {
            (self.text)(page)
        }
    }
    context.output.result(&Answer { json, text })
}

/// One secret as `--output json` shows it.
pub fn listed(entry: &Entry, is_current: bool) -> serde_json::Value {
    json!({
        "name": entry.name,
        "store": entry.store,
        "current": is_current,
        "access_key_id": entry.access_key_id,
        "account_id": entry.account_id,
        "arn": entry.arn,
        "created_at": entry.created_at,
        "verified_at": entry.verified_at,
    })
}

/// `user/ana in 111122223333`, unless AWS was never asked.
pub fn whose(entry: &Entry) -> String {
    match (&entry.account_id, &entry.arn) {
        (Some(account_id), Some(arn)) => Identity::new(account_id, arn).described(),
        _ => "not verified".to_owned(),
    }
}

/// What CloudStudio's page says of a secret.
pub fn state(current: bool) -> &'static str {
    if current { "set on environment" } else { "not set" }
}

/// Asks a question that `flag` answers, and ends the command unless the answer is yes.
pub fn confirm(prompt: &mut dyn Prompt, text: &str, flag: &str) -> Result<()> {
    if prompt.confirm(Question::required(text, flag))? {
        return Ok(());
    }
    Err(Error::cancelled().hint("nothing was changed"))
}
