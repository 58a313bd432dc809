//! The command that asks for the same without questions.

use crate::aws::credential::{Credential, Source};
use crate::setup::request::{
    ConsolePassword, IamUserRequest, Request, SecretTarget, is_administrator_access,
};
use crate::store::StoreKind;

struct CommandLine {
    words: String,
    /// Whether every shell reads it alike.
    is_portable: bool,
    standard_input: &'static str,
}

impl Request {
    /// `None` where there is nothing to do, or no command line that every shell reads alike.
    pub fn as_command(&self) -> Option<String> {
        let words = "cloudcred setup --yes".to_owned();
        let mut line = CommandLine { words, is_portable: true, standard_input: "" };
        match self {
            Request::Existing { .. } => return None,
            Request::IamUser(request) => {
                // Standard input can carry only one of them.
                let is_given = matches!(request.console_password, ConsolePassword::Given(_));
                if is_given && request.bootstrap.source == Source::Given {
                    return None;
                }
                line.iam_user(request);
                line.target(&request.target, &request.user_name);
                line.switch("retire-root-key", request.retire.is_some());
            }
            Request::Root(request) => {
                line.value("mode", "root");
                line.credentials(&request.checked);
                line.target(&request.target, "root");
                line.switch("acknowledge-root-risk", true);
            }
        }
        line.is_portable.then(|| line.words + line.standard_input)
    }
}

impl CommandLine {
    fn value(&mut self, flag: &str, value: &str) {
        let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
        // In double quotes, these mean something to one shell or another.
        self.is_portable &= !value.contains(['"', '$', '`', '\\', '!', '%']);
        let is_bare = !value.is_empty() && value.chars().all(bare);
        let quote = if is_bare { "" } else { "\"" };
        self.words += &format!(" --{flag} {quote}{value}{quote}");
    }

    fn optional(&mut self, flag: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.value(flag, value);
        }
    }

    fn switch(&mut self, flag: &str, is_given: bool) {
        if is_given {
            self.words += &format!(" --{flag}");
        }
    }

    fn credentials(&mut self, credential: &Credential) {
        match &credential.source {
            Source::Profile(name) => self.value("profile", name),
            Source::SignIn => self.switch("login", true),
            Source::Given => {
                self.switch("key-stdin", true);
                self.standard_input = " < KEY_FILE";
            }
            _ => {}
        }
    }

    fn iam_user(&mut self, request: &IamUserRequest) {
        self.value("mode", "iam-user");
        self.credentials(&request.bootstrap);
        self.value("user-name", &request.user_name);
        match request.console_password {
            ConsolePassword::None => {}
            ConsolePassword::Generate => self.value("console-password", "generate"),
            ConsolePassword::Given(_) => {
                self.value("console-password", "stdin");
                self.standard_input = " < PASSWORD_FILE";
            }
        }
        self.optional("key-description", request.key_description.as_ref());
        if !matches!(&request.policy_arns[..], [arn] if is_administrator_access(arn)) {
            for arn in &request.policy_arns {
                self.value("policy-arn", arn);
            }
        }
        self.optional("permissions-boundary", request.permissions_boundary.as_ref());
        for (key, value) in &request.tags {
            self.value("tag", &format!("{key}={value}"));
        }
    }

    fn target(&mut self, target: &SecretTarget, default_name: &str) {
        if target.secret.as_str() != default_name {
            self.value("secret", target.secret.as_str());
        }
        self.value("store", target.store.map_or("stdout", StoreKind::name));
        // Otherwise it would work only once.
        self.value("if-exists", "reuse");
        self.optional("aws-profile", target.aws_profile.as_ref());
        self.switch("no-current", !target.make_current);
    }
}
