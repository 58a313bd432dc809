//! cloudcred: from whatever a person has to verified, safely stored AWS credentials for CloudStudio.
//!
//! The modules below are in the order of their layers: each imports only from those above it.

pub mod aws;
pub mod cli;
pub mod commands;
pub mod env;
pub mod error;
pub mod interrupt;
pub mod output;
pub mod pasted;
pub mod private_file;
pub mod prompt;
pub mod secret;
pub mod setup;
pub mod store;
