//! Everything that speaks to AWS. Only `iam` changes anything there.

pub mod failure;
pub mod sdk;
pub mod identity;
pub mod console;
pub mod found;
pub mod profiles;
pub mod mfa;
pub mod signin;
pub mod account;
pub mod proof;
pub mod iam;
