//! Everything that speaks to AWS. Only `iam` changes anything there.

pub mod account;
pub mod iam;
pub mod identity;
pub mod profiles;
pub mod proof;
pub mod sdk;
