//! `cloudcred secret copy`: a secret on the clipboard for as long as it takes to paste it.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use tokio::time::interval;

use crate::cli::{CopySecret, Field};
use crate::clipboard::Clipboard;
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::interrupt::{Interrupt, signal_runtime};
use crate::output::{Output, table};

pub fn run(flags: &CopySecret, context: &Context) -> Result<()> {
    let (entry, pair) = context.secret(flags.name.as_deref())?;
    let (name, output) = (entry.name, &context.output);
    let reveal =
        |error: Error| error.hint(format!("print it: cloudcred secret show {name} --reveal"));
    let mut clipboard = Clipboard::open(&context.env, output).map_err(reveal)?;
    let (text, field, paste) = match flags.field {
        Field::Json => {
            (pair.to_document(), "json", "paste it in place of what the editor shows, and apply")
        }
        Field::AccessKey => (
            SecretString::from(pair.access_key_id),
            "access_key",
            "paste it as access_key; then copy the other half with --field secret_key",
        ),
        Field::SecretKey => {
            (pair.secret_access_key, "secret_key", "paste it as secret_key, and apply")
        }
    };
    let what = if field == "json" { "document" } else { field };
    let is_cleared = signal_runtime()?.block_on(async {
        // Before there is anything to be cleared.
        let interrupt = Interrupt::listen()?;
        clipboard.put(&text).map_err(reveal)?;
        output.say(&format!("On the clipboard: the {what} of `{name}`. In CloudStudio:"));
        let steps = [["1", "AWS provider → add secret"], ["2", paste], ["3", "set current"]];
        let rows = steps.map(|row| row.map(str::to_owned).to_vec());
        output.say(table(&rows, output.page().width).trim_end());
        if matches!(clipboard, Clipboard::Terminal(_)) {
            let seconds = flags.clear_after;
            output.say(&format!(
                "It was sent to your terminal, which may not accept it: then `cloudcred secret show {name} --reveal` prints it. In {seconds} s the clipboard is cleared, whatever is on it by then."
            ));
        }
        tokio::select! {
            biased;
            () = interrupt.wait() => {}
            () = count_down(flags.clear_after, output) => {}
        }
        output.done();
        clipboard.clear(&text)
    })?;
    context.result(json!({"name": name, "field": field, "cleared": is_cleared}), |_| {
        let text = if is_cleared {
            "the clipboard is cleared\n"
        } else {
            "something else is on the clipboard by now: it was left alone\n"
        };
        text.to_owned()
    })
}

async fn count_down(seconds: u64, output: &Output) {
    let mut ticks = interval(Duration::from_secs(1));
    for left in (1..=seconds).rev() {
        ticks.tick().await;
        output.working(&format!("on the clipboard for {left} s more; Ctrl-C clears it now"));
    }
    ticks.tick().await;
}
