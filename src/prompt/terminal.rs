//! A person at a terminal.
//!
//! The rules of the terminal: questions go to stderr; Ctrl-C ends with 130 and the end of input
//! (Ctrl-D) with 3, never with an answer; what is hidden is never echoed, also not after Ctrl-Z and
//! `fg`; whatever happens, the terminal is left as it was found.
//!
//! Built on `console`, dialoguer's own foundation, because dialoguer 0.12 cannot keep two of these
//! rules: it swallows Ctrl-D (its `Password` even asks again for ever), and between two hidden
//! lines it flushes the terminal, which loses the rest of a pasted JSON document.

mod input;
mod mode;
mod selection;

use std::io;

use console::{Key, Term, measure_text_width, truncate_str};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::interrupt::{Interrupt, signal_runtime, start_thread};
use crate::output::{printable, visible, whole_words};
use crate::pasted::{self, Pasted};
use crate::prompt::question::{Check, Choice, Prompt, Question};
use crate::prompt::terminal::input::{read_hidden_line, read_line, read_long_line};
use crate::prompt::terminal::mode::{Keys, TerminalMode};
use crate::prompt::terminal::selection::Selection;
use crate::secret::KeyPair;

/// The terminal behind standard input and standard error.
pub struct Terminal {
    term: Term,
    unicode: bool,
    interrupt: Interrupt,
    // Only waits for signals while a thread reads the terminal; separate from the AWS runtime.
    runtime: tokio::runtime::Runtime,
    mode: TerminalMode,
}

impl Terminal {
    pub fn new(unicode: bool) -> Result<Self> {
        let runtime = signal_runtime()?;
        let (interrupt, mode) = {
            let _inside = runtime.enter();
            let mode = TerminalMode::of_stdin().map_err(anyhow::Error::from)?;
            (Interrupt::listen()?, mode)
        };
        Ok(Terminal { term: Term::stderr(), unicode, interrupt, runtime, mode })
    }

    /// Reads on a thread of its own, because a blocked read cannot be interrupted; on Ctrl-C the
    /// thread is left behind and ends with the process.
    fn read<T: Send + 'static>(
        &mut self,
        question: Question,
        read: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut reading = start_thread(read);
        let answer = loop {
            let (interrupt, mode) = (&mut self.interrupt, &mut self.mode);
            let event = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = interrupt.wait() => Event::Interrupted,
                    is_hidden = mode.continued() => Event::Continued { is_hidden },
                    answer = &mut reading => Event::Answered(answer.ok()),
                }
            });
            match event {
                Event::Continued { is_hidden: true } => self.ask(question, None)?,
                Event::Continued { is_hidden: false } => {}
                Event::Answered(answer) => break answer,
                // console answers Ctrl-C in raw mode by raising the signal and failing the read.
                Event::Interrupted => break Some(Err(io::ErrorKind::Interrupted.into())),
            }
        };
        let failed = match answer {
            Some(Ok(value)) => return Ok(value),
            // Questions come before anything is done.
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                Error::cancelled().hint("nothing was changed")
            }
            Some(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                Error::from(anyhow::Error::from(error))
            }
            _ => Error::end_of_input(question.text, question.flag),
        };
        self.mode.take(Keys::AsFound);
        // Leave the question's line, and the cursor visible.
        drop(self.term.show_cursor());
        drop(self.term.write_line(""));
        Err(failed)
    }

    fn key(&mut self, question: Question) -> Result<Key> {
        let term = self.term.clone();
        match self.read(question, move || term.read_key())? {
            // Ctrl-D and, on Windows, Ctrl-Z; in raw mode they are characters like any other.
            Key::Char(key) if key == '\u{4}' || (cfg!(windows) && key == '\u{1a}') => {
                self.mode.take(Keys::AsFound);
                drop(self.term.show_cursor());
                self.line("")?;
                Err(Error::end_of_input(question.text, question.flag))
            }
            key => Ok(key),
        }
    }

    /// The caller hides the input before, and shows it again after the last hidden line.
    fn hidden_line(&mut self, question: Question) -> Result<SecretString> {
        self.ask(question, None)?;
        let term = self.term.clone();
        let line = self.read(question, move || read_hidden_line(&term))?;
        self.line("")?;
        Ok(SecretString::from(line.trim_end_matches(['\r', '\n'])))
    }

    fn line(&self, text: &str) -> Result<()> {
        shown(self.term.write_line(&printable(text, self.unicode)))
    }

    fn width(&self) -> usize {
        // One column stays free: some terminals wrap as soon as the last one is written.
        usize::from(self.term.size().1).saturating_sub(1).max(20)
    }

    /// `? text (default)` with the flag dimmed at the right edge, where there is room. Leaves the
    /// cursor where the answer is typed.
    fn ask(&self, question: Question, default: Option<&str>) -> Result<()> {
        let head = self.head(question, default);
        let free = self.width().saturating_sub(measure_text_width(&head) + 1);
        let mut text = format!("{head} ");
        if free >= question.flag.len() + 24 {
            // The flag is drawn first and the cursor taken back, so that typing may overwrite it.
            let gap = " ".repeat(free - question.flag.len());
            let flag = self.term.style().dim().apply_to(question.flag);
            text = format!("{head} {gap}{flag}\r{head} ");
        }
        shown(self.term.write_str(&text))
    }

    /// Puts the question's answer where its default and its flag stood.
    fn settle(
        &self,
        question: Question,
        default: Option<&str>,
        typed: &str,
        answer: &str,
    ) -> Result<()> {
        let asked = measure_text_width(&self.head(question, default)) + 1;
        let columns = usize::from(self.term.size().1).max(1);
        let lines = (asked + measure_text_width(typed.trim_end())) / columns + 1;
        shown(self.term.clear_last_lines(lines))?;
        let answer = self.term.style().cyan().apply_to(visible(answer));
        self.line(&format!("{}  {answer}", self.head(question, None)))
    }

    fn head(&self, question: Question, default: Option<&str>) -> String {
        let mark = self.term.style().cyan().bold().apply_to("?");
        let text = self.term.style().bold().apply_to(visible(question.text));
        let default = default.map(|default| visible(&format!("  ({default})"))).unwrap_or_default();
        printable(&format!("{mark} {text}{default}"), self.unicode)
    }

    /// Says why an answer was refused, before asking again.
    fn refuse(&self, error: &Error) -> Result<()> {
        self.line(&visible(&format!("  {}", error.with_hint())))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.mode.take(Keys::AsFound);
    }
}

