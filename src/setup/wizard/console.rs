//! Leads through the AWS console, step by step, to a key that only its owner can make there; waits
//! for the key and checks it at once.

use crate::aws::console::Console;
use crate::aws::found::Found;
use crate::error::{Error, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::wizard::credentials::{ask_for_pair, working};
use crate::setup::wizard::{Inquiry, Scene, of_root};

/// A numbered list, and the pages that it leads through.
struct Guide {
    title: String,
    steps: Vec<String>,
    /// What a page is called, and its address.
    pages: Vec<(&'static str, String)>,
}

/// A root key (the user's guide, "Root user credentials").
fn for_root(console: Console) -> Guide {
    let page = console.security_credentials();
    Guide {
        title: "A root access key, made in the AWS console:".to_owned(),
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
fn for_user(console: Console, name: &str, description: &str) -> Guide {
    let (create, user) = (console.create_user(), console.user_credentials(name));
    Guide {
        title: "An IAM user and its access key, made in the AWS console:".to_owned(),
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

/// Shows the steps for a root key, and asks until the key is root's and works.
pub fn root_key(
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<(KeyPair, Found)> {
    lead(&for_root(scene.console), scene, inquiry, prompt)?;
    let (pair, found) = pasted_root_key(inquiry, prompt)?;
    tell_whose(&found, scene, prompt)?;
    Ok((pair, found))
}

/// Until the key is root's and works.
pub fn pasted_root_key(inquiry: &dyn Inquiry, prompt: &mut dyn Prompt) -> Result<(KeyPair, Found)> {
    let text = "The root user's access key, both halves (not shown)";
    let question = Question::required(text, "--key-stdin");
    ask_for_pair(question, inquiry, prompt, &of_root)
}

/// Shows the steps for a user with a key, and asks until the key is an IAM user's and works.
pub fn user_key(
    name: &str,
    description: &str,
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<(KeyPair, Found)> {
    let guide = for_user(scene.console, name, description);
    lead(&guide, scene, inquiry, prompt)?;
    let text = "The new user's access key, both halves (not shown)";
    let question = Question::required(text, "--key-stdin");
    let (pair, found) = ask_for_pair(question, inquiry, prompt, &of_user)?;
    tell_whose(&found, scene, prompt)?;
    Ok((pair, found))
}

/// Shows the steps, and opens their pages for as long as that is wanted.
fn lead(
    guide: &Guide,
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<()> {
    let mut text = guide.title.clone();
    for (number, step) in (1..).zip(&guide.steps) {
        text.push_str(&format!("\n{number}. {step}"));
    }
    prompt.tell(&text)?;
    if !scene.opens_pages {
        return Ok(());
    }
    let mut choices = vec![Choice::new("Paste the key", "once both halves are shown")];
    let open = |(what, _): &(&str, String)| Choice::new(*what, "in the browser");
    choices.extend(guide.pages.iter().map(open));
    // Most begin with the first page.
    let mut next = 1;
    loop {
        let question = Question::required("What next?", "--no-browser");
        let chosen = prompt.select(question, &choices, next)?;
        let Some((_, address)) = chosen.checked_sub(1).map(|page| &guide.pages[page]) else {
            return Ok(());
        };
        if let Err(error) = inquiry.open(address) {
            prompt.tell(&format!("{}: open {address} yourself.", error.message))?;
        }
        next = (chosen + 1) % choices.len();
    }
}

fn of_user(found: Found) -> Result<Found> {
    let found = working(found)?;
    let Some(identity) = found.identity().filter(|it| it.user_name().is_none()) else {
        return Ok(found);
    };
    Err(Error::credentials(format!(
        "this is no IAM user's key, but one of {}",
        identity.described()
    ))
    .hint("copy the key of the user that you have just made"))
}

/// Whose it is, and whether that is another account than this machine's.
fn tell_whose(found: &Found, scene: &Scene, prompt: &mut dyn Prompt) -> Result<()> {
    let Some(identity) = found.identity() else {
        return Ok(());
    };
    let mut others = scene.found.iter().filter_map(Found::identity);
    let elsewhere = others.find(|other| other.account_id != identity.account_id);
    let note = match elsewhere {
        Some(other) => format!(
            " Another account than {}'s: Ctrl-C ends here, if that is not what you meant.",
            other.described()
        ),
        None => String::new(),
    };
    prompt.tell(&format!(
        "It works: it is the key of {}.{note}",
        identity.described()
    ))
}
