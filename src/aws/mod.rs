//! Everything that speaks to AWS. Only `iam` changes anything there.

pub mod partition;
pub mod failure;
mod wire;
pub mod endpoints;
pub mod sdk;
pub mod identity;
pub mod account;
pub mod dependents;
pub mod configured;
pub mod credential;
mod unusable;
mod program;
pub mod signin;
pub mod resolve;
pub mod profiles;
pub mod warnings;
pub mod mfa;
pub mod proof;
pub mod evidence;
pub mod iam;
