//! What some tests need of the machine beyond Rust and Python. A test without its part is not run, and
//! said to be so with the command that installs it.

use std::path::{Path, PathBuf};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::upper_case_acronyms)] // as the field writes it
pub enum Part {
    Bash,
    Dash,
    Zsh,
    Fish,
    Keyring,
    XServer,
    CCompiler,
    Terraform,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Part::Bash => "bash",
            Part::Dash => "dash",
            Part::Zsh => "zsh",
            Part::Fish => "fish",
            Part::Keyring => "a keyring",
            Part::XServer => "an X server",
            Part::CCompiler => "a C compiler",
            Part::Terraform => "Terraform with its AWS provider",
        }
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Part::Bash => &["bash"],
            Part::Dash => &["dash"],
            Part::Zsh => &["zsh"],
            Part::Fish => &["fish"],
            Part::Keyring => &["dbus-run-session", "gnome-keyring-daemon", "secret-tool"],
            Part::XServer => &["Xvfb", "xclip"],
            Part::CCompiler => &["cc"],
            Part::Terraform => &["terraform"],
        }
    }

    fn debian_packages(self) -> &'static str {
        match self {
            Part::Bash => "bash",
            Part::Dash => "dash",
            Part::Zsh => "zsh",
            Part::Fish => "fish",
            Part::Keyring => "gnome-keyring libsecret-tools dbus",
            Part::XServer => "xvfb xclip",
            Part::CCompiler => "gcc libc6-dev",
            Part::Terraform => "terraform",
        }
    }

    /// Whether its absence is an error in `.ci/run`: no package registry has Terraform, so a machine has
    /// it or has not.
    pub fn is_required(self) -> bool {
        self != Part::Terraform && all_are_required()
    }

    /// The folder that holds Terraform's AWS provider, where it is not to be downloaded.
    pub fn terraform_mirror() -> Option<PathBuf> {
        let named = std::env::var_os("CLOUDCRED_TERRAFORM_MIRROR").map(PathBuf::from);
        let usual = ["/opt/tf-plugins", "/usr/local/share/terraform/plugins"].map(PathBuf::from);
        named.into_iter().chain(usual).find(|folder| folder.is_dir())
    }

    pub fn is_installed(self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        self.programs().iter().all(|program| {
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        })
    }

    pub fn install_command(self) -> String {
        if self == Part::Terraform {
            return "see developer.hashicorp.com/terraform/install (provider: terraform init)"
                .to_owned();
        }
        if Path::new("/etc/debian_version").exists() {
            format!("sudo apt-get install {}", self.debian_packages())
        } else if cfg!(target_os = "macos") {
            match self {
                Part::CCompiler => "xcode-select --install".to_owned(),
                part => format!("brew install {}", part.programs()[0]),
            }
        } else {
            format!("install {} with your system's package manager", self.programs().join(", "))
        }
    }
}

/// Whether a missing part is an error, as in `.ci/run`, which has installed them all.
fn all_are_required() -> bool {
    std::env::var_os("CLOUDCRED_TEST_PARTS").is_some_and(|value| value == "all")
}
