//! The table: homes with files and variables, and what the tools do in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::support::home::Home;

/// Text in it may hold the placeholders of [`Values`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    config: Option<String>,
    credentials: Option<String>,
    /// By their paths in the home folder.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// `false` for one that is not to be set.
    #[serde(default)]
    env: BTreeMap<String, Variable>,
    #[serde(default)]
    config_encoding: Encoding,
    #[serde(default)]
    encoding: Encoding,
    pub expected: Expected,
    /// Where the version that tests can install does something else than the one that users have.
    #[serde(default)]
    pub installed: Installed,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Variable {
    Text(String),
    Unset(#[allow(dead_code)] bool),
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Encoding {
    #[default]
    Utf8,
    #[serde(rename = "utf-16")]
    Utf16,
    #[serde(rename = "latin-1")]
    Latin1,
}

/// The end of the ARN as which each tool signed its call; empty where it failed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub aws_cli: String,
    pub ansible: String,
    pub terraform: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    pub aws_cli: Option<String>,
    pub ansible: Option<String>,
    pub terraform: Option<String>,
}

/// What stands for the placeholders `{ID_A}`, `{SECRET_A}`, `{KEYS_A}`, `{ROLE_R}` and so on.
pub type Values = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

pub fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/cases");
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of the cases is there")
        .map(|entry| entry.expect("an entry of the folder").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("a file of cases can be read");
            let table: Table =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            table.case
        })
        .collect()
}

impl Case {
    /// The name as part of a test's name.
    pub fn slug(&self) -> String {
        self.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    }

    /// Lays the case out in a home of its own.
    pub fn home(&self, values: &Values) -> Home {
        let mut home = Home::new(env!("CARGO_BIN_EXE_cloudcred"));
        let mut values = values.clone();
        values.insert("HOME".to_owned(), home.path().display().to_string());
        for name in ["A", "B", "C"] {
            let (id, secret) = (&values[&format!("ID_{name}")], &values[&format!("SECRET_{name}")]);
            let program = format!("process_{}", name.to_lowercase());
            let answer =
                serde_json::json!({ "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret });
            home.write(&program, &format!("#!/bin/sh\necho '{answer}'\n"));
            make_executable(&home.path().join(program));
        }
        home.write("token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.x");
        for (path, text) in &self.files {
            home.write(path, &filled(text, &values));
            if text.starts_with("#!") {
                make_executable(&home.path().join(path));
            }
        }
        fs::create_dir_all(home.path().join(".aws")).expect("a folder of the home");
        for (name, text) in [("config", &self.config), ("credentials", &self.credentials)] {
            let of_config = name == "config" && self.config_encoding != Encoding::Utf8;
            let encoding = if of_config { self.config_encoding } else { self.encoding };
            if let Some(text) = text {
                let bytes = encoded(&filled(text, &values), encoding);
                let path = home.path().join(".aws").join(name);
                fs::write(path, bytes).expect("a file of the home");
            }
        }
        let url = values.get("URL").cloned().unwrap_or_else(|| "http://127.0.0.1:9".to_owned());
        home = home
            .endpoint(&url)
            // Terraform follows only this one while it looks for credentials.
            .variable("AWS_ENDPOINT_URL_STS", &url)
            .variable("AWS_DEFAULT_REGION", "us-east-1");
        for (name, value) in &self.env {
            home = match value {
                Variable::Text(text) => home.variable(name, &filled(text, &values)),
                Variable::Unset(_) => home.without(name),
            };
        }
        home
    }
}

fn filled(text: &str, values: &Values) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

fn encoded(text: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Latin1 => text.chars().map(|c| c as u8).collect(),
        Encoding::Utf16 => {
            let mark = std::iter::once(0xfeff);
            mark.chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
        }
    }
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("a file of the home");
}

#[cfg(not(unix))]
fn make_executable(_: &Path) {}
