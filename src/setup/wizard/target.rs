//! Where the pair is kept: the secret's name, the store, whether it becomes current, and what to do
//! about a user or a secret that exists already.

use crate::cli::IfExists;
use crate::error::{Error, Result};
use crate::prompt::Question;
use crate::setup::facts::{Facts, Stored, UserFact};
use crate::setup::request::{IamUserRequest, Request, SecretTarget, check_user_name};
use crate::setup::wizard::Wizard;
use crate::store::{SecretName, StoreKind};

impl Wizard<'_> {
    /// `default_name` is the user's name, or `root`.
    pub fn target(&mut self, default_name: &str) -> Result<SecretTarget> {
        let secret = match self.flags.secret.take() {
            Some(name) => SecretName::new(&name)?,
            None => self.secret_name(Some(default_name))?,
        };
        // Names that differ only in case are one secret.
        let listed = self.index.find(&secret);
        let secret = listed.map_or(secret, |entry| entry.name.clone());
        let store = match self.flags.store {
            Some(choice) => choice.store(),
            None => self.choose_store()?,
        };
        let current = self.index.current.as_ref();
        let other_current = current.filter(|current| !current.same_place_as(&secret));
        let make_current = match other_current {
            _ if self.flags.no_current || store.is_none() => false,
            Some(current) if self.attended => {
                let text = format!("The current secret is `{current}`");
                let make = format!("Make `{secret}` current");
                let leave = format!("Leave `{current}` current");
                let choices =
                    [(true, &*make, "what CloudStudio's tools then use"), (false, &*leave, "")];
                self.choose(Question::optional(&text, "--no-current"), choices)?
            }
            _ => true,
        };
        let aws_profile = self.flags.aws_profile.take();
        Ok(SecretTarget { secret, store, make_current, aws_profile, replace: false })
    }

    /// The keyring is the default; where none answers, a plaintext file is taken only by choice.
    fn choose_store(&mut self) -> Result<Option<StoreKind>> {
        const QUESTION: &str = "Keep the secret in";
        let note = "only your account can read it; not encrypted";
        let file = (Some(StoreKind::File), "A private file", note);
        let Some(trouble) = self.lookups.keyring_trouble()? else {
            let note = "encrypted by the system, recommended";
            let keyring = (Some(StoreKind::Keyring), "The keyring", note);
            return self.choose(Question::optional(QUESTION, "--store"), [keyring, file]);
        };
        if !self.attended {
            let hint = "keep the secret in a private file with --store file";
            return Err(Error::failed(trouble).hint(hint));
        }
        self.prompt.tell(&format!("The keyring cannot be used: {trouble}."))?;
        let stop = (None, "Nowhere: stop here", "nothing is changed");
        let store = self.choose(Question::required(QUESTION, "--store"), [file, stop])?;
        store.map(Some).ok_or_else(Error::cancelled)
    }

    /// Asks what to do about a user or a secret that exists already. Whether the request was changed,
    /// so that the facts must be gathered again.
    pub fn resolve_conflicts(&mut self, request: &mut Request, facts: &Facts) -> Result<bool> {
        if !self.attended {
            return Ok(false);
        }
        if let (Request::IamUser(request), UserFact::Present(_)) = (&mut *request, &facts.user)
            && request.if_exists.is_none()
            && self.ask_for_another_user(request)?
        {
            return Ok(true);
        }
        let (target, if_exists) = match request {
            Request::Existing { .. } => return Ok(false),
            Request::IamUser(request) => (&mut request.target, request.if_exists),
            Request::Root(request) => (&mut request.target, request.if_exists),
        };
        let reuse = if_exists == Some(IfExists::Reuse);
        match &facts.stored {
            Some(stored) if !(target.replace || reuse && stored.is_reusable) => {
                self.ask_about_taken_name(target, stored).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Whether another name was chosen; else the existing user is to be used.
    fn ask_for_another_user(&mut self, request: &mut IamUserRequest) -> Result<bool> {
        let text = format!("The IAM user `{}` exists already", request.user_name);
        let choices = [
            (false, "Choose another name", "nothing is changed on the existing user"),
            (true, "Use this user", "it gets what it lacks, and a new key"),
        ];
        if self.choose(Question::required(&text, "--if-exists"), choices)? {
            request.if_exists = Some(IfExists::Reuse);
            return Ok(false);
        }
        let question = Question::required("User name", "--user-name");
        let old = std::mem::take(&mut request.user_name);
        request.user_name = self.prompt.text(question, None, &check_user_name)?;
        if request.target.secret.as_str() == old {
            request.target.secret = SecretName::new(&request.user_name)?;
        }
        Ok(true)
    }

    fn ask_about_taken_name(&mut self, target: &mut SecretTarget, stored: &Stored) -> Result<()> {
        let text = format!("There is a secret `{}` already, {}", target.secret, stored.described());
        let choices = [
            (false, "Choose another name", "the old secret stays"),
            (true, "Replace it", "the old secret is lost once the new one is kept"),
        ];
        if self.choose(Question::required(&text, "--secret"), choices)? {
            target.replace = true;
            // In the same store, so that no second secret of that name stays behind.
            target.store = Some(stored.store);
        } else {
            target.secret = self.secret_name(None)?;
        }
        Ok(())
    }

    fn secret_name(&mut self, default: Option<&str>) -> Result<SecretName> {
        let (text, required) = ("Name of the CloudStudio secret", default.is_none());
        let question = Question { text, flag: "--secret", required };
        let check = |name: &str| SecretName::new(name).map(drop);
        SecretName::new(&self.prompt.text(question, default, &check)?)
    }
}
