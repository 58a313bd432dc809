//! Leads through the AWS console, step by step, to a key that only its owner can make there; waits
//! for the key and checks it at once.

use crate::aws::credential::Credential;
use crate::aws::partition::Partition;
use crate::error::{Error, Result};
use crate::prompt::{Choice, Question};
use crate::secret::KeyPair;
use crate::setup::wizard::context::{Wizard, working};

/// A numbered list, and the pages that it leads through.
struct Guide {
    title: &'static str,
    steps: Vec<String>,
    /// What a page is called, and its address.
    pages: Vec<(&'static str, String)>,
}

/// A root key (the user's guide, "Root user credentials").
fn for_root(console: Partition) -> Guide {
    let page = console.security_credentials();
    Guide {
        title: "A root access key, made in the AWS console:",
        steps: vec![
            format!("Sign in as the root user and open \"My security credentials\":\n{page}"),
            "Scroll down to \"Access keys\" and choose \"Create access key\".".to_owned(),
            "Read the warning, tick the box, and choose \"Create access key\".".to_owned(),
            "Copy both the access key and the secret access key before you leave the page."
                .to_owned(),
        ],
        pages: vec![("Open \"My security credentials\"", page)],
    }
}

/// An IAM user with a key (the user's guide, "IAM user credentials").
fn for_user(console: Partition, name: &str, description: &str) -> Guide {
    let (create, user) = (console.create_user(), console.user_credentials(name));
    Guide {
        title: "An IAM user and its access key, made in the AWS console:",
        steps: vec![
            format!("Sign in and open the page that creates a user:\n{create}"),
            format!("Name it {name}; a console password is up to you. Choose \"Next\"."),
            "Choose \"Attach policies directly\" and AdministratorAccess, which is full access to \
             every AWS service. Choose \"Next\"."
                .to_owned(),
            "Review it and choose \"Create user\".".to_owned(),
            format!("Open the new user's \"Security credentials\":\n{user}"),
            "Choose \"Create access key\", then \"Command Line Interface\", tick the box, \"Next\"."
                .to_owned(),
            format!("Describe it, as in: {description}. Choose \"Create access key\"."),
            "Copy both the access key and the secret access key before you leave the page."
                .to_owned(),
        ],
        pages: vec![
            ("Open the page that creates a user", create),
            ("Open the new user's \"Security credentials\"", user),
        ],
    }
}

impl Wizard<'_> {
    /// Shows the steps for a root key, and asks until the key is root's and works.
    pub fn root_key_from_console(&mut self) -> Result<(KeyPair, Credential)> {
        self.lead(&for_root(self.console))?;
        let (pair, found) = self.pasted_root_key()?;
        self.tell_whose(&found)?;
        Ok((pair, found))
    }

    /// Shows the steps for a user with a key, and asks until the key is an IAM user's and works.
    pub fn user_key_from_console(
        &mut self,
        name: &str,
        description: &str,
    ) -> Result<(KeyPair, Credential)> {
        self.lead(&for_user(self.console, name, description))?;
        let text = "The new user's access key, both halves (not shown)";
        let (pair, found) = self.ask_for_pair(text, &of_user)?;
        self.tell_whose(&found)?;
        Ok((pair, found))
    }

    /// Shows the steps, and opens their pages until the person has the key.
    fn lead(&mut self, guide: &Guide) -> Result<()> {
        let mut text = guide.title.to_owned();
        for (number, step) in (1..).zip(&guide.steps) {
            text.push_str(&format!("\n{number}. {step}"));
        }
        self.prompt.tell(&text)?;
        if self.flags.no_browser {
            return Ok(());
        }
        let mut choices = vec![Choice::new("Paste the key", "once both halves are shown")];
        let open = |(what, _): &(&str, String)| Choice::new(*what, "in the browser");
        choices.extend(guide.pages.iter().map(open));
        // Most people begin with the first page.
        let mut next = 1;
        loop {
            let question = Question::required("What next?", "--no-browser");
            let chosen = self.prompt.select(question, &choices, next)?;
            let Some((_, address)) = chosen.checked_sub(1).map(|page| &guide.pages[page]) else {
                return Ok(());
            };
            if let Err(error) = self.lookups.open(address) {
                let text = format!("{}: open {address} yourself.", error.message);
                self.prompt.tell(&text)?;
            }
            next = (chosen + 1) % choices.len();
        }
    }

    /// Says whose key it is, and whether that is another account than this machine's.
    fn tell_whose(&mut self, found: &Credential) -> Result<()> {
        let Some(identity) = found.identity() else {
            return Ok(());
        };
        let mut text = format!("The key works and belongs to {}.", identity.described());
        let mut others = self.credentials.iter().filter_map(Credential::identity);
        if let Some(other) = others.find(|other| other.account_id != identity.account_id) {
            text.push_str(&format!(
                " That is another account than that of {}: press Ctrl-C if you did not mean it.",
                other.described()
            ));
        }
        self.prompt.tell(&text)
    }
}

fn of_user(found: Credential) -> Result<Credential> {
    let found = working(found)?;
    let Some(identity) = found.identity().filter(|it| it.user_name().is_none()) else {
        return Ok(found);
    };
    Err(Error::credentials(format!(
        "this is not an IAM user's key: it belongs to {}",
        identity.described()
    ))
    .hint("copy the key of the user that you have just created"))
}
