//! What each tool that CloudStudio's users run makes of this machine's variables and `~/.aws` files: the
//! AWS CLI and Ansible read them by the rules of botocore, Terraform by those of the AWS SDK for Go.
//! Reads files only; nothing is called and nothing is started.

mod botocore;
mod file;
mod go;
pub mod pair;
mod process;
mod python;
mod settings;
mod sign_in;
mod terraform;
mod verdict;

use crate::aws::resolve::botocore::Botocore;
use crate::aws::resolve::settings::Settings;
use crate::aws::resolve::terraform::Terraform;
pub use crate::aws::resolve::verdict::{Provider, Uses, Verdict};
use crate::diagnostic::Diagnostic;
use crate::env::Env;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    pub aws_cli: Verdict,
    pub ansible: Verdict,
    pub terraform: Verdict,
}

impl Verdicts {
    /// Of the tools that CloudStudio runs, the first that fails, and why.
    pub fn refusal_in_cloudstudio(&self) -> Option<(&'static str, &Diagnostic)> {
        let [_, in_cloudstudio @ ..] = self.named();
        in_cloudstudio.into_iter().find_map(|(tool, verdict)| Some((tool, verdict.as_ref().err()?)))
    }

    /// Whether some tools fail, for the same reasons as in the other verdicts, and the rest agree.
    pub fn fails_like(&self, other: &Verdicts) -> bool {
        let both = self.named().into_iter().zip(other.named());
        let mut used = self.named().into_iter().filter_map(|(_, verdict)| verdict.as_ref().ok());
        let first = used.next();
        self.named().iter().any(|(_, verdict)| verdict.is_err())
            && both.into_iter().all(|((_, own), (_, others))| own.is_ok() || own == others)
            && used.all(|uses| Some(uses) == first)
    }

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
