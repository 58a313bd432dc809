//! What came out of a setup: one value, as text and as JSON.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::aws::credential::Source;
use crate::output::{Page, table};
use crate::setup::journal::{Record, Status};
use crate::setup::request::{Goal, Kept, Mode};
use crate::setup::steps::Step;

#[derive(Serialize)]
pub struct SetupReport {
    pub changed: bool,
    pub mode: Mode,
    pub account_id: String,
    pub arn: String,
    pub user_name: Option<String>,
    pub access_key_id: Option<String>,
    pub key_description: Option<String>,
    pub verified: bool,
    pub secret: Option<Kept>,
    pub aws_profile: Option<String>,
    /// The profile that stays in place, in mode `existing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    pub run: Option<String>,
    pub steps: Vec<StepReport>,
    pub warnings: Vec<String>,
    /// The root key that was retired, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_key: Option<RootKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    /// A generated one only: it was asked for, and this is the one time it is shown.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    pub console_password: Option<SecretString>,
    /// For people only: the command that does the same without asking.
    #[serde(skip)]
    pub again: Option<String>,
    #[serde(skip)]
    pub goal: Goal,
}

/// What became of a root key, and the run that did it.
#[derive(Serialize)]
pub struct RootKey {
    pub access_key_id: String,
    pub status: RootKeyStatus,
    pub run: String,
    /// Where root's keys are in the console.
    #[serde(skip)]
    pub page: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RootKeyStatus {
    Inactive,
    Deleted,
}

#[derive(Serialize)]
pub struct StepReport {
    pub step: String,
    pub status: Status,
}

impl StepReport {
    pub fn of(record: &Record) -> Vec<Self> {
        let steps = record.steps.iter();
        steps.map(|it| StepReport { step: it.step.name(), status: it.status }).collect()
    }
}

impl SetupReport {
    /// Of a run that has ended, or of one that is only planned.
    pub fn of(record: &Record, warnings: Vec<String>) -> Self {
        let goal = &record.goal;
        let owner = goal.owner();
        let changed = record.steps.iter().any(|it| it.status == Status::Done);
        let (mut key_description, mut root_key, mut console_url) = (None, None, None);
        for step in record.steps() {
            match step {
                Step::DescribeAccessKey(step) => key_description = Some(step.description.clone()),
                Step::CreateLoginProfile(_) => console_url = owner.console_url(),
                Step::DeactivateRootKey(step) if !record.is_open() => {
                    root_key = Some(RootKey {
                        access_key_id: step.access_key_id.clone(),
                        status: RootKeyStatus::Inactive,
                        run: record.run.clone(),
                        page: String::new(),
                    });
                }
                _ => {}
            }
        }
        SetupReport {
            changed,
            mode: goal.mode,
            account_id: goal.account_id.clone(),
            arn: goal.arn.clone(),
            user_name: owner.user_name().map(str::to_owned),
            access_key_id: record.access_key_id().map(str::to_owned),
            key_description,
            verified: changed || record.steps.is_empty(),
            secret: goal.secret.clone(),
            aws_profile: goal.aws_profile.clone(),
            profile: goal.in_place.as_ref().and_then(Source::profile_name).map(str::to_owned),
            run: changed.then(|| record.run.clone()),
            steps: StepReport::of(record),
            warnings,
            root_key,
            console_url,
            console_password: None,
            again: None,
            goal: goal.clone(),
        }
    }

    fn headline(&self) -> String {
        if !self.verified {
            return "Nothing was changed: this was a dry run.".to_owned();
        }
        let whose = self.goal.owner().described();
        if let Some(source) = &self.goal.in_place {
            let how = match source {
                Source::Environment => {
                    "CloudStudio has it only when it is started from this shell.".to_owned()
                }
                Source::Profile(name) if name != "default" => {
                    format!("CloudStudio finds it when AWS_PROFILE={name} is set.")
                }
                _ => "The tools that CloudStudio runs find it by themselves.".to_owned(),
            };
            let source = source.described();
            return format!("What works stays as it is: {whose}, from {source}. {how}");
        }
        if self.goal.prints {
            return format!("The key of {whose} was printed and is kept nowhere else.");
        }
        match &self.secret {
            Some(kept) if self.changed => format!("CloudStudio secret `{}` is ready.", kept.name),
            Some(kept) => format!("Nothing to do: CloudStudio secret `{}` works.", kept.name),
            None => String::new(),
        }
    }
}

fn exposed<S: serde::Serializer>(
    password: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match password {
        Some(password) => serializer.serialize_str(password.expose_secret()),
        None => serializer.serialize_none(),
    }
}

impl SetupReport {
    pub fn text(&self, page: &Page) -> String {
        let mut text = format!("\n{}\n", page.strong(self.headline()));
        let mut rows = Vec::new();
        let mut line = |what: &str, how: &str| rows.push(vec![what.to_owned(), how.to_owned()]);
        if !self.verified {
            return text;
        }
        if let (Some(url), Some(user)) = (&self.console_url, &self.user_name) {
            line("Console", &format!("{url}, as {user}"));
        }
        if let Some(password) = &self.console_password {
            line("Password (shown once)", password.expose_secret());
        }
        if let Some(kept) = &self.secret {
            line(
                "Use it without pasting",
                &format!("cloudcred secret use {} --aws-profile cloudstudio", kept.name),
            );
            line("Or paste it into the app", &format!("cloudcred secret copy {}", kept.name));
            line("", "AWS provider → add secret → paste, apply → set current");
        }
        if let Some(run) = &self.run {
            line("Take it all back", &format!("cloudcred undo {run}"));
        }
        if let Some(key) = &self.root_key {
            let id = &key.access_key_id;
            match key.status {
                RootKeyStatus::Deleted => line("The root key", &format!("{id} is deleted")),
                RootKeyStatus::Inactive => {
                    line("The root key", &format!("{id} is inactive"));
                    line("Delete it for good", &format!("as root, at {}", key.page));
                    line("Activate it again", "as root there");
                }
            }
        }
        if let Some(again) = &self.again {
            line("The same without asking", again);
        }
        text.push_str(&table(&rows, page.width));
        text
    }
}
