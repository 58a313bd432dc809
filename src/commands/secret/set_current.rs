//! `cloudcred secret use`: "set current". The current secret is the one that `exec`, `export` and
//! `credential-process` use when they are given no name.

use serde_json::json;

use crate::aws_files::Locations;
use crate::aws_profile::{self, AwsProfile};
use crate::cli::UseSecret;
use crate::commands::context::Context;
use crate::commands::pick_secret;
use crate::commands::secret::answer::{answer, confirm, state, whose};
use crate::error::Result;
use crate::output::table;
use crate::store::half_done;
use crate::store::index::{Entry, Index};

pub fn run(flags: &UseSecret, context: &Context) -> Result<()> {
    let folders = context.env.folders()?;
    let index = Index::load_to_change(&folders)?;
    // A secret that cannot be read would break every tool that relies on the current one.
    let secret = pick_secret::read_listed(Some(&flags.name), &index, context)?;
    let name = secret.entry.name;
    let profile = flags.aws_profile.as_deref();
    let profile = profile.map(|it| new_profile(it, context)).transpose()?;
    let vault = context.vault(&folders);
    let previous = vault.set_current(&name)?;
    let written = profile.map_or(Ok(false), |it| it.write()).map_err(|error| {
        match vault.restore_current(&name, previous.as_ref()) {
            Ok(()) => error,
            Err(_) => half_done(format!(
                "`{name}` is current now, but its AWS profile is not written: {}",
                error.message
            )),
        }
    })?;
    let index = Index::load(&folders)?;
    let row = |it: &Entry| {
        vec![it.name.to_string(), state(index.is_current(&it.name)).to_owned(), whose(it)]
    };
    let rows: Vec<_> = index.secrets.iter().map(row).collect();
    let json = json!({
        "changed": written || previous.as_ref() != Some(&name),
        "current": name,
        "previous": previous,
        "aws_profile": flags.aws_profile,
    });
    answer(context, json, |page| {
        let profile = match flags.aws_profile.as_deref() {
            Some("default") => "AWS's tools read it through the default profile\n".to_owned(),
            Some(name) => format!(
                "AWS's tools read it through the profile `{name}`: set AWS_PROFILE={name} where CloudStudio starts\n"
            ),
            None => String::new(),
        };
        let note = page.dim(
            "  for `cloudcred exec`, `export`, and profiles that read the current secret;\n  the app's own list has a \"set current\" of its own",
        );
        format!("{}{profile}{note}\n", table(&rows, page.width))
    })
}

/// A profile that is to be written.
struct NewProfile {
    locations: Locations,
    profile: AwsProfile,
    /// The one of ours that it replaces.
    replaces: Option<AwsProfile>,
}

impl NewProfile {
    /// Writes it, or leaves the files as they were; whether anything is different now.
    fn write(&self) -> Result<bool> {
        let (locations, before) = (&self.locations, self.replaces.as_ref());
        aws_profile::write(locations, &self.profile, before).inspect_err(|_| {
            // What failed before this is what the user is told.
            aws_profile::take_back(locations, &self.profile, before).unwrap_or_default();
        })
    }
}

/// A profile that reads the current secret, so that switching the secret needs no other edit. One of
/// ours that reads something else is replaced only with consent.
fn new_profile(name: &str, context: &Context) -> Result<NewProfile> {
    let region = context.region()?.map(str::to_owned);
    let profile = AwsProfile::new(name, context.env.program()?, None, region)?;
    let locations = Locations::of(&context.env)?;
    let existing = aws_profile::existing(&locations, &profile)?;
    let replaces = existing.filter(|there| !there.serves_as(&profile));
    if let (Some(there), false) = (&replaces, context.global.yes) {
        let text = format!(
            "The AWS profile `{name}` runs {}. Change it to {}?",
            there.described(),
            profile.described()
        );
        confirm(context.prompt()?.as_mut(), &text, "--yes")?;
    }
    if let Some(name) = context.env.moves_data() {
        context.output.warn(&aws_profile::works_only_with(name));
    }
    Ok(NewProfile { locations, profile, replaces })
}
