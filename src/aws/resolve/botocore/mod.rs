//! What the AWS CLI and Ansible use: botocore's chain of providers (`botocore/credentials.py`), and what the
//! modules of `amazon.aws` do before it.

mod chain;
mod checks;
mod files;

use crate::aws::resolve::botocore::chain::{Chain, half_of_the_variables};
pub use crate::aws::resolve::botocore::files::Botocore;
use crate::aws::resolve::pair::Pair;
use crate::aws::resolve::settings::Settings;
use crate::aws::resolve::verdict::{Provider, VARIABLES, Verdict, uses};
use crate::diagnostic::Diagnostic;

impl Botocore {
    /// Version 2, which users have.
    pub fn aws_cli(&self, settings: &Settings) -> Verdict {
        // The older variable goes first, also where it is set to nothing.
        let profile = ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"].iter().find_map(|it| settings.raw(it));
        let chain = Chain { files: self, settings, with_variables: true, asks_for_codes: true };
        chain.check_files(profile)?;
        chain.check_attempts(profile)?;
        // Version 1 still has the mode `legacy`.
        chain.check_settings(profile, &["standard", "adaptive"])?;
        chain.resolve(profile)
    }

    pub fn ansible(&self, settings: &Settings) -> Verdict {
        let given = |names: [&'static str; 2]| names.into_iter().find_map(|it| settings.raw(it));
        let profile = given(["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        let id = given(["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]).unwrap_or_default();
        let secret = given(["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]).unwrap_or_default();
        let token = settings.var("AWS_SESSION_TOKEN");
        let named = profile.filter(|name| !name.is_empty());
        if let Some(profile) = named
            && !(id.is_empty() && secret.is_empty() && token.is_none())
        {
            let message =
                format!("Ansible refuses AWS_PROFILE (`{profile}`) beside keys in variables");
            let hint = "unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE";
            return Err(Diagnostic::new("profile_and_keys", message, hint));
        }
        let chain =
            Chain { files: self, settings, with_variables: named.is_none(), asks_for_codes: false };
        chain.check_files(profile)?;
        chain.check_attempts(profile)?;
        chain.check_settings(profile, &["legacy", "standard", "adaptive"])?;
        match (id, secret) {
            ("", "") => chain.resolve(profile),
            ("", _) | (_, "") => Err(half_of_the_variables()),
            _ => match (Pair { id, secret, token }).problem(VARIABLES) {
                Some(problem) => Err(problem),
                None => Ok(uses(Provider::Environment, None, Some(id))),
            },
        }
    }
}
