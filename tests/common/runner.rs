//! Runs the tests of a target. Unlike the standard runner it takes cases that are made at run time, and
//! leaves out those whose parts the machine lacks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use crate::support::parts::Part;

/// One test function, registered by `#[test]`.
pub struct Case {
    pub module: &'static str,
    pub name: &'static str,
    pub run: fn(),
    pub parts: &'static [Part],
}

inventory::collect!(Case);

/// One test, which may be a line of a table.
pub struct Test {
    name: String,
    parts: &'static [Part],
    run: Box<dyn FnOnce() + Send>,
}

impl Test {
    pub fn new(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Test {
        Test { name: name.into(), parts: &[], run: Box::new(run) }
    }

    pub fn needs(self, parts: &'static [Part]) -> Test {
        Test { parts, ..self }
    }

    fn missing(&self) -> Vec<Part> {
        let parts = self.parts.iter().copied();
        parts.filter(|part| !part.is_installed()).collect()
    }

    fn is_selected(&self, arguments: &Arguments) -> bool {
        let matches = |filter: &String| {
            if arguments.exact { self.name == *filter } else { self.name.contains(filter.as_str()) }
        };
        arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
    }

    fn into_trial(self) -> Trial {
        let missing = self.missing();
        let is_skipped = missing.first().is_some_and(|part| !part.is_required());
        let run = move || match missing.first() {
            None => catch(self.run),
            Some(part) => Err(Failed::from(format!(
                "{} is missing. To install it, run\n\n    {}\n",
                part.name(),
                part.install_command()
            ))),
        };
        Trial::test(self.name, run).with_ignored_flag(is_skipped)
    }
}

/// Runs the registered functions and the cases of the target's tables, so many at a time.
pub fn run(tables: Vec<Test>, threads: Option<usize>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(threads);
    panic::set_hook(Box::new(keep_message));
    let mut tests = tables;
    tests.extend(inventory::iter::<Case>.into_iter().map(|case| {
        let (_, module) = case.module.split_once("::").unwrap_or_default();
        Test::new(format!("{module}::{}", case.name), case.run).needs(case.parts)
    }));
    tests.sort_by(|one, other| one.name.cmp(&other.name));
    let skipped = skipped(&tests, &arguments);
    let conclusion =
        libtest_mimic::run(&arguments, tests.into_iter().map(Test::into_trial).collect());
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    let mut text = String::new();
    for (part, names) in skipped {
        text += &format!(
            "not run without {}; to install it: {}\n",
            part.name(),
            part.install_command()
        );
        text.extend(names.iter().map(|name| format!("    {name}\n")));
    }
    let (passed, failed, skipped) = total(&conclusion);
    text += &format!("{passed} passed, {failed} failed, {skipped} skipped\n");
    // A reader that has gone away must not turn a success into a failure.
    let _ = io::stdout().write_all(text.as_bytes());
    conclusion.exit_code()
}

fn skipped(tests: &[Test], arguments: &Arguments) -> BTreeMap<Part, Vec<String>> {
    let mut skipped: BTreeMap<Part, Vec<String>> = BTreeMap::new();
    for test in tests.iter().filter(|test| test.is_selected(arguments)) {
        if let Some(part) = test.missing().first().filter(|part| !part.is_required()) {
            skipped.entry(*part).or_default().push(test.name.clone());
        }
    }
    skipped
}

/// The counts of this target and of those that the same `cargo test` ran before it.
fn total(conclusion: &Conclusion) -> (u64, u64, u64) {
    let own = (conclusion.num_passed, conclusion.num_failed, conclusion.num_ignored);
    let Some(cargo) = parent() else { return own };
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("counts-{cargo}"));
    let earlier = fs::read_to_string(&path).unwrap_or_default();
    let mut counts: BTreeMap<String, (u64, u64, u64)> =
        serde_json::from_str(&earlier).unwrap_or_default();
    counts.insert(target_name(), own);
    let text = serde_json::to_string(&counts).expect("numbers are JSON");
    // Without the file the count is this target's alone.
    let _ = fs::write(&path, text);
    counts.values().fold((0, 0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1, sum.2 + it.2))
}

fn target_name() -> String {
    let program = std::env::args().next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The process that started this one, and when: numbers are used again.
#[cfg(target_os = "linux")]
fn parent() -> Option<String> {
    let id = std::os::unix::process::parent_id();
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let started = fields.split_whitespace().nth(19)?;
    Some(format!("{id}-{started}"))
}

#[cfg(not(target_os = "linux"))]
fn parent() -> Option<String> {
    None
}

thread_local! {
    static IS_TEST: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps what a panic says until its test is reported, among the messages of no other test.
fn keep_message(panic: &panic::PanicHookInfo) {
    if IS_TEST.get() {
        MESSAGE.set(Some(panic.to_string()));
    } else {
        let _ = writeln!(io::stderr(), "a test's thread {panic}");
    }
}

fn catch(run: impl FnOnce()) -> Result<(), Failed> {
    IS_TEST.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    IS_TEST.set(false);
    result.map_err(|_| {
        let message = MESSAGE.take();
        Failed::from(message.unwrap_or_else(|| "a thread of the test panicked".to_owned()))
    })
}
