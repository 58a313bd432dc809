//! What is done with past runs: `resume` and `undo`, which `setup` offers as well.

mod caller;
mod find;
pub mod resume;
pub mod undo;

pub use caller::PastRun;
pub use find::{clear_half_written, find_abandoned};
