//! What the program says: results to stdout, everything else to stderr. The only file that prints.
//! It knows no domain rules: a result brings its own text.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use console::{Style, Term, measure_text_width};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// `--color`.
pub type Color = clap::ColorChoice;

/// Where text is about to go: how wide it is, and whether emphasis shows.
pub struct Page {
    /// Columns; 80 where no terminal says otherwise.
    pub width: usize,
    style: Style,
}

impl Page {
    fn new(term: &Term) -> Self {
        Page {
            width: term.size_checked().map_or(80, |(_, columns)| columns.into()),
            style: term.style(),
        }
    }

    pub fn strong(&self, text: impl Display) -> String {
        self.style.clone().bold().apply_to(visible(&text.to_string())).to_string()
    }

    pub fn dim(&self, text: impl Display) -> String {
        self.style.clone().dim().apply_to(visible(&text.to_string())).to_string()
    }

    /// A paragraph as wide as the page, each line after the first one indented; ends in a line feed.
    pub fn wrapped(&self, text: &str, indent: &str) -> String {
        textwrap::fill(text, whole_words(self.width).subsequent_indent(indent)) + "\n"
    }
}

#[derive(Debug)]
pub struct Output {
    pub format: Format,
    verbosity: u8,
    unicode: bool,
    stdout: Term,
    stderr: Term,
    /// Shown between [`Output::working`] and [`Output::done`]; on a terminal only.
    spinner: ProgressBar,
}

impl Output {
    pub fn new(format: Format, verbosity: u8, color: Color, unicode: bool) -> Self {
        // `auto` leaves `console`'s own judgement: terminals only, and never with NO_COLOR.
        if color != Color::Auto {
            console::set_colors_enabled(color == Color::Always);
            console::set_colors_enabled_stderr(color == Color::Always);
        }
        let ticks = if unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "-\\|/ " };
        let style = ProgressStyle::with_template("  {spinner}   {wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let spinner = ProgressBar::new_spinner().with_style(style.tick_chars(ticks));
        spinner.finish_and_clear();
        let (stdout, stderr) = (Term::stdout(), Term::stderr());
        Output { format, verbosity, unicode, stdout, stderr, spinner }
    }

    pub fn page(&self) -> Page {
        Page::new(&self.stderr)
    }

    /// The command's result on stdout: one value for `--output json`, or its text for people.
    pub fn result(&self, json: &impl Serialize, text: impl Fn(&Page) -> String) -> Result<()> {
        if self.format == Format::Json {
            return self.document(json);
        }
        let text = Zeroizing::new(text(&Page::new(&self.stdout)));
        self.raw(Zeroizing::new(printable(&text, self.unicode)).as_bytes())
    }

    /// The text of a result on stderr: stdout is taken by something else (`--store stdout`).
    pub fn result_beside(&self, text: impl Fn(&Page) -> String) {
        let text = Zeroizing::new(text(&self.page()));
        self.styled(text.trim_end());
    }

    /// Bytes to stdout as they are, at once: a document that was explicitly asked for.
    pub fn raw(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(|cause| cannot_write("to standard output", cause))
    }

    fn document(&self, value: &impl Serialize) -> Result<()> {
        self.raw(&json(value).map_err(|cause| cannot_write("the result as JSON", cause.into()))?)
    }

    /// How the program ends when it fails: one line and a hint on stderr, or the JSON document.
    pub fn error(&self, error: &Error) {
        let document = Failure { error, report: None::<&()> };
        if self.format == Format::Text || self.document(&document).is_err() {
            self.told(error);
        }
    }

    /// How it ends when it fails with a result: both as one JSON document, or each on its stream.
    pub fn result_and_error(
        &self,
        report: &impl Serialize,
        text: impl Fn(&Page) -> String,
        error: &Error,
    ) {
        // What is to be seen on stdout only, as JSON, is not put elsewhere.
        let is_json = self.format == Format::Json;
        if is_json && self.document(&Failure { error, report: Some(report) }).is_ok() {
            return;
        }
        if !is_json && self.result(report, &text).is_err() {
            self.result_beside(text);
        }
        self.told(error);
    }