impl Prompt for Terminal {
    fn tell(&mut self, text: &str) -> Result<()> {
        self.line("")?;
        for line in textwrap::wrap(&visible(text), whole_words(self.width())) {
            self.line(&line)?;
        }
        Ok(())
    }

    fn select(&mut self, question: Question, choices: &[Choice], default: usize) -> Result<usize> {
        let choices = choices.iter().map(|it| Choice::new(visible(&it.label), visible(&it.note)));
        let choices: &[Choice] = &choices.collect::<Vec<_>>();
        let text = visible(question.text);
        let question = Question { text: &text, ..question };
        let mut at = default.min(choices.len().saturating_sub(1));
        // Before anything is drawn: a key pressed early must not be taken as line editing.
        self.mode.take(Keys::Single);
        self.mode.discard_typed();
        shown(self.term.hide_cursor())?;
        loop {
            let selection = Selection { term: &self.term, question, choices, width: self.width() };
            let lines = selection.lines(at);
            for line in &lines {
                self.line(&truncate_str(line, self.width(), "…"))?;
            }
            let lines = lines.len();
            match self.key(question)? {
                Key::ArrowDown | Key::Tab | Key::Char('j') => at = (at + 1) % choices.len(),
                Key::ArrowUp | Key::BackTab | Key::Char('k') => {
                    at = (at + choices.len() - 1) % choices.len();
                }
                Key::Enter => {
                    self.mode.take(Keys::AsFound);
                    shown(self.term.clear_last_lines(lines))?;
                    shown(self.term.show_cursor())?;
                    let answer = self.term.style().cyan().apply_to(&choices[at].label);
                    self.line(&format!("{}  {answer}", self.head(question, None)))?;
                    return Ok(at);
                }
                _ => {}
            }
            shown(self.term.clear_last_lines(lines))?;
        }
    }

    fn text(&mut self, question: Question, default: Option<&str>, check: Check) -> Result<String> {
        // What was typed before the question was seen does not answer it.
        self.mode.discard_typed();
        loop {
            self.ask(question, default)?;
            let line = self.read(question, || read_line().map(|line| line.to_string()))?;
            let answer = match (line.trim(), default) {
                ("", Some(default)) => default,
                ("", None) => {
                    self.refuse(&Error::usage("an answer is needed here; Ctrl-C ends"))?;
                    continue;
                }
                (typed, _) => typed,
            };
            match check(answer) {
                Ok(()) => {
                    self.settle(question, default, &line, answer)?;
                    return Ok(answer.to_owned());
                }
                Err(error) => self.refuse(&error)?,
            }
        }
    }

