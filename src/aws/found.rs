//! Credentials that were found on this machine: where, of which kind, whose, and whether they work.
//! Plain values; finding and checking is `profiles.rs`'s.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::account::AccessKey;
use crate::aws::configured::SignIn;
use crate::aws::identity::Identity;
use crate::aws::kind::Kind;
use crate::aws::sdk::Session;
use crate::error::{Error, one_line};

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Environment,
    Profile(String),
    WebIdentity,
    Container,
    Instance,
    /// A pair that the user gave to this command.
    Given,
    /// A browser sign-in of this very process, written nowhere.
    SignIn,
}

impl Source {
    /// `profile client-x`, `the environment variables`, …
    pub fn described(&self) -> String {
        match self {
            Source::Environment => "the environment variables".to_owned(),
            Source::Profile(name) => format!("profile `{name}`"),
            Source::WebIdentity => "the web identity token".to_owned(),
            Source::Container => "the container's role".to_owned(),
            Source::Instance => "the instance's role".to_owned(),
            Source::Given => "the given key".to_owned(),
            Source::SignIn => "the browser sign-in".to_owned(),
        }
    }

    pub fn profile_name(&self) -> Option<&str> {
        match self {
            Source::Profile(name) => Some(name),
            _ => None,
        }
    }

    /// A profile's name, or one word for what is no profile.
    pub fn name(&self) -> &str {
        match self {
            Source::Environment => "environment",
            Source::Profile(name) => name,
            Source::WebIdentity => "web_identity",
            Source::Container => "container",
            Source::Instance => "instance",
            Source::Given => "given",
            Source::SignIn => "sign_in",
        }
    }
}

/// Whether credentials work, and if not, why not and what helps.
#[derive(Clone, Debug)]
pub enum State {
    /// Nobody was asked.
    Unchecked,
    Works(Identity),
    Fails {
        status: Status,
        /// A few words for a table.
        what: String,
        hint: String,
    },
}

impl State {
    /// Takes a server's or a program's words: they come out as one line, without escape sequences.
    pub fn fails(status: Status, what: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        State::Fails { status, what: one_line(what.as_ref()), hint: one_line(hint.as_ref()) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Rejected,
    Expired,
    Unreachable,
    Unresolvable,
}

/// Something about credentials that will trouble their owner one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Stable, for scripts.
    pub code: &'static str,
    pub message: String,
    pub hint: String,
}

/// One credential on this machine.
#[derive(Clone, Debug)]
pub struct Found {
    pub source: Source,
    pub kind: Kind,
    /// The sign-in that it rests on.
    pub signs_in: Option<SignIn>,
    /// The MFA device whose code its role needs, which no SDK asks for by itself.
    pub mfa_serial: Option<String>,
    /// Known once it could be resolved.
    pub access_key_id: Option<String>,
    /// The region that is configured for it, which may be none.
    pub region: Option<String>,
    /// Of temporary credentials, once they could be resolved.
    pub expires_at: Option<Timestamp>,
    /// All of its user's keys, where IAM was asked and answered.
    pub keys: Vec<AccessKey>,
    pub session: Session,
    pub state: State,
}

impl Found {
    pub fn identity(&self) -> Option<&Identity> {
        match &self.state {
            State::Works(identity) => Some(identity),
            State::Unchecked | State::Fails { .. } => None,
        }
    }

    /// For a table: its name, its kind, whose it is or why it fails, and what helps.
    pub fn row(&self) -> Vec<String> {
        let name = match self.source.profile_name() {
            Some(name) => name.to_owned(),
            None => self.source.described(),
        };
        let (state, note) = match &self.state {
            State::Unchecked => {
                (self.access_key_id.clone().unwrap_or_default(), "not checked".to_owned())
            }
            State::Works(identity) => (identity.described(), "works".to_owned()),
            State::Fails { what, hint, .. } => (what.clone(), hint.clone()),
        };
        vec![name, self.kind.described(), state, note]
    }

    /// The error for whoever insists on these credentials.
    pub fn failure(&self) -> Option<Error> {
        let State::Fails { status, what, hint } = &self.state else {
            return None;
        };
        let message = format!("{} cannot be used: {what}", self.source.described());
        Some(match status {
            Status::Unreachable => Error::failed(message).hint(hint),
            _ => Error::credentials(message).hint(hint),
        })
    }
}

#[cfg(test)]
impl Found {
    /// Working credentials of whoever the ARN names.
    pub fn for_tests(source: Source, arn: &str) -> Self {
        use aws_credential_types::Credentials;
        use aws_credential_types::provider::SharedCredentialsProvider;
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
        Found {
            source,
            kind: Kind::Static,
            signs_in: None,
            mfa_serial: None,
            access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
            region: None,
            expires_at: None,
            keys: Vec::new(),
            session: Session {
                provider: SharedCredentialsProvider::new(credentials),
                region: aws_config::Region::from_static("us-east-1"),
            },
            state: State::Works(Identity::new("111122223333", arn)),
        }
    }
}
