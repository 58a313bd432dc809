//! `cloudcred secret use`: "set current". What is current is what `exec`, `export` and
//! `credential-process` mean when they are given no name.

use serde::Serialize;

use crate::aws_profile::{self, AwsProfile};
use crate::cli::UseSecret;
use crate::commands::secret::{state, whose};
use crate::commands::{Context, chosen};
use crate::env::Folders;
use crate::error::Result;
use crate::output::{Page, Report, table};
use crate::shared_config::Locations;
use crate::store::SecretName;
use crate::store::index::Index;

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
    let chosen = chosen::read_listed(Some(&flags.name), &index, context)?;
    let name = chosen.entry.name;
    if let Some(profile) = &flags.aws_profile {
        write_profile(profile, &folders, context)?;
    }
    let (previous, index) = Index::update(&folders, |index| {
        // It may have been removed meanwhile.
        index.require(&name)?;
        let previous = index.current.replace(name.clone());
        Ok((previous, index.clone()))
    })?;
    let rows = index.secrets.iter().map(|entry| {
        vec![
            entry.name.to_string(),
            state(index.is_current(&entry.name)).to_owned(),
            whose(entry),
        ]
    });
    context.output.result(&Used {
        changed: previous.as_ref() != Some(&name),
        aws_profile: flags.aws_profile.clone(),
        rows: rows.collect(),
        current: name,
        previous,
    })
}

/// A profile that reads the current secret: switching the secret then needs no other edit.
fn write_profile(name: &str, folders: &Folders, context: &Context) -> Result<()> {
    let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let of_variables = variables.iter().find_map(|name| context.env.var(name));
    let region = context.global.region.as_deref().or(of_variables);
    let profile = AwsProfile::new(
        name,
        context.env.program()?,
        None,
        region.map(str::to_owned),
    )?;
    if let Some(name) = context.env.moves_data() {
        context.output.warn(&aws_profile::works_only_with(name));
    }
    aws_profile::write(folders, &Locations::of(&context.env)?, &profile)
}
