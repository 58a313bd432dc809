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
    /// As `--output json` names it.
    pub fn name(&self) -> &'static str {
        self.words().0
    }

    /// A few words for a table.
    pub fn described(&self) -> String {
        match self {
            Kind::AssumeRole(Some(source)) => format!("role from {source}"),
            _ => self.words().1.to_owned(),
        }
    }

    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Kind::Static => ("static", "access key"),
            Kind::Session => ("session", "temporary keys"),
            Kind::Sso => ("sso", "IAM Identity C."),
            Kind::AssumeRole(_) => ("assume_role", "role"),
            Kind::WebIdentity => ("web_identity", "web identity"),
            Kind::CredentialProcess => ("credential_process", "external program"),
            Kind::Login => ("login", "browser sign-in"),
            Kind::Container => ("container", "container role"),
            Kind::Instance => ("instance", "instance role"),
            Kind::Incomplete => ("incomplete", "incomplete"),
        }
    }
}
