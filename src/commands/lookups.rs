//! What the wizard looks up while it asks, and what it has the person do elsewhere.

use std::future::Future;

use crate::aws::account::{self, PasswordPolicy};
use crate::aws::credential::Credential;
use crate::aws::mfa::{MfaRole, check_code};
use crate::aws::profiles;
use crate::aws_files::AwsFiles;
use crate::browser;
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::commands::sign_in::{Browser, BrowserSession};
use crate::error::{Error, Result};
use crate::prompt::{Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::wizard::Lookups;
use crate::store::keyring::Keyring;

/// The roles in the `~/.aws` files that need the code of an MFA device. Files that cannot be read
/// have none; whoever needs them reports that.
pub fn mfa_roles(context: &Context) -> Vec<MfaRole> {
    let profiles = AwsFiles::of(&context.env).profiles();
    let all = profiles.profiles.iter();
    all.filter_map(|profile| MfaRole::of(profile, &profiles)).collect()
}

/// Lookups at AWS and on this machine.
pub struct LiveLookups<'a> {
    pub aws: &'a Aws,
    pub context: &'a Context,
    /// Whether addresses are only printed.
    pub no_browser: bool,
}

impl LiveLookups<'_> {
    fn read<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.context.output.working(what);
        let result = self.aws.read(work);
        self.context.output.done();
        result
    }
}

impl Lookups for LiveLookups<'_> {
    fn check_pair(&self, pair: &KeyPair) -> Result<Credential> {
        let sdk = &self.aws.sdk;
        self.read("Asking AWS whose key this is …", async {
            Ok(profiles::check_given(sdk, pair).await)
        })
    }

    fn sign_in(&self, prompt: &mut dyn Prompt) -> Result<Credential> {
        let browser = Browser { no_browser: self.no_browser, ..Browser::default() };
        let session = BrowserSession::start(browser, self.aws, prompt, self.context)?;
        Ok(session.credentials())
    }

    fn assume_with_mfa(&self, role: &MfaRole, prompt: &mut dyn Prompt) -> Result<Credential> {
        let code = match &self.context.global.mfa_code {
            Some(code) => code.clone(),
            None => {
                let text = format!("Code of {}, for profile `{}`", role.serial, role.profile);
                prompt.text(Question::required(&text, "--mfa-code"), None, &check_code)?
            }
        };
        check_code(&code)?;
        let sdk = &self.aws.sdk;
        let profiles = AwsFiles::of(&self.context.env).profiles();
        self.read("Assuming the role …", role.assume(sdk, &profiles, &code))
    }

    fn open(&self, address: &str) -> Result<()> {
        browser::open(&self.context.env, address).map_err(Error::from)
    }

    fn password_policy(&self, caller: &Credential) -> Result<Option<PasswordPolicy>> {
        let iam = self.aws.sdk.iam(&caller.session);
        self.read("Asking AWS for the password policy …", async {
            // If it may not be read, AWS itself checks the password when it is set.
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
