//! What the wizard looks up while it asks, and what it has the person do elsewhere.

use std::future::Future;

use crate::aws::account::{self, PasswordPolicy};
use crate::aws::found::Found;
use crate::aws::mfa::{GuardedRole, check_code};
use crate::aws::profiles::{self, Scope};
use crate::browser;
use crate::commands::Context;
use crate::commands::aws::Aws;
use crate::commands::login::{self, Way};
use crate::error::{Error, Result};
use crate::prompt::{Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::wizard::Inquiry;
use crate::shared_config::SharedConfig;
use crate::store::keyring::Keyring;

/// The roles in the `~/.aws` files that need the code of an MFA device. Files that cannot be read
/// have none: whoever needs them says so.
pub fn guarded_roles(context: &Context) -> Vec<GuardedRole> {
    let profiles = SharedConfig::of(&context.env).profiles();
    let all = profiles.profiles.iter();
    all.filter_map(|profile| GuardedRole::of(profile, &profiles))
        .collect()
}

/// What the wizard looks up while it asks.
pub struct Asking<'a> {
    pub aws: &'a Aws,
    pub context: &'a Context,
    /// Whether a sign-in only prints its address.
    pub no_browser: bool,
}

impl Asking<'_> {
    fn read<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.context.output.working(what);
        let result = self.aws.read(work);
        self.context.output.done();
        result
    }
}

impl Inquiry for Asking<'_> {
    fn check_pair(&self, pair: &KeyPair) -> Result<Found> {
        let sdk = &self.aws.sdk;
        self.read("Asking AWS whose key this is …", async {
            Ok(profiles::check_given(sdk, pair).await)
        })
    }

    fn sign_in(&self, prompt: &mut dyn Prompt) -> Result<Found> {
        let way = Way {
            no_browser: self.no_browser,
            ..Way::default()
        };
        let profile = login::sign_in(way, self.aws, prompt, self.context)?.profile;
        // As AWS's own tools find it from now on.
        let scope = Scope::Profiles(std::slice::from_ref(&profile));
        let found = self.read("Looking at the session …", async {
            profiles::find(&self.aws.sdk, &self.context.env, scope).await
        })?;
        let found = found.into_iter().next();
        found.ok_or_else(|| Error::failed(format!("the profile `{profile}` is gone again")))
    }

    fn with_code(&self, role: &GuardedRole, prompt: &mut dyn Prompt) -> Result<Found> {
        let code = match &self.context.global.mfa_code {
            Some(code) => code.clone(),
            None => {
                let text = format!("Code of {}, for profile `{}`", role.serial, role.profile);
                prompt.text(Question::required(&text, "--mfa-code"), None, &check_code)?
            }
        };
        check_code(&code)?;
        let sdk = &self.aws.sdk;
        let profiles = SharedConfig::of(&self.context.env).profiles();
        self.read("Assuming the role …", role.assume(sdk, &profiles, &code))
    }

    fn open(&self, address: &str) -> Result<()> {
        browser::open(&self.context.env, address).map_err(Error::from)
    }

    fn password_policy(&self, caller: &Found) -> Result<Option<PasswordPolicy>> {
        let iam = self.aws.sdk.iam(&caller.session);
        self.read("Asking AWS for the password policy …", async {
            // Whoever may not read it is told by AWS when the password is set.
            Ok(account::password_policy(&iam).await.ok())
        })
    }

    fn keyring_trouble(&self) -> Result<Option<String>> {
        let keyring = Keyring::new(self.context.patience());
        let trouble = self.read("Asking the keyring …", async move {
            let asking = tokio::task::spawn_blocking(move || keyring.reachable());
            Ok(asking.await.map_err(anyhow::Error::from)?.err())
        })?;
        Ok(trouble.map(|error| error.message))
    }
}
