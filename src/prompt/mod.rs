//! The questions that exist, and who answers them: a person at a terminal, or nobody.

mod question;
#[cfg(test)]
pub mod script;
mod terminal;

pub use question::{Check, Choice, Prompt, Question, Unattended};
pub use terminal::Terminal;
