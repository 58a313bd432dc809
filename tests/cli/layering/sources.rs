//! The files of `src`, parsed, without what is compiled for tests alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, Item, ItemFn, ItemMod, Macro, Signature, UseTree};

pub struct Source {
    /// As in `setup::plan`; empty for `lib.rs`.
    pub module: String,
    pub path: String,
    /// Without those of its tests.
    pub lines: usize,
    /// The modules that it declares in files of their own, in its order.
    pub children: Vec<String>,
    /// All paths that lead to other modules, from the crate's root on.
    pub imports: BTreeSet<String>,
    /// By `super::` or `self::`, which hide the layer.
    pub names_its_neighbours: bool,
    pub functions: Vec<Function>,
}

pub struct Function {
    pub name: String,
    pub lines: usize,
    pub parameters: usize,
}

/// Every file of the library, by its module.
pub fn sources() -> &'static BTreeMap<String, Source> {
    static SOURCES: OnceLock<BTreeMap<String, Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        collect(&src, &mut files);
        let read = |file: PathBuf| {
            let relative = file.strip_prefix(&src).expect("found below src");
            let module = module(relative)?;
            let text = fs::read_to_string(&file).expect("a source can be read");
            let source = Source::read(&module, &relative.display().to_string(), &text);
            Some((module, source))
        };
        let sources: BTreeMap<_, _> = files.into_iter().filter_map(read).collect();
        assert!(sources.len() > 50, "the sources were read");
        sources
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

/// The module of a file; `None` for the program itself, and for files of tests.
fn module(relative: &Path) -> Option<String> {
    let path = relative.with_extension("");
    let mut names: Vec<String> = path.iter().map(|it| it.to_string_lossy().into_owned()).collect();
    match names.last()?.as_str() {
        "mod" | "lib" => drop(names.pop()),
        "main" | "tests" => return None,
        _ => {}
    }
    if names.iter().any(|name| name == "tests") {
        return None;
    }
    Some(names.join("::"))
}

impl Source {
    pub fn read(module: &str, path: &str, text: &str) -> Source {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut source = Source {
            module: module.to_owned(),
            path: path.to_owned(),
            lines: text.lines().count(),
            children: Vec::new(),
            imports: BTreeSet::new(),
            names_its_neighbours: false,
            functions: Vec::new(),
        };
        for item in &file.items {
            if let Item::Mod(ItemMod { ident, content: None, attrs, .. }) = item
                && !is_for_tests(attrs)
            {
                source.children.push(ident.to_string());
            }
        }
        source.visit_file(&file);
        source
    }

    fn path(&mut self, names: &[String]) {
        match names.first().map(String::as_str) {
            Some("crate") => drop(self.imports.insert(names[1..].join("::"))),
            Some("super" | "self") if names.len() > 1 => self.names_its_neighbours = true,
            Some(first) if names.len() > 1 && self.children.iter().any(|it| it == first) => {
                let path = [std::slice::from_ref(&self.module), names].concat().join("::");
                self.imports.insert(path.trim_start_matches("::").to_owned());
            }
            _ => {}
        }
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) if name.ident == "self" => self.path(before),
            UseTree::Name(name) => self.path(&with(name.ident.to_string())),
            UseTree::Rename(rename) => self.path(&with(rename.ident.to_string())),
            UseTree::Glob(_) => self.path(&with("*".to_owned())),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, before);
                }
            }
        }
    }

    /// What a macro is given is not parsed: paths in it are found by their colons.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.path(&std::mem::take(&mut names));
                    }
                    names.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(it) if it.as_char() == ':' => colons += 1,
                other => {
                    self.path(&std::mem::take(&mut names));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.path(&names);
    }

    fn function(&mut self, signature: &Signature, whole: proc_macro2::Span) {
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines: whole.end().line + 1 - signature.span().start().line,
            parameters: signature.inputs.len(),
        });
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg_test = |list: &syn::MetaList| {
            list.path.is_ident("cfg")
                && list
                    .tokens
                    .to_string()
                    .split(|c: char| !c.is_alphanumeric())
                    .any(|word| word == "test")
        };
        attribute.path().is_ident("test") || attribute.meta.require_list().is_ok_and(is_cfg_test)
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            let span = item.span();
            self.lines -= span.end().line + 1 - span.start().line;
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        self.path(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, it: &'ast Macro) {
        self.tokens(it.tokens.clone());
        visit::visit_macro(self, it);
    }

    fn visit_item_fn(&mut self, it: &'ast ItemFn) {
        self.function(&it.sig, it.block.span());
        visit::visit_item_fn(self, it);
    }

    fn visit_impl_item_fn(&mut self, it: &'ast ImplItemFn) {
        if !is_for_tests(&it.attrs) {
            self.function(&it.sig, it.block.span());
            visit::visit_impl_item_fn(self, it);
        }
    }
}
