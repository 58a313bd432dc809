//! The kinds of credentials that there are, and what they are called.

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
    /// A profile that lacks something, or has settings only.
    Incomplete,
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
            Kind::Incomplete => "incomplete",
        };
        words.to_owned()
    }

    /// As `--output json` names it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Static => "static",
            Kind::Session => "session",
            Kind::Sso => "sso",
            Kind::AssumeRole(_) => "assume_role",
            Kind::WebIdentity => "web_identity",
            Kind::CredentialProcess => "credential_process",
            Kind::Login => "login",
            Kind::Container => "container",
            Kind::Instance => "instance",
            Kind::Incomplete => "incomplete",
        }
    }
}
