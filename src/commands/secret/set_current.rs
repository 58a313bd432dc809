//! `cloudcred secret use`: "set current". What is current is what `exec`, `export` and
//! `credential-process` mean when they are given no name.

use serde::Serialize;

use crate::cli::UseSecret;
use crate::commands::secret::{state, whose};
use crate::commands::{Context, chosen};
use crate::error::Result;
use crate::output::{Page, Report, table};
use crate::store::SecretName;
use crate::store::index::Index;

#[derive(Serialize)]
struct Used {
    changed: bool,
    current: SecretName,
    previous: Option<SecretName>,
    #[serde(skip)]
    rows: Vec<Vec<String>>,
}

impl Report for Used {
    fn text(&self, page: &Page) -> String {
        format!(
            "{}{}\n",
            table(&self.rows, page.width),
            page.dim(
                "  for `cloudcred exec`, `export`, and profiles that read the current secret;\n  the app's own list has a \"set current\" of its own"
            )
        )
    }
}

pub fn run(flags: &UseSecret, context: &Context) -> Result<()> {
    // A secret that cannot be read would break every tool that relies on the current one.
    let name = chosen::read(Some(&flags.name), context)?.entry.name;
    let (previous, index) = Index::update(&context.env.folders()?, |index| {
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
        rows: rows.collect(),
        current: name,
        previous,
    })
}
