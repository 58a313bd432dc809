//! What the targets of real-program tests share: their runner, and the program in a home of its own.

pub mod runner;

use crate::support::home::Home;
use crate::support::moto::{KeyPair, Moto, shared};

/// A home whose program talks to the shared server.
pub fn home() -> Home {
    home_at(&shared().url())
}

pub fn home_at(url: &str) -> Home {
    Home::new(env!("CARGO_BIN_EXE_cloudcred")).endpoint(url)
}

pub fn moto() -> &'static Moto {
    shared()
}

/// Keeps the pair in this home's file store without asking AWS, through the program.
#[cfg(unix)]
#[track_caller]
pub fn keep(home: &Home, name: &str, pair: &KeyPair) {
    let lines = format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key);
    let add = ["secret", "add", name, "--store", "file", "--key-stdin"];
    home.run_with_stdin(&[&add[..], &["--no-verify"]].concat(), &lines).expect(0);
}

/// A pair that looks like AWS's and belongs to nobody.
#[cfg(unix)]
pub fn made_up_pair(number: u32) -> KeyPair {
    KeyPair {
        access_key_id: format!("AKIAMADEUP{number:010}"),
        secret_access_key: format!("wJalrXUtnFEMI/K7MDENG+bPxRfiCY{number:010}"),
    }
}

/// Reads a CloudStudio document.
#[track_caller]
pub fn stored_pair(document: &str) -> KeyPair {
    #[derive(serde::Deserialize)]
    struct Document {
        access_key: String,
        secret_key: String,
    }
    let document: Document = serde_json::from_str(document).expect("the CloudStudio JSON");
    KeyPair { access_key_id: document.access_key, secret_access_key: document.secret_key }
}

/// Runs each case on one of a few threads.
pub fn each(cases: usize, case: impl Fn(usize) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if at > cases {
                        return;
                    }
                    case(at);
                }
            });
        }
    });
}

/// Whether the slow cases run too, as in `.ci/run`.
pub fn is_full() -> bool {
    std::env::var_os("CLOUDCRED_FULL_MATRIX").is_some()
}
