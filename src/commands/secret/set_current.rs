//! `cloudcred secret use`: sets the secret that commands use when they are given no name.

use serde_json::json;

use crate::aws_files::Locations;
use crate::aws_profile::{self, AwsProfile};
use crate::commands::context::Context;
use crate::commands::secret::list::{state, whose};
use crate::error::Result;
use crate::output::table;
use crate::store::half_done;
use crate::store::index::Index;

pub fn run(name: &str, aws_profile: Option<&str>, context: &Context) -> Result<()> {
    let vault = context.vault()?;
    Index::load_to_change(&vault.folders)?;
    // A secret that cannot be read would break every tool that relies on the current one.
    let name = &context.secret(Some(name))?.0.name;
    let write_profile = aws_profile.map(|it| new_profile(it, context)).transpose()?;
    let previous = vault.set_current(name)?;
    let is_written =
        write_profile.map_or(Ok(false), |write| write()).map_err(|error| {
            match vault.restore_current(name, previous.as_ref()) {
                Ok(()) => error,
                Err(_) => half_done(format!(
                    "`{name}` is current now, but its AWS profile is not written: {}",
                    error.message
                )),
            }
        })?;
    let json = json!({
        "changed": is_written || previous.as_ref() != Some(name),
        "current": name,
        "previous": previous,
        "aws_profile": aws_profile,
    });
    let index = Index::load(&vault.folders)?;
    context.result(json, |page| {
        let rows = index.secrets.iter().map(|it| {
            vec![it.name.to_string(), state(index.is_current(&it.name)).to_owned(), whose(it)]
        });
        let profile = match aws_profile {
            Some("default") => "AWS's tools read it through the default profile\n".to_owned(),
            Some(name) => format!(
                "AWS's tools read it through the profile `{name}`: set AWS_PROFILE={name} where CloudStudio starts\n"
            ),
            None => String::new(),
        };
        let note = page.dim(
            "  for `cloudcred exec`, `export`, and profiles that read the current secret;\n  the app's own list has a \"set current\" of its own",
        );
        format!("{}{profile}{note}\n", table(&rows.collect::<Vec<_>>(), page.width))
    })
}

/// Prepares a profile that reads whichever secret is current; another one of ours is replaced only
/// with consent. What comes back writes it, or leaves the files as they were; whether they changed.
fn new_profile(name: &str, context: &Context) -> Result<impl FnOnce() -> Result<bool>> {
    let region = context.region()?.map(str::to_owned);
    let profile = AwsProfile::new(name, context.env.program()?, None, region)?;
    let locations = Locations::of(&context.env)?;
    let existing = profile.existing(&locations)?;
    let replaces = existing.filter(|there| !there.serves_as(&profile));
    if let Some(there) = &replaces {
        let (old, new) = (there.described(), profile.described());
        let text = format!("The AWS profile `{name}` runs {old}. Change it to {new}?");
        context.confirm(context.prompt()?.as_mut(), &text, "--yes")?;
    }
    if let Some(name) = context.env.moves_data() {
        context.output.warn(&aws_profile::works_only_with(name));
    }
    Ok(move || {
        let before = replaces.as_ref();
        profile.write(&locations, before).inspect_err(|_| {
            // What failed before this is what the user is told.
            profile.take_back(&locations, before).unwrap_or_default();
        })
    })
}
