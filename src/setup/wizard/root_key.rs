//! Root's own key: where CloudStudio's comes from, and whether the one that creates an IAM user is
//! retired afterwards.

use crate::aws::found::Found;
use crate::error::{Error, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::request::{Wanted, is_administrator_access};
use crate::setup::wizard::{Inquiry, Scene, console};
use crate::store::StoreKind;

/// The key to keep, or what makes a new one.
pub fn choose(
    root_found: Option<&Found>,
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<(Option<KeyPair>, Found)> {
    if let (Some(found), false) = (root_found, scene.attended) {
        return Ok((None, found.clone()));
    }
    let question = Question::required("The root user's access key", "--key-stdin");
    let mut choices = vec![
        Choice::new("Paste it", "both halves, not shown"),
        Choice::new("Make one in the AWS console", "step by step"),
    ];
    choices.extend(root_found.map(|found| {
        let with = format!("with {}", found.source.described());
        Choice::new("Make a new one now", with)
    }));
    let (pair, checked) = match (prompt.select(question, &choices, 0)?, root_found) {
        (0, _) => console::pasted_root_key(inquiry, prompt)?,
        (2, Some(found)) => return Ok((None, found.clone())),
        _ => console::root_key(scene, inquiry, prompt)?,
    };
    Ok((Some(pair), checked))
}

/// The root key's ID, where it is to be retired. Asked only where the new user can take its place:
/// an administrator, whose pair is kept.
///
/// # Errors
/// When a flag asks for it and it cannot be done.
pub fn retire(
    wanted: &Wanted,
    bootstrap: &Found,
    scene: &Scene,
    prompt: &mut dyn Prompt,
) -> Result<Option<String>> {
    let id = match obstacle(wanted, bootstrap) {
        Ok(id) => id,
        Err(obstacle) if wanted.retire_root_key => {
            return Err(Error::usage(format!("--retire-root-key does not fit: {obstacle}")).hint(
                "leave it out; keys of the root user are listed in the console, under \"My security credentials\"",
            ));
        }
        Err(_) => return Ok(None),
    };
    if wanted.retire_root_key {
        return Ok(Some(id));
    }
    if !scene.attended {
        return Ok(None);
    }
    let text = format!("What becomes of the root key {id}, once the new user works?");
    let choices = [
        Choice::new(
            "Deactivate it",
            "recommended; whatever else uses it stops working, and root can activate it again",
        ),
        Choice::new("Leave it as it is", "it stays unrestricted"),
    ];
    let question = Question::optional(&text, "--retire-root-key");
    Ok((prompt.select(question, &choices, 0)? == 0).then_some(id))
}

/// Why there is no root key that could be retired, else its ID.
fn obstacle(wanted: &Wanted, bootstrap: &Found) -> Result<String, &'static str> {
    if !bootstrap.identity().is_some_and(|it| it.is_root()) {
        return Err("the user is not created with a root key");
    }
    let id = bootstrap.access_key_id.as_deref();
    // Temporary keys start with ASIA (IAM user guide, "Unique identifiers").
    let Some(id) = id.filter(|id| id.starts_with("AKIA")) else {
        return Err("a session of root has no key of its own");
    };
    let mut policies = wanted.policy_arns.iter();
    if wanted.permissions_boundary.is_some() || !policies.all(|arn| is_administrator_access(arn)) {
        return Err("the new user is no administrator, who could take root's place");
    }
    if wanted.store == Some(StoreKind::Stdout) {
        return Err("the new pair is kept nowhere");
    }
    Ok(id.to_owned())
}
