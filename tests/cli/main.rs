//! The real program against a real IAM server, in a throw-away home.

// The harness is shared with the sandbox; neither uses all of it.
#[allow(dead_code)]
#[allow(clippy::disallowed_methods)] // the rule is the program's; a harness has no Env
#[path = "../support/mod.rs"]
mod support;

mod harness;
mod layering;
mod secret;
mod setup;
#[cfg(unix)]
mod wizard;

use support::home::Home;
use support::moto::{Moto, shared};

/// A home whose program talks to the shared server.
fn home() -> Home {
    home_at(&shared().url())
}

fn home_at(url: &str) -> Home {
    Home::new(env!("CARGO_BIN_EXE_cloudcred")).endpoint(url)
}

fn moto() -> &'static Moto {
    shared()
}
