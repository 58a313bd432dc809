//! Makes a Request complete: asks for what flags left open, each question once, with a default.
//! Decides nothing about AWS and changes nothing; where nobody can be asked, defaults answer.

mod console;
mod credentials;
mod iam_user;
mod mode;
mod root;
mod target;
#[cfg(test)]
mod tests;

use secrecy::SecretString;

use crate::aws::account::PasswordPolicy;
use crate::aws::credential::Credential;
use crate::aws::mfa::MfaRole;
use crate::aws::partition::Partition;
use crate::cli::Setup;
use crate::error::{Error, Kind, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::secret::KeyPair;
use crate::store::index::Index;

/// Asks for what the flags leave open.
pub struct Wizard<'a> {
    pub flags: Setup,
    pub piped: Piped,
    /// Checked credentials; the first is the one that tools would use.
    pub credentials: &'a [Credential],
    pub mfa_roles: &'a [MfaRole],
    pub index: &'a Index,
    pub host_name: Option<&'a str>,
    /// Whether a flag said which credentials to use.
    pub credentials_are_named: bool,
    /// Whether a person answers.
    pub attended: bool,
    /// The console of the partition at hand.
    pub console: Partition,
    pub lookups: &'a dyn Lookups,
    pub prompt: &'a mut dyn Prompt,
}

/// What standard input brought.
#[derive(Default)]
pub struct Piped {
    /// For `--key-stdin`.
    pub pair: Option<KeyPair>,
    /// For `--console-password stdin`.
    pub password: Option<SecretString>,
}

/// Credentials; with their pair, if the person gave it.
pub type Given = (Credential, Option<KeyPair>);

/// What is looked up while the questions go on; the wizard itself calls nothing.
pub trait Lookups {
    /// Asks AWS whose pair this is.
    fn check_pair(&self, pair: &KeyPair) -> Result<Credential>;
    /// Has the person sign in with the browser. The session is checked, and kept in memory only.
    fn sign_in(&self) -> Result<Credential>;
    /// Assumes a role with the code of an MFA device, which is asked for unless a flag gives it.
    fn assume_with_mfa(&self, role: &MfaRole, prompt: &mut dyn Prompt) -> Result<Credential>;
    /// Opens a page in the person's browser.
    fn open(&self, address: &str) -> Result<()>;
    /// What the account demands of console passwords; `None` where that may not be read.
    fn password_policy(&self, caller: &Credential) -> Result<Option<PasswordPolicy>>;
    /// Why the keyring cannot be used, if it cannot. Asked only where that matters, because a locked
    /// keyring may ask its owner to unlock it.
    fn keyring_trouble(&self) -> Result<Option<String>>;
    /// Why a tool that CloudStudio runs cannot use these credentials.
    fn refusal_of_tools(&self, credential: &Credential) -> Option<Error>;

    /// Asks until AWS accepts the pair and `accept` does, too.
    fn ask_for_pair(
        &self,
        question: Question,
        prompt: &mut dyn Prompt,
        accept: &dyn Fn(Credential) -> Result<Credential>,
    ) -> Result<Given> {
        loop {
            let pair = prompt.key_pair(question)?;
            match accept(self.check_pair(&pair)?) {
                Ok(credential) => return Ok((credential, Some(pair))),
                Err(refused) if refused.kind == Kind::Credentials => {
                    prompt.tell(&refused.with_hint())?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl<'a> Wizard<'a> {
    /// Lets the person choose one of these, each with a label and a note; the first is the default.
    pub fn choose<T: Copy, const N: usize>(
        &mut self,
        question: Question,
        choices: [(T, &str, &str); N],
    ) -> Result<T> {
        let shown = choices.map(|(_, label, note)| Choice::new(label, note));
        Ok(choices[self.prompt.select(question, &shown, 0)?].0)
    }

    /// The role of credentials that lack only the code of an MFA device.
    pub fn mfa_role(&self, credential: &Credential) -> Option<&'a MfaRole> {
        let name = credential.source.profile_name()?;
        let mut roles = self.mfa_roles.iter().filter(|_| credential.identity().is_none());
        roles.find(|role| role.profile == name)
    }
}

/// The credentials, or why they do not work.
pub fn working(credential: Credential) -> Result<Credential> {
    credential.failure().map_or(Ok(credential), Err)
}
