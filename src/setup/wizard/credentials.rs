//! Which credentials may create the user.

use crate::aws::credential::Credential;
use crate::aws::mfa::MfaRole;
use crate::error::Result;
use crate::prompt::{Choice, Question};
use crate::setup::wizard::{Given, Wizard, working};

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
    /// Credentials that create the user.
    pub fn choose_creator(&mut self) -> Result<Given> {
        if let Some(pair) = self.piped.pair.take() {
            return Ok((working(self.lookups.check_pair(&pair)?)?, Some(pair)));
        }
        if !self.attended || self.credentials_are_named {
            return Ok((self.first()?, None));
        }
        let mut options: Vec<(Origin, Choice)> = Vec::new();
        options.extend(self.credentials.iter().filter_map(|it| {
            let choice = Choice::new(it.source.described(), it.identity()?.described());
            Some((Origin::Credential(it), choice))
        }));
        let roles = self.credentials.iter().filter_map(|credential| self.mfa_role(credential));
        options.extend(roles.map(|role| {
            let label = format!("profile `{}`", role.profile);
            (Origin::MfaRole(role), Choice::new(label, "with a code of its MFA device"))
        }));
        let flag = if options.is_empty() { "--login" } else { "--profile" };
        if options.is_empty() {
            let text = "No credentials on this machine work, so something is needed to begin with.";
            self.prompt.tell(text)?;
        }
        let others = [
            (Origin::SignIn, "Sign in with the browser", "with your password for the AWS console"),
            (Origin::Paste, "Paste an access key", "of a user that may manage IAM, or of root"),
            (Origin::Console, "Make one in the AWS console", "step by step, with no sign-in here"),
        ];
        options.extend(others.map(|(origin, label, note)| (origin, Choice::new(label, note))));
        let (origins, choices): (Vec<Origin>, Vec<Choice>) = options.into_iter().unzip();
        let question = Question::required("Which credentials may create the user?", flag);
        match origins[self.prompt.select(question, &choices, 0)?] {
            Origin::Credential(credential) => Ok((credential.clone(), None)),
            Origin::MfaRole(role) => Ok((self.lookups.assume_with_mfa(role, self.prompt)?, None)),
            Origin::SignIn => Ok((self.lookups.sign_in()?, None)),
            Origin::Paste => {
                let text = "Access key, both halves (not shown)";
                let question = Question::required(text, "--key-stdin");
                self.lookups.ask_for_pair(question, self.prompt, &working)
            }
            Origin::Console => self.make_key_in_console(),
        }
    }

    fn make_key_in_console(&mut self) -> Result<Given> {
        let choices = [
            (false, "A new IAM user's", "safe, recommended: the very key that CloudStudio gets"),
            (true, "The root user's", "it creates the IAM user, and should be deleted afterwards"),
        ];
        let question = Question::required("Whose key do you want to make?", "--key-stdin");
        if self.choose(question, choices)? {
            return self.root_key_from_console();
        }
        let name = self.flags.user_name.take().unwrap_or_else(|| DEFAULT_USER_NAME.to_owned());
        let given = self.user_key_from_console(&name)?;
        // In the console, the person may have chosen another name.
        let identity = given.0.identity();
        self.flags.user_name = identity.and_then(|it| it.user_name().map(str::to_owned));
        Ok(given)
    }
}