    fn new_password(&mut self, question: Question, check: Check) -> Result<SecretString> {
        let again = Question { text: "The same again", ..question };
        // Before the question is drawn: whoever types it in has no reason to wait.
        self.mode.take(Keys::HiddenLine);
        self.mode.discard_typed();
        loop {
            let first = self.hidden_line(question)?;
            if let Err(error) = check(first.expose_secret()) {
                self.refuse(&error)?;
                continue;
            }
            let second = self.hidden_line(again)?;
            if first.expose_secret() == second.expose_secret() {
                self.mode.take(Keys::AsFound);
                return Ok(first);
            }
            self.refuse(&Error::failed("the passwords do not match"))?;
        }
    }

    fn hidden(&mut self, question: Question) -> Result<SecretString> {
        // What is pasted here may be longer than a line that the terminal edits.
        self.mode.take(Keys::Single);
        self.mode.discard_typed();
        self.ask(question, None)?;
        let term = self.term.clone();
        let line = self.read(question, move || read_long_line(&term))?;
        self.mode.discard_paste();
        self.mode.take(Keys::AsFound);
        self.line("")?;
        Ok(SecretString::from(line.trim()))
    }

    fn key_pair(&mut self, question: Question) -> Result<KeyPair> {
        // Input stays hidden until the last line: what is pasted arrives faster than we read.
        self.mode.take(Keys::HiddenLine);
        loop {
            self.ask(question, None)?;
            let mut text = Zeroizing::new(String::with_capacity(pasted::LONGEST_INPUT));
            let pair = loop {
                let term = self.term.clone();
                let line = self.read(question, move || read_hidden_line(&term))?;
                if line.trim().is_empty() {
                    continue;
                }
                if line.len() + text.len() >= pasted::LONGEST_INPUT {
                    break Err(pasted::too_long());
                }
                text.push_str(&line);
                text.push('\n');
                match pasted::recognise(&text) {
                    Ok(Pasted::Pair(pair)) => break Ok(pair),
                    Ok(Pasted::Incomplete)
                        if !text.trim().is_empty() && text.lines().count() == 1 =>
                    {
                        // Typed by hand, half by half: say what comes next.
                        self.line("")?;
                        let next = Question { text: "Secret access key", ..question };
                        if !text.trim_start().starts_with('{') && !text.contains(',') {
                            self.ask(next, None)?;
                        }
                    }
                    Ok(Pasted::Incomplete) => {}
                    Err(error) => break Err(error),
                }
            };
            // The rest of a paste belongs to no other question, and on no screen.
            self.mode.discard_paste();
            self.line("")?;
            match pair {
                Ok(pair) => {
                    self.mode.take(Keys::AsFound);
                    self.line(&format!("  read the key {}", pair.access_key_id))?;
                    return Ok(pair);
                }
                Err(error) => self.refuse(&error)?,
            }
        }
    }

    fn confirm(&mut self, question: Question) -> Result<bool> {
        let with_keys = Question { text: &format!("{} (y/N)", question.text), ..question };
        // What was typed before the question was seen does not answer it.
        self.mode.discard_typed();
        loop {
            self.ask(with_keys, None)?;
            let line = self.read(question, || read_line().map(|line| line.to_string()))?;
            let answer = match line.trim().to_lowercase().as_str() {
                "y" | "yes" => true,
                "" | "n" | "no" => false,
                _ => {
                    self.refuse(&Error::usage("answer y for yes, or n for no"))?;
                    continue;
                }
            };
            self.settle(with_keys, None, &line, if answer { "yes" } else { "no" })?;
            return Ok(answer);
        }
    }
}

enum Event<T> {
    Interrupted,
    /// After a stop.
    Continued {
        is_hidden: bool,
    },
    /// `None` if the thread has ended without an answer.
    Answered(Option<io::Result<T>>),
}

fn shown(result: io::Result<()>) -> Result<()> {
    result.map_err(|cause| {
        Error::from(anyhow::Error::from(cause).context("cannot write to the terminal"))
    })
}
