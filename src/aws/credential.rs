//! Credentials on this machine as plain values: where they are, what kind they are, and whether
//! they work.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::account::AccessKey;
use crate::aws::configured::{Kind, SignIn};
use crate::aws::identity::Identity;
use crate::aws::sdk::Session;
use crate::diagnostic::Diagnostic;
use crate::error::Error;

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
    /// A browser sign-in of this process, written nowhere.
    SignIn,
}

impl Source {
    pub fn profile_name(&self) -> Option<&str> {
        if let Source::Profile(name) = self { Some(name) } else { None }
    }

    /// A profile's name, or one word for what is no profile.
    pub fn name(&self) -> &str {
        self.profile_name().unwrap_or(self.words().0)
    }

    /// `profile client-x`, `the environment variables`, …
    pub fn described(&self) -> String {
        match self {
            Source::Profile(name) => format!("profile `{name}`"),
            _ => self.words().1.to_owned(),
        }
    }

    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Source::Environment => ("environment", "the environment variables"),
            Source::Profile(_) => ("profile", "a profile"),
            Source::WebIdentity => ("web_identity", "the web identity token"),
            Source::Container => ("container", "the container's role"),
            Source::Instance => ("instance", "the instance's role"),
            Source::Given => ("given", "the given key"),
            Source::SignIn => ("sign_in", "the browser sign-in"),
        }
    }
}

/// Whether credentials work.
#[derive(Clone, Debug)]
pub enum State {
    Unchecked,
    Works(Identity),
    /// Why not, in a few words for a table. The code is one of the four below.
    Fails(Diagnostic),
}

impl State {
    pub fn unresolvable(message: &str, hint: &str) -> Self {
        State::Fails(Diagnostic::new(UNRESOLVABLE, message, hint))
    }
}

pub const REJECTED: &str = "rejected";
pub const EXPIRED: &str = "expired";
pub const UNREACHABLE: &str = "unreachable";
pub const UNRESOLVABLE: &str = "unresolvable";

/// One credential on this machine.
#[derive(Clone, Debug)]
pub struct Credential {
    pub source: Source,
    pub kind: Kind,
    /// The sign-in that it depends on.
    pub signs_in: Option<SignIn>,
    /// The MFA device whose code its role needs, which no SDK asks for by itself.
    pub mfa_serial: Option<String>,
    /// Known once it is resolved.
    pub access_key_id: Option<String>,
    /// The region that is configured for it.
    pub region: Option<String>,
    /// Of temporary credentials, once they are resolved.
    pub expires_at: Option<Timestamp>,
    /// All keys of its user, where IAM listed them.
    pub keys: Vec<AccessKey>,
    pub session: Session,
    pub state: State,
}

impl Credential {
    pub fn unchecked(source: Source, kind: Kind, session: Session) -> Self {
        Credential {
            source,
            kind,
            signs_in: None,
            mfa_serial: None,
            access_key_id: None,
            region: None,
            expires_at: None,
            keys: Vec::new(),
            session,
            state: State::Unchecked,
        }
    }

    pub fn identity(&self) -> Option<&Identity> {
        if let State::Works(identity) = &self.state { Some(identity) } else { None }
    }

    /// For a table: its name, its kind, its owner or why it fails, and what to do.
    pub fn row(&self) -> Vec<String> {
        let (state, note) = match &self.state {
            State::Unchecked => (self.access_key_id.clone().unwrap_or_default(), "not checked"),
            State::Works(identity) => (identity.described(), "works"),
            State::Fails(why) => (why.message.clone(), why.hint.as_str()),
        };
        let profile = self.source.profile_name();
        let name = profile.map_or_else(|| self.source.described(), str::to_owned);
        vec![name, self.kind.described(), state, note.to_owned()]
    }

    /// The error for a command that needs these credentials.
    pub fn failure(&self) -> Option<Error> {
        let State::Fails(why) = &self.state else { return None };
        let message = format!("{} cannot be used: {}", self.source.described(), why.message);
        let error = if why.code == UNREACHABLE { Error::failed } else { Error::credentials };
        Some(error(message).hint(&why.hint))
    }
}

#[cfg(test)]
impl Credential {
    /// Working credentials of the principal that the ARN names.
    pub fn for_tests(source: Source, arn: &str) -> Self {
        use aws_credential_types::Credentials;
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
        let session = Session::new(credentials, aws_config::Region::from_static("us-east-1"));
        Credential {
            access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
            state: State::Works(Identity::new("111122223333", arn)),
            ..Credential::unchecked(source, Kind::Static, session)
        }
    }
}
