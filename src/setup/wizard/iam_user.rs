//! An IAM user: its name, its console password, and its key's description.

use crate::aws::credential::Credential;
use crate::cli::{IfExists, PasswordChoice};
use crate::error::Result;
use crate::prompt::Question;
use crate::setup::request::{
    ConsolePassword, IamUserRequest, Request, check_key_description, check_user_name,
    default_key_description, parse_tags,
};
use crate::setup::wizard::Wizard;
use crate::setup::wizard::credentials::DEFAULT_USER_NAME;

impl Wizard<'_> {
    /// `creator` creates the user, if that is decided already.
    pub fn iam_user(&mut self, creator: Option<Credential>) -> Result<Request> {
        let (bootstrap, pair) =
            creator.map_or_else(|| self.choose_creator(), |credential| Ok((credential, None)))?;
        let user_name = self.flags.user_name.take().map_or_else(
            || {
                let question = Question::optional("User name", "--user-name");
                self.prompt.text(question, Some(DEFAULT_USER_NAME), &check_user_name)
            },
            Ok,
        )?;
        let identity = bootstrap.identity();
        let is_own = identity.is_some_and(|identity| identity.user_name() == Some(&user_name));
        let own_key = pair.filter(|_| is_own);
        if own_key.is_some() {
            // The user stays as its owner made it.
            self.flags.console_password.get_or_insert(PasswordChoice::None);
            self.flags.if_exists.get_or_insert(IfExists::Reuse);
        }
        let console_password = self.console_password(&bootstrap)?;
        let key_description = match self.flags.key_description.take() {
            None if own_key.is_some() => None,
            Some(description) => Some(description),
            None => {
                let text = "Describe this key, so that you recognise it in AWS";
                let question = Question::optional(text, "--key-description");
                let default = default_key_description(self.host_name);
                Some(self.prompt.text(question, Some(&default), &check_key_description)?)
            }
        };
        let retire = self.root_key_to_retire(&bootstrap)?;
        let mut policy_arns = std::mem::take(&mut self.flags.policy_arns);
        if policy_arns.is_empty() {
            policy_arns.extend(identity.map(|it| it.managed_policy_arn("AdministratorAccess")));
        }
        let target = self.target(&user_name)?;
        Ok(Request::IamUser(Box::new(IamUserRequest {
            bootstrap,
            user_name,
            policy_arns,
            permissions_boundary: self.flags.permissions_boundary.take(),
            tags: parse_tags(&self.flags.tags)?,
            console_password,
            key_description,
            own_key,
            retire,
            if_exists: self.flags.if_exists,
            target,
        })))
    }

    fn console_password(&mut self, bootstrap: &Credential) -> Result<ConsolePassword> {
        let choice = match self.flags.console_password {
            Some(choice) => choice,
            None => {
                let question = Question::optional("Console password", "--console-password");
                let (none, generate) = (PasswordChoice::None, PasswordChoice::Generate);
                let choices = [
                    (none, "None", "the user cannot sign in to the AWS console"),
                    (generate, "Generate one", "fits the account's policy; shown once at the end"),
                    (PasswordChoice::Prompt, "Type one", "twice, not shown"),
                ];
                self.choose(question, choices)?
            }
        };
        if let Some(password) = self.piped.password.take() {
            return Ok(ConsolePassword::Given(password));
        }
        Ok(match choice {
            PasswordChoice::None => ConsolePassword::None,
            PasswordChoice::Generate => ConsolePassword::Generate,
            // A terminal as standard input would show what is typed: there it is asked for, too.
            PasswordChoice::Prompt | PasswordChoice::Stdin => {
                let question = Question::required(
                    "Console password (not shown)",
                    "--console-password generate",
                );
                let policy = self.lookups.password_policy(bootstrap)?.unwrap_or_default();
                let check = |password: &str| policy.check(password);
                ConsolePassword::Given(self.prompt.new_password(question, &check)?)
            }
        })
    }
}
