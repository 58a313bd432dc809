//! What each tool that CloudStudio's users run makes of this machine's variables and `~/.aws` files: the
//! AWS CLI and Ansible read them by the rules of botocore, Terraform by those of the AWS SDK for Go.
//! Reads files only; nothing is called and nothing is started.

mod botocore;
mod file;
mod go;
mod pair;
mod process;
mod python;
mod settings;
mod sign_in;
mod terraform;

use std::path::PathBuf;

use crate::aws::resolve::botocore::Botocore;
use crate::aws::resolve::settings::Settings;
use crate::aws::resolve::terraform::Terraform;
use crate::diagnostic::Diagnostic;
use crate::env::Env;

/// The credential that a tool uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    pub source: Provider,
    pub profile: Option<String>,
    /// `None` where only a call could tell.
    pub access_key_id: Option<String>,
}

/// Where a tool looks for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Environment,
    Static,
    Session,
    AssumeRole,
    WebIdentity,
    Sso,
    Login,
    CredentialProcess,
    Container,
    Instance,
}

impl Provider {
    /// As `kind` of a profile in `check --output json` names it.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Environment => "environment",
            Provider::Static => "static",
            Provider::Session => "session",
            Provider::AssumeRole => "assume_role",
            Provider::WebIdentity => "web_identity",
            Provider::Sso => "sso",
            Provider::Login => "login",
            Provider::CredentialProcess => "credential_process",
            Provider::Container => "container",
            Provider::Instance => "instance",
        }
    }

    /// For people, before the name of a profile.
    pub fn described(self) -> &'static str {
        match self {
            Provider::Environment => "uses the environment variables",
            Provider::Static => "uses the access key",
            Provider::Session => "uses the temporary keys",
            Provider::AssumeRole => "assumes the role",
            Provider::WebIdentity => "uses the web identity token",
            Provider::Sso => "uses IAM Identity Center",
            Provider::Login => "uses the browser sign-in",
            Provider::CredentialProcess => "starts the program",
            Provider::Container => "uses the container's role",
            Provider::Instance => "uses the instance's role",
        }
    }
}

/// What a tool would do: use a credential, or fail for a reason.
pub type Verdict = Result<Uses, Diagnostic>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    pub aws_cli: Verdict,
    pub ansible: Verdict,
    pub terraform: Verdict,
}

impl Verdicts {
    pub fn all_fail(&self) -> bool {
        self.named().iter().all(|(_, verdict)| verdict.is_err())
    }

    /// With the tools' names as people know them.
    pub fn named(&self) -> [(&'static str, &Verdict); 3] {
        [("the AWS CLI", &self.aws_cli), ("Ansible", &self.ansible), ("Terraform", &self.terraform)]
    }
}

/// Both files, read as each tool reads them.
pub struct Tools<'e> {
    env: &'e Env,
    botocore: Botocore,
    terraform: Terraform,
    has_instance: bool,
}

impl<'e> Tools<'e> {
    /// `has_instance` says whether this machine is an instance that has a role.
    pub fn of(env: &'e Env, has_instance: bool) -> Self {
        Tools { env, botocore: Botocore::read(env), terraform: Terraform::read(env), has_instance }
    }

    /// What they do in the environment as it is; or, for a profile, where AWS_PROFILE names it.
    pub fn verdicts(&self, profile: Option<&str>) -> Verdicts {
        let settings = Settings { env: self.env, named: profile, has_instance: self.has_instance };
        Verdicts {
            aws_cli: self.botocore.aws_cli(&settings),
            ansible: self.botocore.ansible(&settings),
            terraform: self.terraform.verdict(&settings),
        }
    }
}

/// Where the file `name` in the folder `.aws` lies, unless a variable says otherwise.
fn default_path(env: &Env, name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(crate::aws_files::home_of(env)?).join(".aws").join(name))
}

fn no_credentials() -> Diagnostic {
    let message = "no credentials: nothing in the variables, the files or the machine's role";
    Diagnostic::new("no_credentials", message, "`cloudcred setup` makes some")
}

/// Why a tool cannot start where the certificates that it is told to trust are not there. Over plain HTTP the AWS
/// CLI and Ansible never ask for them.
fn ca_bundle_problem(path: &str) -> Option<Diagnostic> {
    (!path.is_empty() && !std::path::Path::new(path).is_file()).then(|| {
        let message = format!("the file of certificates {path} is not there");
        Diagnostic::new("ca_bundle", message, "correct AWS_CA_BUNDLE or ca_bundle, or remove it")
    })
}
