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
        for import in text.split("crate::").skip(1) {
            let name: String = import
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            imports += 1;
            match layers.iter().position(|layer| *layer == name) {
                Some(layer) if layer <= own_layer => {}
                _ => wrong.push(format!("{} imports {name}", relative.display())),
            }
            let changes_aws = import.starts_with("aws::iam");
            let executes = relative.with_extension("").starts_with("setup/execute");
            if changes_aws && !executes {
                wrong.push(format!("{} imports aws::iam", relative.display()));
            }
        }
    }
    assert!(imports > 50, "the sources were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
