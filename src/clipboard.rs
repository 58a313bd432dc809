//! The clipboard: the system's, or over SSH that of the person's own terminal (OSC 52).

use std::sync::Arc;

#[cfg(target_os = "macos")]
use arboard::SetExtApple as _;
#[cfg(all(unix, not(target_os = "macos")))]
use arboard::SetExtLinux as _;
#[cfg(windows)]
use arboard::SetExtWindows as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::output::Output;

pub enum Clipboard {
    System(arboard::Clipboard),
    /// Write only: terminals answer no question about what they hold.
    Terminal(Arc<Output>),
}

impl Clipboard {
    pub fn open(env: &Env, output: &Arc<Output>) -> Result<Self> {
        if env.is_remote() && env.stderr_is_terminal {
            return Ok(Clipboard::Terminal(Arc::clone(output)));
        }
        arboard::Clipboard::new()
            .map(Clipboard::System)
            .map_err(|cause| Error::failed("there is no clipboard").caused_by(cause))
    }

    /// Puts the text there, and asks programs that keep a history to leave it out.
    pub fn put(&mut self, text: &SecretString) -> Result<()> {
        let text = text.expose_secret();
        match self {
            Clipboard::System(clipboard) => {
                let put = clipboard.set().exclude_from_history().text(text);
                put.map_err(|cause| refused("the clipboard refuses the text", cause))
            }
            Clipboard::Terminal(output) => tell_terminal(output, text),
        }
    }

    /// Empties it, unless it is known to hold something else by now; whether it was emptied.
    pub fn clear(&mut self, text: &SecretString) -> Result<bool> {
        match self {
            Clipboard::System(clipboard) => {
                let present = clipboard.get_text().map(Zeroizing::new);
                // An image, say, is something else, too.
                if !present.is_ok_and(|present| *present == text.expose_secret()) {
                    return Ok(false);
                }
                let cleared = clipboard.clear();
                cleared.map_err(|cause| refused("the clipboard cannot be cleared", cause))?;
            }
            Clipboard::Terminal(output) => tell_terminal(output, "")?,
        }
        Ok(true)
    }
}

fn tell_terminal(output: &Output, text: &str) -> Result<()> {
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(text));
    output.control_terminal(&Zeroizing::new(format!("\u{1b}]52;c;{}\u{7}", *encoded)))
}

fn refused(what: &str, cause: arboard::Error) -> Error {
    Error::failed(format!("{what}: {cause}")).caused_by(cause)
}
