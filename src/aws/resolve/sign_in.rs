//! Whether somebody has signed in for a profile: the tools keep what they got in cache files.

use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use crate::aws::resolve::settings::Settings;
use crate::aws::resolve::verdict::{expanded, home};
use crate::aws::signin::cache_file;
use crate::diagnostic::Diagnostic;

/// Looks for the cached token of IAM Identity Center, by the name of its session or its start address.
pub fn sso_problem(settings: &Settings, key: &str, profile: &str) -> Option<Diagnostic> {
    let folder = PathBuf::from(home(settings.env)?).join(".aws/sso/cache");
    let cache = folder.join(format!("{:x}.json", Sha1::digest(key)));
    signed_out(&cache, format!("aws sso login --profile {profile}"))
}

/// Looks for the cached credentials of a browser sign-in.
pub fn login_problem(settings: &Settings, session: &str, profile: &str) -> Option<Diagnostic> {
    let folder = match settings.var("AWS_LOGIN_CACHE_DIRECTORY") {
        Some(folder) => expanded(settings.env, folder),
        None => PathBuf::from(home(settings.env)?).join(".aws/login/cache"),
    };
    signed_out(&cache_file(&folder, session), format!("cloudcred login --profile {profile}"))
}

fn signed_out(cache: &Path, command: String) -> Option<Diagnostic> {
    let hint = format!("sign in: {command}");
    (!cache.is_file()).then(|| Diagnostic::new("signed_out", "nobody is signed in for it", hint))
}
