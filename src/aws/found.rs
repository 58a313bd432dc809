//! Credentials that were found on this machine: where, of which kind, whose, and whether they work.
//! Plain values; finding and checking is `profiles.rs`'s.

use aws_config::profile::Profile;
use serde::{Deserialize, Serialize};

use crate::aws::identity::Identity;
use crate::aws::sdk::Session;
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
        }
    }

    pub fn profile_name(&self) -> Option<&str> {
        match self {
            Source::Profile(name) => Some(name),
            _ => None,
        }
    }
}

/// How credentials are configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Static,
    Session,
    Sso,
    /// With the profile or the credential source that assumes the role.
    AssumeRole(Option<String>),
    WebIdentity,
    CredentialProcess,
    Login,
    Container,
    Instance,
}

impl Kind {
    /// A few words for a table.
    pub fn described(&self) -> String {
        let words = match self {
            Kind::Static => "access key",
            Kind::Session => "temporary keys",
            Kind::Sso => "IAM Identity C.",
            Kind::AssumeRole(Some(source)) => return format!("role from {source}"),
            Kind::AssumeRole(None) => "role",
            Kind::WebIdentity => "web identity",
            Kind::CredentialProcess => "external program",
            Kind::Login => "browser sign-in",
            Kind::Container => "container role",
            Kind::Instance => "instance role",
        };
        words.to_owned()
    }

    /// In the order in which the Rust SDK decides (aws-config, `profile/credentials/repr.rs`).
    pub fn of(profile: &Profile) -> Self {
        let has = |key| profile.get(key).is_some();
        if has("role_arn") {
            if has("web_identity_token_file") {
                return Kind::WebIdentity;
            }
            let source = profile
                .get("source_profile")
                .or_else(|| profile.get("credential_source"));
            return Kind::AssumeRole(source.map(str::to_owned));
        }
        if has("login_session") {
            Kind::Login
        } else if has("sso_session") || has("sso_start_url") {
            Kind::Sso
        } else if has("credential_process") {
            Kind::CredentialProcess
        } else if has("aws_session_token") {
            Kind::Session
        } else {
            Kind::Static
        }
    }
}

/// Whether credentials work, and if not, why not and what helps.
#[derive(Clone, Debug)]
pub enum State {
    Works(Identity),
    Fails {
        status: Status,
        /// A few words for a table.
        what: String,
        hint: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Rejected,
    Expired,
    Unreachable,
    Unresolvable,
}

/// One credential on this machine, checked.
#[derive(Clone, Debug)]
pub struct Found {
    pub source: Source,
    pub kind: Kind,
    /// Known once it could be resolved.
    pub access_key_id: Option<String>,
    pub session: Session,
    pub state: State,
}

impl Found {
    pub fn identity(&self) -> Option<&Identity> {
        match &self.state {
            State::Works(identity) => Some(identity),
            State::Fails { .. } => None,
        }
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
            access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
            session: Session {
                provider: SharedCredentialsProvider::new(credentials),
                region: aws_config::Region::from_static("us-east-1"),
            },
            state: State::Works(Identity::new("111122223333", arn)),
        }
    }
}