    fn told(&self, error: &Error) {
        let page = self.page();
        let red = self.stderr.style().red().bold();
        self.styled(&format!("{} {}", red.apply_to("error:"), visible(&error.message)));
        if let Some(hint) = &error.hint {
            self.styled(&format!("{} {}", page.strong("hint:"), visible(hint)));
        }
        if let (Some(cause), true) = (&error.cause, self.verbosity > 0) {
            self.styled(&page.dim(format!("cause: {cause:#}")));
        }
    }

    /// A line on stderr.
    pub fn say(&self, line: &str) {
        self.styled(&visible(line));
    }

    fn styled(&self, line: &str) {
        let line = printable(line, self.unicode);
        // Nothing sensible can be done when stderr itself is gone.
        self.spinner.suspend(|| drop(self.stderr.write_line(&line)));
    }

    /// A command to the terminal behind stderr, which shows nothing of it.
    pub fn control_terminal(&self, sequence: &str) -> Result<()> {
        self.stderr.write_str(sequence).map_err(|cause| cannot_write("to the terminal", cause))
    }

    pub fn warn(&self, text: &str) {
        let yellow = self.stderr.style().yellow().bold();
        let line = format!("{} {}", yellow.apply_to("warning:"), visible(text));
        if io::stderr().is_terminal() {
            self.styled(self.page().wrapped(&line, "  ").trim_end());
        } else {
            self.styled(&line);
        }
    }

    pub fn step_done(&self, what: &str, detail: &str) {
        let row = vec![format!("done  {what:<20}"), detail.to_owned()];
        self.say(table(&[row], self.page().width).trim_end());
    }

    /// A line that only `-v` (level 1) or `-vv` (level 2) shows.
    pub fn detail(&self, level: u8, text: &str) {
        if self.verbosity >= level {
            self.styled(&self.page().dim(text));
        }
    }

    /// Shows what is going on until [`Output::done`].
    pub fn working(&self, text: &str) {
        self.spinner.set_message(printable(&visible(text), self.unicode));
        if self.spinner.is_finished() {
            self.spinner.reset();
            self.spinner.enable_steady_tick(Duration::from_millis(100));
        }
    }

    pub fn done(&self) {
        self.spinner.finish_and_clear();
    }
}

fn cannot_write(what: &str, cause: io::Error) -> Error {
    Error::failed(format!("cannot write {what}: {cause}")).caused_by(cause)
}

#[derive(Serialize)]
struct Failure<'a, R: Serialize> {
    error: &'a Error,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a R>,
}

/// The value and a line feed. It may hold a secret that was asked for: so the buffer is wiped, and of
/// the right size at once, because growing would leave copies behind.
pub fn json(value: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    struct Length(usize);
    impl Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    value.serialize(&mut Serializer::with_formatter(&mut length, SafeJson))?;
    let mut text = Zeroizing::new(Vec::with_capacity(length.0 + 1));
    value.serialize(&mut Serializer::with_formatter(&mut *text, SafeJson))?;
    text.push(b'\n');
    Ok(text)
}

/// Compact JSON in which a character that a terminal might obey is escaped.
struct SafeJson;

impl Formatter for SafeJson {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> Result<(), io::Error> {
        text.chars().try_for_each(|c| {
            // All of them have four digits.
            if is_unsafe(c) { write!(to, "\\u{:04x}", u32::from(c)) } else { write!(to, "{c}") }
        })
    }
}

