//! The list of modules in `lib.rs` is the layering: a file imports only from those above it.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn imports_run_upwards_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(src.join("lib.rs")).expect("src/lib.rs");
    let layers: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let mut files = Vec::new();
    collect(&src, &mut files);
    let mut wrong = Vec::new();
    let mut imports = 0;
    for file in files {
        let relative = file.strip_prefix(&src).expect("found below src");
        let own = relative
            .iter()
            .next()
            .expect("not empty")
            .to_string_lossy()
            .replace(".rs", "");
        let Some(own_layer) = layers.iter().position(|layer| *layer == own) else {
            continue;
        };
        let text = fs::read_to_string(&file).expect("readable");
        let executes = relative.with_extension("").starts_with("setup/execute");
        for path in paths(&text) {
            let name = path.split("::").next().unwrap_or_default();
            imports += 1;
            match layers.iter().position(|layer| *layer == name) {
                Some(layer) if layer <= own_layer => {}
                _ => wrong.push(format!("{} imports {name}", relative.display())),
            }
            if changes_aws(&path) && !executes {
                wrong.push(format!("{} imports aws::iam", relative.display()));
            }
        }
        if names_its_neighbours(&text) {
            wrong.push(format!("{} does not begin at crate::", relative.display()));
        }
    }
    assert!(imports > 50, "the sources were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_way_to_import_is_seen() {
    for way in [
        "use crate::aws::iam;",
        "use crate::aws::iam as changes;",
        "use crate::aws::{account, iam, failure::{Failure, Reason}};",
        "use crate::{\n    aws::{\n        failure::{Failure, Reason},\n        iam::{self, create_user},\n    },\n};",
        "use crate::aws::*;",
        "fn f() { crate::aws::iam::create_user() }",
    ] {
        assert!(paths(way).iter().any(|path| changes_aws(path)), "{way}");
    }
    let others = paths("use crate::aws::{account::{iam}, iam_other};\nuse crate::env;");
    assert_eq!(others, ["aws::account::iam", "aws::iam_other", "env"]);
    assert!(!others.iter().any(|path| changes_aws(path)));
    for way in ["use super::iam;", "use super::{iam};", "super::iam::f()"] {
        assert!(names_its_neighbours(way), "{way}");
    }
    assert!(!names_its_neighbours("mod tests {\n    use super::*;\n}"));
}

fn changes_aws(path: &str) -> bool {
    let mut names = path.split("::");
    names.next() == Some("aws") && matches!(names.next(), Some("iam" | "*"))
}

/// By `super::`, which hides the layer; the tests of a file import the file itself so.
fn names_its_neighbours(text: &str) -> bool {
    let mut code = text.lines().filter(|line| !line.trim().starts_with("//"));
    code.any(|line| line.contains("super::") && line.trim() != "use super::*;")
}

/// All that the text names by a path that begins at `crate::`, groups taken apart.
fn paths(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for path in text.split("crate::").skip(1) {
        take_apart(path, String::new(), &mut found);
    }
    found
}

/// Reads one path, or a group of them, and returns what follows it.
fn take_apart<'text>(
    mut text: &'text str,
    mut path: String,
    found: &mut Vec<String>,
) -> &'text str {
    loop {
        if let Some(mut group) = text.strip_prefix('{') {
            loop {
                group = group.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                if group.is_empty() || group.starts_with('}') {
                    return group.get(1..).unwrap_or_default();
                }
                let rest = take_apart(group, path.clone(), found);
                // Another name for it.
                let end = rest.find([',', '}']).unwrap_or(rest.len());
                group = &rest[end..];
            }
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '*';
        let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !path.is_empty() && !name.is_empty() {
            path.push_str("::");
        }
        path.push_str(name);
        match rest.strip_prefix("::") {
            Some(rest) => text = rest,
            None => {
                found.push(path);
                return rest;
            }
        }
    }
}

/// The same within `aws`, by the list in its `mod.rs`.
#[test]
fn imports_within_aws_run_upwards_only() {
    let aws = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws");
    let list = fs::read_to_string(aws.join("mod.rs")).expect("src/aws/mod.rs");
    let modules: Vec<&str> = list
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix("pub ").unwrap_or(line);
            line.strip_prefix("mod ")?.strip_suffix(';')
        })
        .collect();
    let mut files = Vec::new();
    collect(&aws, &mut files);
    let (mut wrong, mut imports) = (Vec::new(), 0);
    for file in files {
        let relative = file.strip_prefix(&aws).expect("found below src/aws");
        let own = relative.iter().next().expect("not empty");
        let own = own.to_string_lossy().replace(".rs", "");
        let Some(own_place) = modules.iter().position(|module| *module == own) else {
            continue;
        };
        let text = fs::read_to_string(&file).expect("readable");
        for import in text.split("crate::aws::").skip(1) {
            let end = import.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let name = &import[..end.unwrap_or(import.len())];
            imports += 1;
            match modules.iter().position(|module| *module == name) {
                Some(place) if place <= own_place => {}
                _ => wrong.push(format!("aws/{} imports {name}", relative.display())),
            }
        }
    }
    assert!(imports > 20, "the sources were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
