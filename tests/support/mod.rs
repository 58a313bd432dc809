//! The real parts that tests and the sandbox run cloudcred against: an IAM server, a keyring, a terminal.
//! Nothing here knows what cloudcred should do. A part that cannot be had is a panic which names the
//! command that installs it; tests that `parts` lets the runner leave out do not get so far.

pub mod aws_cli;
#[cfg(target_os = "linux")]
pub mod fsync_fault;
pub mod home;
pub mod moto;
pub mod parts;
pub mod process;
pub mod proxy;
pub mod python;
pub mod random;
#[cfg(target_os = "linux")]
pub mod secret_service;
pub mod signin;
pub mod stale;
#[cfg(unix)]
pub mod terminal;
#[cfg(target_os = "linux")]
pub mod x_server;
