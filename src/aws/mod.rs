//! Everything that speaks to AWS. Only `iam` changes anything there.

pub mod sdk;
pub mod identity;
pub mod account;
pub mod proof;
pub mod profiles;
pub mod iam;
