//! Which credentials may create the user.

use crate::aws::credential::Credential;
use crate::aws::mfa::MfaRole;
use crate::error::Result;
use crate::prompt::{Choice, Question};
use crate::secret::KeyPair;
use crate::setup::request::default_key_description;
use crate::setup::wizard::context::{Wizard, working};

pub const DEFAULT_USER_NAME: &str = "cloudstudio-admin";

/// Where credentials that create the user can come from.
enum Origin<'a> {
    Credential(&'a Credential),
    MfaRole(&'a MfaRole),
    SignIn,
    Paste,
    Console,
}

impl Wizard<'_> {
    /// Credentials that create the user; with their pair, if the person gave it.
    pub fn choose_creator(&mut self) -> Result<(Credential, Option<KeyPair>)> {
        if let Some(pair) = self.piped.pair.take() {
            return Ok((working(self.lookups.check_pair(&pair)?)?, Some(pair)));
        }
        if !self.attended || self.credentials_are_named {
            return Ok((self.first()?, None));
        }
        let mut options: Vec<(Origin, Choice)> = Vec::new();
        options.extend(self.credentials.iter().filter_map(|found| {
            let choice = Choice::new(found.source.described(), found.identity()?.described());
            Some((Origin::Credential(found), choice))
        }));
        options.extend(self.credentials.iter().filter_map(|found| {
            let role = self.mfa_role(found)?;
            let label = format!("profile `{}`", role.profile);
            let choice = Choice::new(label, "with a code of its MFA device");
            Some((Origin::MfaRole(role), choice))
        }));
        let flag = if options.is_empty() {
            self.prompt.tell(
                "No credentials on this machine work, so something is needed to begin with.",
            )?;
            "--login"
        } else {
            "--profile"
        };
        let others = [
            (
                Origin::SignIn,
                "Sign in with the browser",
                "with the password that you use for the AWS console",
            ),
            (Origin::Paste, "Paste an access key", "of a user that may manage IAM, or of root"),
            (
                Origin::Console,
                "Make one in the AWS console",
                "step by step, if you cannot sign in from here",
            ),
        ];
        options.extend(others.map(|(origin, label, note)| (origin, Choice::new(label, note))));
        let (origins, choices): (Vec<Origin>, Vec<Choice>) = options.into_iter().unzip();
        let question = Question::required("Which credentials may create the user?", flag);
        match origins[self.prompt.select(question, &choices, 0)?] {
            Origin::Credential(found) => Ok((found.clone(), None)),
            Origin::MfaRole(role) => Ok((self.lookups.assume_with_mfa(role, self.prompt)?, None)),
            Origin::SignIn => Ok((self.lookups.sign_in(self.prompt)?, None)),
            Origin::Paste => {
                let text = "Access key, both halves (not shown)";
                let (pair, found) = self.ask_for_pair(text, &working)?;
                Ok((found, Some(pair)))
            }
            Origin::Console => self.make_key_in_console(),
        }
    }

    fn make_key_in_console(&mut self) -> Result<(Credential, Option<KeyPair>)> {
        let question = Question::required("Whose key do you want to make?", "--key-stdin");
        let choices = [
            ("A new IAM user's", "safe, recommended: the very key that CloudStudio gets"),
            ("The root user's", "it creates the IAM user here, and should be deleted afterwards"),
        ];
        let (pair, found) = if self.choose(question, choices)? == 0 {
            let name = self.flags.user_name.as_deref().unwrap_or(DEFAULT_USER_NAME);
            let name = name.to_owned();
            let (pair, found) =
                self.user_key_from_console(&name, &default_key_description(self.host_name))?;
            // In the console, the person may have chosen another name.
            let identity = found.identity();
            self.flags.user_name = identity.and_then(|it| it.user_name().map(str::to_owned));
            (pair, found)
        } else {
            self.root_key_from_console()?
        };
        Ok((found, Some(pair)))
    }
}
