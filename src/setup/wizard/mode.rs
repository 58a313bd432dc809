//! The first question: what CloudStudio should use.

use crate::aws::credential::{Credential, Source};
use crate::cli::ModeChoice;
use crate::error::{Error, Result};
use crate::prompt::{Choice, Question};
use crate::setup::request::Request;
use crate::setup::wizard::{Wizard, working};

impl Wizard<'_> {
    /// What the flags say must have been checked already.
    pub fn complete(&mut self) -> Result<Request> {
        match self.flags.mode {
            ModeChoice::Existing => self.keep_first(),
            ModeChoice::IamUser => self.iam_user(None),
            ModeChoice::Root => self.root(),
            ModeChoice::Auto if self.attended => self.ask_mode(),
            ModeChoice::Auto if self.piped.pair.is_some() => Err(Error::usage(
                "--key-stdin does not say what the key is for",
            )
            .hint("use it with --mode iam-user to create a user, or --mode root to store it")),
            ModeChoice::Auto => self.mode_by_itself(),
        }
    }

    fn existing(&self, credential: Credential) -> Request {
        Request::Existing { credential, unused: self.flags.given_for_a_new_key() }
    }

    /// Leaves what is there in place, if the tools that CloudStudio runs can use it.
    fn keep_first(&mut self) -> Result<Request> {
        let credential = self.first()?;
        match self.lookups.refusal_of_tools(&credential) {
            Some(refusal) => Err(refusal),
            None => Ok(self.existing(credential)),
        }
    }

    /// The contract of `auto`: what works stays in place, and a user is never created unasked.
    fn mode_by_itself(&mut self) -> Result<Request> {
        let first = self.credentials.first();
        let has_role = |first| self.credentials_are_named && self.mfa_role(first).is_some();
        if first.is_some_and(|first| first.identity().is_some() || has_role(first)) {
            return self.keep_first();
        }
        let error = Error::answer_needed(QUESTION.text, QUESTION.flag);
        Err(match first.and_then(Credential::failure) {
            Some(failure) => error.and_hint(failure.message),
            None => error,
        })
    }

    fn ask_mode(&mut self) -> Result<Request> {
        let working = self.credentials.iter().filter_map(|it| Some((it, it.identity()?)));
        let keepable = working.filter(|(_, identity)| !identity.is_root());
        let first = self.credentials.first().map(|first| &first.source);
        let mut refusal = None;
        let keepable: Vec<&Credential> = keepable
            .map(|(credential, _)| credential)
            .filter(|credential| {
                let refused = self.lookups.refusal_of_tools(credential);
                let is_usable = refused.is_none();
                refusal = refusal.take().or(refused);
                is_usable
            })
            .collect();
        // One file may be the reason for all of them, so the first stands for the others.
        if let Some(refusal) = refusal {
            self.prompt.tell(&refusal.with_hint())?;
        }
        let keep = |credential: &&Credential| {
            let source = &credential.source;
            let note = match source {
                Source::Profile(_) if Some(source) != first => "works only with AWS_PROFILE set",
                Source::Environment => "only if CloudStudio is started from this shell",
                _ => "the tools CloudStudio runs find it by themselves",
            };
            let name = source.profile_name().map(|name| format!("`{name}`"));
            let name = name.unwrap_or_else(|| source.described());
            Choice::new(format!("Keep {name} as it is"), note)
        };
        let mut choices: Vec<Choice> = keepable.iter().map(keep).collect();
        choices.extend([
            Choice::new("Create an IAM user", "safe, recommended: its own user and key"),
            Choice::new("Use the root user's key", "fast, risky: unrestricted, hard to contain"),
        ]);
        let chosen = self.prompt.select(QUESTION, &choices, 0)?;
        match chosen.checked_sub(keepable.len()) {
            None => Ok(self.existing(keepable[chosen].clone())),
            Some(0) => self.iam_user(None),
            Some(_) => self.root(),
        }
    }

    /// The first credentials where they work, with a code where their role needs one; or why not.
    pub fn first(&mut self) -> Result<Credential> {
        let Some(first) = self.credentials.first() else {
            return Err(Error::credentials("no AWS credentials were found on this machine").hint(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, give a key with --key-stdin, or sign in with --login",
            ));
        };
        match self.mfa_role(first) {
            Some(role) => self.lookups.assume_with_mfa(role, self.prompt),
            None => working(first.clone()),
        }
    }
}

const QUESTION: Question =
    Question { text: "What should CloudStudio use?", flag: "--mode", required: true };
