//! What the wizard knows and whom it asks.

use secrecy::SecretString;

use crate::aws::account::PasswordPolicy;
use crate::aws::credential::Credential;
use crate::aws::mfa::MfaRole;
use crate::aws::partition::Partition;
use crate::cli::Setup;
use crate::error::{Kind, Result};
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

/// What is looked up while the questions go on; the wizard itself calls nothing.
pub trait Lookups {
    /// Asks AWS whose pair this is.
    fn check_pair(&self, pair: &KeyPair) -> Result<Credential>;
    /// Has the person sign in with the browser. The session is checked, and kept in memory only.
    fn sign_in(&self, prompt: &mut dyn Prompt) -> Result<Credential>;
    /// Assumes a role with the code of an MFA device, which is asked for unless a flag gives it.
    fn assume_with_mfa(&self, role: &MfaRole, prompt: &mut dyn Prompt) -> Result<Credential>;
    /// Opens a page in the person's browser.
    fn open(&self, address: &str) -> Result<()>;
    /// What the account demands of console passwords; `None` where that may not be read.
    fn password_policy(&self, caller: &Credential) -> Result<Option<PasswordPolicy>>;
    /// Why the keyring cannot be used, if it cannot. Asked only where that matters, because a locked
    /// keyring may ask its owner to unlock it.
    fn keyring_trouble(&self) -> Result<Option<String>>;
}

impl<'a> Wizard<'a> {
    /// Lets the person choose one of these labels, each with a note; the first is the default.
    pub fn choose<const N: usize>(
        &mut self,
        question: Question,
        choices: [(&str, &str); N],
    ) -> Result<usize> {
        let choices = choices.map(|(label, note)| Choice::new(label, note));
        self.prompt.select(question, &choices, 0)
    }

    /// As [`ask_for_pair`], with `text` as the question.
    pub fn ask_for_pair(
        &mut self,
        text: &str,
        accept: &dyn Fn(Credential) -> Result<Credential>,
    ) -> Result<(KeyPair, Credential)> {
        let question = Question::required(text, "--key-stdin");
        ask_for_pair(question, self.lookups, self.prompt, accept)
    }

    /// The role of credentials that lack only the code of an MFA device.
    pub fn mfa_role(&self, found: &Credential) -> Option<&'a MfaRole> {
        let name = found.source.profile_name()?;
        let mut roles = self.mfa_roles.iter();
        let role = roles.find(|role| role.profile == name)?;
        found.identity().is_none().then_some(role)
    }
}

/// Asks until AWS accepts the pair and `accept` does, too.
pub fn ask_for_pair(
    question: Question,
    lookups: &dyn Lookups,
    prompt: &mut dyn Prompt,
    accept: &dyn Fn(Credential) -> Result<Credential>,
) -> Result<(KeyPair, Credential)> {
    loop {
        let pair = prompt.key_pair(question)?;
        match accept(lookups.check_pair(&pair)?) {
            Ok(found) => return Ok((pair, found)),
            Err(refused) if refused.kind == Kind::Credentials => {
                prompt.tell(&refused.with_hint())?;
            }
            Err(error) => return Err(error),
        }
    }
}

pub fn working(found: Credential) -> Result<Credential> {
    found.failure().map_or(Ok(found), Err)
}
