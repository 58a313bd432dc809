//! The tools themselves, in the same homes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::case::{Case, Values};
use crate::common::runner::Test;
use crate::support::home::Home;
use crate::support::moto::{self, ADMINISTRATOR_ACCESS};
use crate::support::parts::Part;
use crate::support::process::{self, Ran};
use crate::support::python;

const LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
enum Tool {
    AwsCli,
    Ansible,
    Terraform,
}

pub fn tests(case: &Case) -> Vec<Test> {
    let tools: [(&str, Tool, &'static [Part]); 3] = [
        ("aws_cli", Tool::AwsCli, &[]),
        ("ansible", Tool::Ansible, &[]),
        ("terraform", Tool::Terraform, &[Part::Terraform]),
    ];
    let test = |(name, tool, parts): (&str, Tool, &'static [Part])| {
        let case = case.clone();
        let name = format!("tools::{name}::{}", case.slug());
        Test::new(name, move || check(&case, tool)).needs(parts)
    };
    tools.into_iter().map(test).collect()
}

fn check(case: &Case, tool: Tool) {
    let home = case.home(real());
    let (expected, installed) = match tool {
        Tool::AwsCli => (&case.expected.aws_cli, &case.installed.aws_cli),
        Tool::Ansible => (&case.expected.ansible, &case.installed.ansible),
        Tool::Terraform => (&case.expected.terraform, &case.installed.terraform),
    };
    let ran = match tool {
        Tool::AwsCli => aws_cli(&home),
        Tool::Ansible => ansible(&home),
        Tool::Terraform => terraform(&home),
    };
    let signed_as = if ran.code == 0 { arn(&ran.stdout) } else { String::new() };
    assert_eq!(&signed_as, installed.as_ref().unwrap_or(expected), "{ran}");
}

/// Users, roles and keys of the account that all cases share.
fn real() -> &'static Values {
    static REAL: OnceLock<Values> = OnceLock::new();
    REAL.get_or_init(|| {
        let moto = moto::shared();
        let account = moto.account("300000000001");
        let mut values = Values::new();
        for name in ["A", "B", "C"] {
            let user = name.to_lowercase();
            account.create_user(&user);
            account.attach_policy(&user, ADMINISTRATOR_ACCESS);
            let key = account.create_access_key(&user);
            let keys = format!(
                "aws_access_key_id = {}\naws_secret_access_key = {}",
                key.access_key_id, key.secret_access_key
            );
            values.insert(format!("KEYS_{name}"), keys);
            values.insert(format!("ID_{name}"), key.access_key_id);
            values.insert(format!("SECRET_{name}"), key.secret_access_key);
        }
        for role in ["R", "W"] {
            let name = role.to_lowercase();
            account.create_role(&name, "*", ADMINISTRATOR_ACCESS);
            values.insert(format!("ROLE_{role}"), format!("arn:aws:iam::300000000001:role/{name}"));
        }
        let session = account.assume_role("r", "session");
        values.insert("ID_S".to_owned(), session.access_key_id);
        values.insert("SECRET_S".to_owned(), session.secret_access_key);
        values.insert("TOKEN_S".to_owned(), session.session_token);
        values.insert("URL".to_owned(), moto.url());
        values
    })
}

/// The end of the first ARN of a user or a session: `user/a`, `assumed-role/r`.
fn arn(text: &str) -> String {
    let starts = [":user/", ":assumed-role/"];
    let start = starts.iter().filter_map(|start| text.find(start)).min();
    let Some(rest) = start.map(|at| &text[at + 1..]) else {
        return String::new();
    };
    let mut parts = rest.split(['/', '"']);
    format!("{}/{}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn aws_cli(home: &Home) -> Ran {
    let mut command = python::aws_cli().python();
    command.args(["-m", "awscli", "sts", "get-caller-identity", "--output", "json"]);
    home.clean(&mut command);
    process::run(command, None, LIMIT)
}

/// The module as Ansible runs it on the machine, without the program that would copy it there.
fn ansible(home: &Home) -> Ran {
    let mut command = python::ansible().python();
    command.args(["-m", "ansible_collections.amazon.aws.plugins.modules.aws_caller_info"]);
    home.clean(&mut command);
    process::run(command, Some(r#"{"ANSIBLE_MODULE_ARGS": {}}"#), LIMIT)
}

fn terraform(home: &Home) -> Ran {
    let project = home.path().join("project");
    copy(initialised(), &project);
    let mut command = Command::new("terraform");
    command.args(["plan", "-input=false", "-no-color", "-lock=false"]);
    home.clean(&mut command);
    command.env("CHECKPOINT_DISABLE", "1").current_dir(&project);
    process::run(command, None, LIMIT)
}

const PROJECT: &str = r#"terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  skip_metadata_api_check = true
  region                  = "us-east-1"
}

data "aws_caller_identity" "me" {}

output "arn" {
  value = data.aws_caller_identity.me.arn
}
"#;

/// A project whose provider is in place: its folder holds links to it.
fn initialised() -> &'static Path {
    static PROJECT_FOLDER: OnceLock<PathBuf> = OnceLock::new();
    PROJECT_FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("terraform");
        fs::create_dir_all(&folder).expect("the target folder can be written to");
        fs::write(folder.join("main.tf"), PROJECT).expect("as above");
        let mut command = Command::new("terraform");
        command.args(["init", "-input=false", "-no-color"]).current_dir(&folder);
        if let Some(mirror) = Part::terraform_mirror() {
            let settings = folder.join("settings.tfrc");
            let path = mirror.display();
            let text = format!(
                "provider_installation {{\n  filesystem_mirror {{ path = \"{path}\" }}\n}}\n"
            );
            fs::write(&settings, text).expect("as above");
            command.env("TF_CLI_CONFIG_FILE", settings);
        }
        process::run(command, None, LIMIT).expect(0);
        folder
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder of the home");
    for entry in fs::read_dir(from).expect("a folder that was just made") {
        let entry = entry.expect("an entry of it");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("an entry's type is known");
        if kind.is_symlink() {
            #[cfg(unix)]
            std::os::unix::fs::symlink(fs::read_link(&source).expect("a link"), &target)
                .expect("a link in the home");
        } else if kind.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).expect("a file of the home");
        }
    }
}
