//! `cloudcred secret copy`: a secret on the clipboard for as long as it takes to paste it, and what
//! to do with it in the app.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::json;

use crate::cli::{CopySecret, Field};
use crate::clipboard::Clipboard;
use crate::commands::context::Context;
use crate::commands::pick_secret;
use crate::commands::secret::answer::answer;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::output::table;

pub fn run(flags: &CopySecret, context: &Context) -> Result<()> {
    let secret = pick_secret::read(flags.name.as_deref(), context)?;
    let name = secret.entry.name;
    let reveal =
        |error: Error| error.hint(format!("print it: cloudcred secret show {name} --reveal"));
    let mut clipboard = Clipboard::open(&context.env, &context.output).map_err(reveal)?;
    let (text, field, what, paste) = match flags.field {
        Field::Json => (
            secret.pair.to_document(),
            "json",
            "the document",
            "paste it in place of what the editor shows, and apply",
        ),
        Field::AccessKey => (
            SecretString::from(secret.pair.access_key_id),
            "access_key",
            "the access_key",
            "paste it as access_key; then copy the other half with --field secret_key",
        ),
        Field::SecretKey => (
            secret.pair.secret_access_key,
            "secret_key",
            "the secret_key",
            "paste it as secret_key, and apply",
        ),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)?;
    let cleared = runtime.block_on(async {
        // Before there is anything to be cleared.
        let mut interrupt = Interrupt::listen()?;
        clipboard.put(&text).map_err(reveal)?;
        let output = &context.output;
        output.say(&format!("On the clipboard: {what} of `{name}`. In CloudStudio:"));
        let steps = [["1", "AWS provider → add secret"], ["2", paste], ["3", "set current"]];
        let rows = steps.map(|row| row.map(str::to_owned).to_vec());
        output.say(table(&rows, output.page().width).trim_end());
        if matches!(clipboard, Clipboard::Terminal(_)) {
            let seconds = flags.clear_after;
            output.say(&format!(
                "It was sent to your terminal, which may not accept it: then `cloudcred secret show {name} --reveal` prints it. In {seconds} s the clipboard is cleared, whatever is on it by then."
            ));
        }
        wait(Duration::from_secs(flags.clear_after), &mut interrupt, context).await;
        clipboard.clear(&text)
    })?;
    answer(context, json!({"name": name, "field": field, "cleared": cleared}), |_| {
        let text = if cleared {
            "the clipboard is cleared\n"
        } else {
            "something else is on the clipboard by now: it was left alone\n"
        };
        text.to_owned()
    })
}

/// Until the time is over or the user ends it.
async fn wait(patience: Duration, interrupt: &mut Interrupt, context: &Context) {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        context.output.working(&format!(
            "on the clipboard for {} s more; Ctrl-C clears it now",
            left.as_secs_f64().ceil()
        ));
        tokio::select! {
            biased;
            () = interrupt.wait() => break,
            () = tokio::time::sleep(left.min(Duration::from_secs(1))) => {}
        }
    }
    context.output.done();
}