/// What a terminal might obey instead of showing it: control characters (C0, DEL and C1), line and
/// paragraph separators, and whatever changes the direction of text.
fn is_unsafe(c: char) -> bool {
    let is_direction = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_direction || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Names and texts of others, with a mark in the place of each character that a terminal might obey.
pub fn visible(text: &str) -> String {
    let shown = |c| if c != '\n' && is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

/// What may go to the terminal: [`visible`] text with our own styles, and without the few characters
/// beyond ASCII that we use where the terminal lacks them.
pub fn printable(text: &str, unicode: bool) -> String {
    // Bold, dim, red, yellow and cyan, and the end of them.
    const STYLES: [&str; 6] = ["[0m", "[1m", "[2m", "[31m", "[33m", "[36m"];
    let mut pieces = text.split('\u{1b}');
    let mut safe = visible(pieces.next().unwrap_or_default());
    for piece in pieces {
        let is_ours = STYLES.iter().any(|style| piece.starts_with(style));
        safe.push(if is_ours { '\u{1b}' } else { char::REPLACEMENT_CHARACTER });
        safe.push_str(&visible(piece));
    }
    if unicode {
        return safe;
    }
    safe.replace('…', "...").replace('→', "->").replace(char::REPLACEMENT_CHARACTER, "?")
}

/// Neither flags, paths nor addresses are broken, so that they can be copied.
pub fn whole_words<'a>(width: usize) -> textwrap::Options<'a> {
    textwrap::Options::new(width)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
}

/// Left-aligned columns with two spaces between them; the last one is not padded. A cell that does
/// not fit on the page moves down, under the cell before it where there is room. One that is wider
/// than the page is left to the terminal: a command must stay one line, to be copied.
pub fn table(rows: &[Vec<String>], width: usize) -> String {
    let visible = |row: &Vec<String>| row.iter().map(|cell| visible(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(visible).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = measure_text_width(cell).max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut used = 0;
        let mut start = 2;
        let mut before = 4;
        for (cell, padded) in row.iter().zip(&widths) {
            if cell.is_empty() {
                start += padded + 2;
                continue;
            }
            let needed = measure_text_width(cell);
            if start + needed > width && start > 4 {
                if used > 0 {
                    text.truncate(text.trim_end_matches(' ').len());
                    text.push('\n');
                    used = 0;
                }
                start = if before + needed <= width { before } else { 4 };
            }
            text.push_str(&" ".repeat(start - used));
            text.push_str(cell);
            used = start + needed;
            // Never in the first column, where names stand.
            before = start.max(4);
            start = used.max(start + padded) + 2;
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| cell.to_string()).collect()
    }

    #[test]
    fn a_table_is_aligned() {
        let rows = [row(&["a", "long cell", "x"]), row(&["bcd", "e", ""])];
        assert_eq!(table(&rows, 80), "  a    long cell  x\n  bcd  e\n");
        let gap = [row(&["a", "", "x"]), row(&["b", "cell", "y"])];
        assert_eq!(table(&gap, 80), "  a        x\n  b  cell  y\n");
    }

    #[test]
    fn a_document_is_written_without_growing() {
        let value = vec!["a \"quoted\" word"; 100];
        let text = json(&value).expect("plain data");
        assert_eq!(text.len(), text.capacity());
        assert_eq!(text.last(), Some(&b'\n'));
        let back: Vec<String> = serde_json::from_slice(&text).expect("our own");
        assert_eq!(back, value);
    }

    #[test]
    fn what_does_not_fit_moves_down() {
        let rows = [row(&["name", "a rather long state", "a note"])];
        assert_eq!(table(&rows, 30), "  name  a rather long state\n        a note\n");
        assert_eq!(table(&rows, 24), "  name\n    a rather long state\n    a note\n");
    }

    #[test]
    fn ascii_terminals_get_ascii() {
        assert_eq!(printable("a … → b\u{9b}", false), "a ... -> b?");
        assert_eq!(printable("a … → b", true), "a … → b");
    }

    #[test]
    fn what_a_terminal_might_obey_is_shown_as_a_mark() {
        for unsafe_text in
            ["\u{1b}]0;x", "\u{9b}31m", "\u{202e}", "\r", "\t", "\u{2066}", "\u{1b}[8m"]
        {
            for safe in [visible(unsafe_text), printable(unsafe_text, true)] {
                assert!(!safe.contains(is_unsafe), "{unsafe_text:?}: {safe:?}");
            }
        }
        assert_eq!(visible("a\u{1b}[1mb\nc é"), "a\u{fffd}[1mb\nc é");
        assert_eq!(printable("\u{1b}[1mb\u{1b}[0m", true), "\u{1b}[1mb\u{1b}[0m");
        assert_eq!(table(&[row(&["\u{1b}[1m", "x"])], 80), "  \u{fffd}[1m  x\n");
    }

    #[test]
    fn json_escapes_it_and_reads_back() {
        let value = ["\u{1b}a\u{7f}", "\u{9b}\u{202e}b\"", "plain é"];
        let text = json(&value).expect("plain data");
        let text = std::str::from_utf8(&text).expect("UTF-8");
        assert_eq!(text, "[\"\\u001ba\\u007f\",\"\\u009b\\u202eb\\\"\",\"plain é\"]\n");
        let back: Vec<String> = serde_json::from_str(text).expect("our own");
        assert_eq!(back, value);
    }
}
