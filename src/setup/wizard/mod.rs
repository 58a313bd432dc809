//! Makes a Request complete: asks for what flags left open, each question once, with a default.
//! Decides nothing about AWS and changes nothing; where nobody can be asked, defaults answer.

mod console;
mod context;
mod credentials;
mod iam_user;
mod mode;
mod root;
mod target;
#[cfg(test)]
mod tests;

pub use context::{Lookups, Piped, Wizard, working};
