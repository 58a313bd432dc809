//! What the wizard looks up while it asks, and what it has the person do elsewhere.

use crate::aws::account::{self, PasswordPolicy};
use crate::aws::credential::{Credential, Source};
use crate::aws::mfa::{MfaRole, check_code};
use crate::aws::profiles;
use crate::aws::resolve::Tools;
use crate::aws_files::AwsFiles;
use crate::browser;
use crate::commands::context::{Aws, Context};
use crate::commands::sign_in::BrowserSession;
use crate::error::{Error, Kind, Result};
use crate::prompt::{Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::wizard::Lookups;
use crate::store::keyring::Keyring;

/// The roles in the `~/.aws` files that need an MFA code; none where the files cannot be read.
pub fn mfa_roles(context: &Context) -> Vec<MfaRole> {
    let profiles = AwsFiles::of(&context.env).profiles();
    let all = profiles.profiles.iter();
    all.filter_map(|profile| MfaRole::of(profile, &profiles)).collect()
}

impl Lookups for Aws<'_> {
    fn check_pair(&self, pair: &KeyPair) -> Result<Credential> {
        let check = async { Ok(profiles::check_given(&self.sdk, pair).await) };
        self.during("Asking AWS whose key this is …", check)
    }

    fn sign_in(&self) -> Result<Credential> {
        Ok(BrowserSession::here(None, self)?.credential())
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
        let profiles = AwsFiles::of(&self.context.env).profiles();
        self.during("Assuming the role …", role.assume(&self.sdk, &profiles, &code))
    }

    fn open(&self, address: &str) -> Result<()> {
        browser::open(&self.context.env, address).map_err(Error::from)
    }

    fn password_policy(&self, caller: &Credential) -> Result<Option<PasswordPolicy>> {
        let iam = self.sdk.iam(&caller.session);
        self.during("Asking AWS for the password policy …", async {
            // If it may not be read, AWS itself checks the password when it is set.
            Ok(account::password_policy(&iam).await.ok())
        })
    }

    fn refusal_of_tools(&self, credential: &Credential) -> Option<Error> {
        let (env, source) = (&self.context.env, &credential.source);
        if *source == Source::Instance {
            // All tools end there, where nothing goes before it.
            return None;
        }
        let tools = self.tools.get_or_init(|| Tools::of(env, false));
        // What is selected anyway need not be named to them.
        let profile = source.profile_name().filter(|name| *name != profiles::selected_profile(env));
        let verdicts = tools.verdicts(profile);
        let (tool, problem) = verdicts.refusal_in_cloudstudio()?;
        let (source, why) = (source.described(), problem.located());
        let message = format!("AWS accepts {source}, but {tool} cannot use it: {why}");
        let error = Error::new(Kind::AnswerNeeded, message).hint(&problem.hint);
        Some(error.and_hint("or let --mode say what CloudStudio shall use instead"))
    }

    fn keyring_trouble(&self) -> Result<Option<String>> {
        let keyring = Keyring::new(self.vault.patience);
        let trouble = self.during("Asking the keyring …", async move {
            let asking = tokio::task::spawn_blocking(move || keyring.reachable());
            Ok(asking.await.map_err(anyhow::Error::from)?.err())
        })?;
        Ok(trouble.map(|error| error.message))
    }
}
