//! `cloudcred secret rename`: the same pair under another name.

use serde::Serialize;

use crate::aws_profile;
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::output::{Page, Report};
use crate::shared_config::Locations;
use crate::store::{SecretName, half_done};

#[derive(Serialize)]
struct Renamed {
    changed: bool,
    name: SecretName,
    previous_name: SecretName,
}

impl Report for Renamed {
    fn text(&self, _: &Page) -> String {
        format!("the secret `{}` is now called `{}`\n", self.previous_name, self.name)
    }
}

pub fn run(old: &str, new: &str, context: &Context) -> Result<()> {
    let (old, new) = (SecretName::existing(old)?, SecretName::new(new)?);
    if old.same_place_as(&new) {
        return Err(Error::usage(format!("`{new}` differs from `{old}` only in case"))
            .hint("choose another name: on some systems these two are the same file"));
    }
    let folders = context.env.folders()?;
    let vault = context.vault(&folders);
    vault.rename(&old, &new, || {
        // AWS profiles that read the secret by its name go on reading it.
        let Ok(locations) = Locations::of(&context.env) else {
            return Ok(());
        };
        let program = context.env.program()?;
        aws_profile::follow(&folders, &locations, program, &old, &new).map_err(|error| {
            half_done(format!("renamed, but an AWS profile still reads `{old}`: {}", error.message))
        })
    })?;
    context.output.result(&Renamed { changed: true, name: new, previous_name: old })
}
