//! The rules of the house, held against every file of `src`. The list of modules in `lib.rs` is the
//! layering: a file imports only from those above it, and no file from one that needs it.

mod sources;

use std::collections::{BTreeMap, BTreeSet};

use sources::{Source, sources};

/// These alone may change what is in AWS.
const MAY_CHANGE_AWS: &[&str] = &["setup::steps"];
const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 80;
const MANY_PARAMETERS: usize = 5;
const MOST_WITH_MANY: usize = 5;

#[test]
fn imports_run_upwards_only() {
    runs_upwards("");
}

#[test]
fn imports_within_aws_run_upwards_only() {
    runs_upwards("aws");
}

/// The modules below this one import only from those that its file declares before them.
#[track_caller]
fn runs_upwards(parent: &str) {
    let sources = sources();
    let layers = &sources[parent].children;
    let layer_of = |module: &str| {
        let rest = module.strip_prefix(parent)?.trim_start_matches("::");
        let name = rest.split("::").next()?;
        layers.iter().position(|layer| layer == name)
    };
    let mut wrong = Vec::new();
    for (module, source) in sources {
        let Some(own) = layer_of(module) else {
            continue;
        };
        for imported in imported_modules(source) {
            if layer_of(&imported).is_some_and(|layer| layer > own) {
                wrong.push(format!("{} imports {imported}", source.path));
            }
        }
    }
    assert!(layers.len() > 5, "the sources were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_two_files_import_each_other_at_any_depth() {
    let imports: BTreeMap<&str, BTreeSet<String>> = sources()
        .iter()
        .map(|(module, source)| (module.as_str(), imported_modules(source).collect()))
        .collect();
    let mut circles = BTreeSet::new();
    for start in imports.keys() {
        let reached = reachable(start, &imports);
        let circle: Vec<&str> = reached
            .iter()
            .copied()
            .filter(|other| other == start || reachable(other, &imports).contains(start))
            .collect();
        if reached.contains(start) {
            circles.insert(circle);
        }
    }
    let lines = circles.into_iter().map(|circle| {
        let paths: Vec<&str> = circle.iter().map(|it| sources()[*it].path.as_str()).collect();
        paths.join(" <-> ")
    });
    let lines: Vec<String> = lines.collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// Every module that this one needs, itself included where it is in a circle.
fn reachable<'a>(start: &str, imports: &'a BTreeMap<&str, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![start];
    while let Some(module) = open.pop() {
        for next in imports.get(module).into_iter().flatten() {
            if found.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    found
}

/// The modules whose files this file imports from, without itself.
fn imported_modules(source: &Source) -> impl Iterator<Item = String> {
    let modules = source.imports.iter().filter_map(|path| module_of(path));
    modules.filter(|module| *module != source.module)
}

/// The module with a file of its own that the path leads into.
fn module_of(path: &str) -> Option<String> {
    let mut module = path;
    loop {
        if sources().contains_key(module) {
            return Some(module.to_owned());
        }
        module = module.rsplit_once("::")?.0;
    }
}

#[test]
fn only_the_executor_changes_aws() {
    let changes =
        |path: &String| path == "aws::iam" || path == "aws::*" || path.starts_with("aws::iam::");
    let mut wrong = Vec::new();
    for source in sources().values() {
        let may = MAY_CHANGE_AWS.iter().any(|it| source.module.starts_with(it));
        let is_iam = source.module.starts_with("aws::iam");
        if !may && !is_iam && source.imports.iter().any(changes) {
            wrong.push(source.path.clone());
        }
    }
    assert!(wrong.is_empty(), "these import aws::iam:\n{}", wrong.join("\n"));
}

#[test]
fn imports_begin_at_the_crate() {
    let sources = sources().values();
    let wrong = sources.filter(|source| source.names_its_neighbours);
    let wrong: Vec<&str> = wrong.map(|source| source.path.as_str()).collect();
    assert!(wrong.is_empty(), "these say super:: or self:: \n{}", wrong.join("\n"));
}

#[test]
fn files_are_short() {
    let mut wrong: Vec<(usize, &str)> = sources()
        .values()
        .map(|source| (source.lines, source.path.as_str()))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .collect();
    wrong.sort_unstable();
    assert!(wrong.is_empty(), "more than {LONGEST_FILE} lines: {wrong:#?}");
}

#[test]
fn functions_are_short() {
    let long = |source: &'static Source| {
        let functions = source.functions.iter();
        let long = functions.filter(|function| function.lines > LONGEST_FUNCTION);
        long.map(|function| {
            format!("{}: {} has {} lines", source.path, function.name, function.lines)
        })
    };
    let wrong: Vec<String> = sources().values().flat_map(long).collect();
    assert!(wrong.is_empty(), "more than {LONGEST_FUNCTION} lines:\n{}", wrong.join("\n"));
}

#[test]
fn few_functions_take_many_parameters() {
    let many = |source: &'static Source| {
        let functions = source.functions.iter();
        let many = functions.filter(|function| function.parameters >= MANY_PARAMETERS);
        many.map(|function| {
            format!("{}: {} takes {}", source.path, function.name, function.parameters)
        })
    };
    let found: Vec<String> = sources().values().flat_map(many).collect();
    assert!(
        found.len() <= MOST_WITH_MANY,
        "{} functions take {MANY_PARAMETERS} or more parameters:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn no_file_is_called_utils() {
    let utils =
        |source: &&Source| source.module.split("::").any(|name| name == "utils" || name == "util");
    let found = sources().values().find(utils).map(|source| &source.path);
    assert_eq!(found, None);
}

#[test]
fn every_way_to_import_is_seen() {
    for way in [
        "use crate::aws::iam;",
        "use crate::aws::iam as changes;",
        "use crate::aws::{account, iam, failure::{Failure, Reason}};",
        "use crate::{aws::{failure::{Failure, Reason}, iam::{self, create_user}}};",
        "fn f() { crate::aws::iam::create_user() }",
        "fn f() { println!(\"{}\", crate::aws::iam::create_user()) }",
        "fn f(_: crate::aws::iam::User) {}",
    ] {
        let source = Source::read("other", "other.rs", way);
        let found =
            source.imports.iter().any(|path| path == "aws::iam" || path.starts_with("aws::iam::"));
        assert!(found, "{way}: {:?}", source.imports);
    }
    let glob = Source::read("other", "other.rs", "use crate::aws::*;");
    assert!(glob.imports.contains("aws::*"));
    let child = Source::read("other", "other.rs", "mod part; pub use part::Thing;");
    assert!(child.imports.contains("other::part::Thing"), "{:?}", child.imports);
    let test = "#[cfg(test)] mod tests { use super::*; use crate::commands; }";
    let test = Source::read("other", "other.rs", test);
    assert!(test.imports.is_empty() && !test.names_its_neighbours);
    for way in ["use super::iam;", "use super::{iam};", "fn f() { super::iam::f() }"] {
        assert!(Source::read("other", "other.rs", way).names_its_neighbours, "{way}");
    }
}
