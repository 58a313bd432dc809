//! `cloudcred secret use`: "set current". The current secret is the one that `exec`, `export` and
//! `credential-process` use when they are given no name.

use serde::Serialize;

use crate::aws_profile::{self, AwsProfile, Holder};
use crate::cli::UseSecret;
use crate::commands::secret::{state, whose};
use crate::commands::{Context, pick_secret};
use crate::error::{Error, Result};
use crate::output::{Page, Report, table};
use crate::prompt::Question;
use crate::shared_config::Locations;
use crate::store::index::Index;
use crate::store::{SecretName, half_done};

#[derive(Serialize)]
struct Used {
    changed: bool,
    current: SecretName,
    previous: Option<SecretName>,
    aws_profile: Option<String>,
    #[serde(skip)]
    rows: Vec<Vec<String>>,
}

impl Report for Used {
    fn text(&self, page: &Page) -> String {
        let profile = match self.aws_profile.as_deref() {
            Some("default") => "AWS's tools read it through the default profile\n".to_owned(),
            Some(name) => format!(
                "AWS's tools read it through the profile `{name}`: set AWS_PROFILE={name} where CloudStudio starts\n"
            ),
            None => String::new(),
        };
        format!(
            "{}{profile}{}\n",
            table(&self.rows, page.width),
            page.dim(
                "  for `cloudcred exec`, `export`, and profiles that read the current secret;\n  the app's own list has a \"set current\" of its own"
            )
        )
    }
}

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
    let written = match &profile {
        Some(profile) => profile.write().map_err(|error| {
            profile.take_back();
            match vault.restore_current(&name, previous.as_ref()) {
                Ok(()) => error,
                Err(_) => still_current(&name, error),
            }
        })?,
        None => false,
    };
    let index = Index::load(&folders)?;
    let rows = index.secrets.iter().map(|entry| {
        vec![entry.name.to_string(), state(index.is_current(&entry.name)).to_owned(), whose(entry)]
    });
    context.output.result(&Used {
        changed: written || previous.as_ref() != Some(&name),
        aws_profile: flags.aws_profile.clone(),
        rows: rows.collect(),
        current: name,
        previous,
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
    fn write(&self) -> Result<bool> {
        let replaces = self.replaces.as_ref();
        aws_profile::write(&self.locations, &self.profile, replaces)
    }

    /// For when something has failed already, and that is what the user is told.
    fn take_back(&self) {
        let before = self.replaces.as_ref();
        let taken_back = aws_profile::take_back(&self.locations, &self.profile, before);
        taken_back.unwrap_or_default();
    }
}

fn still_current(name: &SecretName, error: Error) -> Error {
    half_done(format!(
        "`{name}` is current now, but its AWS profile is not written: {}",
        error.message
    ))
}

/// A profile that reads the current secret, so that switching the secret needs no other edit. One of
/// ours that reads something else is replaced only with consent.
fn new_profile(name: &str, context: &Context) -> Result<NewProfile> {
    let region = context.region()?.map(str::to_owned);
    let profile = AwsProfile::new(name, context.env.program()?, None, region)?;
    let locations = Locations::of(&context.env)?;
    let replaces = match aws_profile::holder(&locations, &profile)? {
        Holder::SomebodyElse(place) => return Err(aws_profile::taken(name, &place)),
        Holder::Ours(there) if !there.serves_as(&profile) => Some(there),
        Holder::Ours(_) | Holder::Nobody => None,
    };
    if let (Some(there), false) = (&replaces, context.global.yes) {
        let text = format!(
            "The AWS profile `{name}` runs {}. Change it to {}?",
            there.described(),
            profile.described()
        );
        let question = Question::required(&text, "--yes");
        if !context.prompt()?.confirm(question)? {
            return Err(Error::cancelled().hint("nothing was changed"));
        }
    }
    if let Some(name) = context.env.moves_data() {
        context.output.warn(&aws_profile::works_only_with(name));
    }
    Ok(NewProfile { locations, profile, replaces })
}
