//! cloudcred: from whatever a person has to verified, safely stored AWS credentials for CloudStudio.
//!
//! The modules below are in the order of their layers: each imports only from those above it.

pub mod error;
pub mod diagnostic;
pub mod process;
pub mod env;
pub mod browser;
pub mod callback;
pub mod secret;
pub mod pasted;
pub mod export;
pub mod private_file;
pub mod output;
pub mod clipboard;
pub mod interrupt;
pub mod stdin;
pub mod prompt;
pub mod aws_files;
pub mod store;
pub mod aws_profile;
pub mod aws;
pub mod cli;
pub mod setup;
pub mod commands;
