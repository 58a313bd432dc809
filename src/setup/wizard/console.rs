//! Leads through the AWS console, step by step, to a key that only its owner can make there; waits
//! for the key and checks it at once.

use crate::aws::credential::Credential;
use crate::error::{Error, Result};
use crate::prompt::{Choice, Question};
use crate::setup::request::default_key_description;
use crate::setup::wizard::{Given, Wizard, working};

impl Wizard<'_> {
    /// Shows the steps for a root key (the user's guide, "Root user credentials"), and asks until the
    /// key is root's and works.
    pub fn root_key_from_console(&mut self) -> Result<Given> {
        let page = self.console.security_credentials();
        let steps = format!(
            "A root access key, made in the AWS console:
1. Sign in as the root user and open \"My security credentials\":\n{page}
2. Scroll down to \"Access keys\" and choose \"Create access key\".
3. Read the warning, tick the box, and choose \"Create access key\".
4. Copy both the access key and the secret access key before you leave the page."
        );
        self.lead(&steps, &[("Open \"My security credentials\"", &page)])?;
        let given = self.pasted_root_key()?;
        self.tell_whose(given)
    }

    /// Shows the steps for a user with a key (the user's guide, "IAM user credentials"), and asks until
    /// the key is an IAM user's and works.
    pub fn user_key_from_console(&mut self, name: &str) -> Result<Given> {
        let (create, user) = (self.console.create_user(), self.console.user_credentials(name));
        let description = default_key_description(self.host_name);
        let steps = format!(
            "An IAM user and its access key, made in the AWS console:
1. Sign in and open the page that creates a user:\n{create}
2. Name it {name}; a console password is up to you. Choose \"Next\".
3. Choose \"Attach policies directly\" and AdministratorAccess, which is full access to every AWS \
service. Choose \"Next\".
4. Review it and choose \"Create user\".
5. Open the new user's \"Security credentials\":\n{user}
6. Choose \"Create access key\", then \"Command Line Interface\", tick the box, \"Next\".
7. Describe it, as in: {description}. Choose \"Create access key\".
8. Copy both the access key and the secret access key before you leave the page."
        );
        let pages = [
            ("Open the page that creates a user", &*create),
            ("Open the new user's \"Security credentials\"", &*user),
        ];
        self.lead(&steps, &pages)?;
        let text = "The new user's access key, both halves (not shown)";
        let question = Question::required(text, "--key-stdin");
        let given = self.lookups.ask_for_pair(question, self.prompt, &of_user)?;
        self.tell_whose(given)
    }

    /// Shows the steps, and opens their pages (what one is called, and its address) until the person
    /// has the key.
    fn lead(&mut self, steps: &str, pages: &[(&str, &str)]) -> Result<()> {
        self.prompt.tell(steps)?;
        if self.flags.no_browser {
            return Ok(());
        }
        let mut choices = vec![Choice::new("Paste the key", "once both halves are shown")];
        choices.extend(pages.iter().map(|(what, _)| Choice::new(*what, "in the browser")));
        // Most people begin with the first page.
        let mut next = 1;
        loop {
            let question = Question::required("What next?", "--no-browser");
            let chosen = self.prompt.select(question, &choices, next)?;
            if chosen == 0 {
                return Ok(());
            }
            let (_, address) = pages[chosen - 1];
            if let Err(error) = self.lookups.open(address) {
                self.prompt.tell(&format!("{}: open {address} yourself.", error.message))?;
            }
            next = (chosen + 1) % choices.len();
        }
    }

    /// Says whose key it is, and whether that is another account than this machine's.
    fn tell_whose(&mut self, given: Given) -> Result<Given> {
        let Some(identity) = given.0.identity() else { return Ok(given) };
        let mut text = format!("The key works and belongs to {}.", identity.described());
        let mut others = self.credentials.iter().filter_map(Credential::identity);
        if let Some(other) = others.find(|other| other.account_id != identity.account_id) {
            text.push_str(&format!(
                " That is another account than that of {}: press Ctrl-C if you did not mean it.",
                other.described()
            ));
        }
        self.prompt.tell(&text)?;
        Ok(given)
    }
}

fn of_user(credential: Credential) -> Result<Credential> {
    let credential = working(credential)?;
    let Some(identity) = credential.identity().filter(|it| it.user_name().is_none()) else {
        return Ok(credential);
    };
    let who = identity.described();
    Err(Error::credentials(format!("this is not an IAM user's key: it belongs to {who}"))
        .hint("copy the key of the user that you have just created"))
}
