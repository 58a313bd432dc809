//! The questions that exist, and who answers them: a person at a terminal, or nobody.

mod question;
#[cfg(test)]
pub mod script;
mod terminal;
mod unattended;

pub use question::{Check, Choice, Prompt, Question};
pub use terminal::Terminal;
pub use unattended::Unattended;
