//! A person at a terminal.
//!
//! The rules of the terminal: questions go to stderr; Ctrl-C ends with 130 and the end of input
//! (Ctrl-D) with 3, never with an answer; what is hidden is never echoed, also not after Ctrl-Z and
//! `fg`; whatever happens, the terminal is left as it was found.
//!
//! Built on `console`, dialoguer's own foundation, because dialoguer 0.12 cannot keep two of these
//! rules: it swallows Ctrl-D (its `Password` even asks again for ever), and between two hidden
//! lines it flushes the terminal, which loses the rest of a pasted JSON document.

mod keys;

use std::io;
use std::iter::{once, repeat};

use console::{Key, Term, measure_text_width, truncate_str};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::interrupt::{Interrupt, signal_runtime, start_thread};
use crate::output::{printable, visible, whole_words};
use crate::pasted::{self, Pasted};
use crate::prompt::question::{Check, Choice, Prompt, Question};
use crate::prompt::terminal::keys::{
    Keys, TerminalMode, no_more, read_hidden_line, read_key, read_line, read_long_line,
};
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
        let (interrupt, mode) = runtime.block_on(async {
            Ok::<_, Error>((Interrupt::listen()?, TerminalMode::of_stdin()?))
        })?;
        Ok(Terminal { term: Term::stderr(), unicode, interrupt, runtime, mode })
    }

    /// Reads on a thread of its own, left behind on Ctrl-C: a blocked read cannot be interrupted.
    fn read<T: Send + 'static>(
        &mut self,
        question: Question,
        read: impl FnOnce(&Term) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let term = self.term.clone();
        let mut reading = start_thread(move || read(&term));
        let answer = loop {
            let (interrupt, mode) = (&self.interrupt, &mut self.mode);
            let answer = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = interrupt.wait() => Some(Err(io::ErrorKind::Interrupted.into())),
                    () = mode.continued() => None,
                    // A thread that has ended without an answer has none to give any more.
                    answer = &mut reading => Some(answer.unwrap_or_else(|_| Err(no_more()))),
                }
            });
            match answer {
                Some(answer) => break answer,
                None => self.ask(question, None)?,
            }
        };
        answer.map_err(|cause: io::Error| {
            self.mode.take(Keys::AsFound);
            // Leave the question's line, and the cursor visible.
            drop(self.term.show_cursor());
            drop(self.term.write_line(""));
            match cause.kind() {
                // console answers Ctrl-C in raw mode by raising the signal and failing the read.
                // Questions come before anything is done.
                io::ErrorKind::Interrupted => Error::cancelled().hint("nothing was changed"),
                io::ErrorKind::UnexpectedEof => Error::end_of_input(question.text, question.flag),
                _ => Error::from(cause),
            }
        })
    }

    /// A line that is shown, asked for until `accept` makes an answer of it.
    fn shown_line(
        &mut self,
        question: Question,
        default: Option<&str>,
        accept: &dyn Fn(&str) -> Result<String>,
    ) -> Result<String> {
        // What was typed before the question was seen does not answer it.
        self.mode.discard_typed();
        loop {
            self.ask(question, default)?;
            let typed = self.read(question, read_line)?;
            match accept(typed.trim()) {
                Ok(answer) => {
                    let asked = measure_text_width(&self.head(question, default)) + 1;
                    let columns = usize::from(self.term.size().1).max(1);
                    let lines = (asked + measure_text_width(typed.trim_end())) / columns + 1;
                    self.settle(question, lines, &answer)?;
                    return Ok(answer);
                }
                Err(error) => self.refuse(&error)?,
            }
        }
    }

    /// The caller hides the input before, and shows it again after the last hidden line.
    fn hidden_line(&mut self, question: Question) -> Result<SecretString> {
        self.ask(question, None)?;
        let line = self.read(question, read_hidden_line)?;
        self.line("")?;
        Ok(SecretString::from(line.trim_end_matches(['\r', '\n'])))
    }

    fn line(&self, text: &str) -> Result<()> {
        Ok(self.term.write_line(&printable(text, self.unicode))?)
    }

    fn width(&self) -> usize {
        // One column stays free: some terminals wrap as soon as the last one is written.
        usize::from(self.term.size().1).saturating_sub(1).max(20)
    }

    /// Asks, with the flag at the right edge if there is room, and leaves the cursor in between.
    fn ask(&self, question: Question, default: Option<&str>) -> Result<()> {
        let mut text = self.head(question, default) + " ";
        let free = self.width().saturating_sub(measure_text_width(&text));
        if free >= question.flag.len() + 24 {
            // The flag is drawn first and the cursor taken back, so that typing may overwrite it.
            let flag = self.term.style().dim().apply_to(question.flag);
            text = format!("{text}{flag:>free$}\r{text}");
        }
        Ok(self.term.write_str(&text)?)
    }

    /// Puts the question's answer in the place of its last lines.
    fn settle(&self, question: Question, lines: usize, answer: &str) -> Result<()> {
        self.term.clear_last_lines(lines)?;
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

    /// The lines of a selection, with the cursor at that choice.
    fn selection(&self, question: Question, choices: &[Choice], at: usize) -> Vec<String> {
        let label_width = choices.iter().map(|it| measure_text_width(&it.label)).max().unwrap_or(0);
        let mut widths = choices.iter().map(|it| 4 + label_width + measure_text_width(&it.note));
        let notes_fit = widths.all(|width| width <= self.width());
        let dim = self.term.style().dim();
        let drawn = choices.iter().enumerate().map(|(index, choice)| {
            let (mark, style) = if index == at {
                (">", self.term.style().cyan().bold())
            } else {
                (" ", self.term.style())
            };
            let label = style.apply_to(format!("{mark} {}", choice.label));
            if notes_fit {
                let gap = " ".repeat(label_width - measure_text_width(&choice.label));
                return vec![format!("{label}{gap}  {}", dim.apply_to(&choice.note))];
            }
            let note = textwrap::wrap(&choice.note, self.width() - 4).into_iter();
            let note = note.filter(|line| !line.is_empty());
            let note = note.map(|line| format!("    {}", dim.apply_to(line)));
            once(label.to_string()).chain(note).collect()
        });
        let drawn: Vec<Vec<String>> = drawn.collect();
        let mut lines = self.wrapped_head(question);
        // As many as fit on the screen, around the one that the cursor is at.
        let tallest = drawn.iter().map(Vec::len).max().unwrap_or(1);
        let rows = usize::from(self.term.size().0).saturating_sub(lines.len() + 1);
        let room = (rows / tallest).clamp(1, drawn.len());
        let start = at.saturating_sub(room / 2).min(drawn.len() - room);
        lines.extend(drawn.into_iter().skip(start).take(room).flatten());
        lines
    }

    /// The question, with the flag at the right edge if there is room.
    fn wrapped_head(&self, question: Question) -> Vec<String> {
        let style = self.term.style();
        let (mark, strong, dim) = (style.clone().cyan().bold(), style.clone().bold(), style.dim());
        let text = visible(question.text);
        let text = textwrap::wrap(&text, self.width() - 2);
        let marked = text.iter().zip(once("?").chain(repeat(" ")));
        let mut lines: Vec<String> = marked
            .map(|(line, sign)| format!("{} {}", mark.apply_to(sign), strong.apply_to(line)))
            .collect();
        if let Some(last) = lines.last_mut() {
            let free = self.width().saturating_sub(measure_text_width(last));
            if free > question.flag.len() {
                last.push_str(&format!("{:>free$}", dim.apply_to(question.flag)));
            }
        }
        lines
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
        let text = textwrap::fill(&visible(text), whole_words(self.width()));
        self.line(&text)
    }

    fn select(&mut self, question: Question, choices: &[Choice], default: usize) -> Result<usize> {
        let mut at = default.min(choices.len().saturating_sub(1));
        // Before anything is drawn: a key pressed early must not be taken as line editing.
        self.mode.take(Keys::Single);
        self.mode.discard_typed();
        self.term.hide_cursor()?;
        loop {
            let lines = self.selection(question, choices, at);
            for line in &lines {
                self.line(&truncate_str(line, self.width(), "…"))?;
            }
            match self.read(question, read_key)? {
                Key::ArrowDown | Key::Tab | Key::Char('j') => at = (at + 1) % choices.len(),
                Key::ArrowUp | Key::BackTab | Key::Char('k') => {
                    at = (at + choices.len() - 1) % choices.len();
                }
                Key::Enter => {
                    self.mode.take(Keys::AsFound);
                    self.settle(question, lines.len(), &choices[at].label)?;
                    self.term.show_cursor()?;
                    return Ok(at);
                }
                _ => {}
            }
            self.term.clear_last_lines(lines.len())?;
        }
    }

    fn text(&mut self, question: Question, default: Option<&str>, check: Check) -> Result<String> {
        self.shown_line(question, default, &|typed| {
            let answer = default.filter(|_| typed.is_empty()).unwrap_or(typed);
            if answer.is_empty() {
                return Err(Error::usage("an answer is needed here; Ctrl-C ends"));
            }
            check(answer).map(|()| answer.to_owned())
        })
    }

    fn new_password(&mut self, question: Question, check: Check) -> Result<SecretString> {
        let again = Question { text: "The same again", ..question };
        // Before the question is drawn: whoever types it in has no reason to wait.
        self.mode.take(Keys::HiddenLine);
        self.mode.discard_typed();
        loop {
            let first = self.hidden_line(question)?;
            let refused = match check(first.expose_secret()) {
                Err(refused) => refused,
                Ok(()) if self.hidden_line(again)?.expose_secret() == first.expose_secret() => {
                    self.mode.take(Keys::AsFound);
                    return Ok(first);
                }
                Ok(()) => Error::failed("the passwords do not match"),
            };
            self.refuse(&refused)?;
        }
    }

    fn hidden(&mut self, question: Question) -> Result<SecretString> {
        // What is pasted here may be longer than a line that the terminal edits.
        self.mode.take(Keys::Single);
        self.mode.discard_typed();
        self.ask(question, None)?;
        let line = self.read(question, read_long_line)?;
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
                let line = self.read(question, read_hidden_line)?;
                if line.len() + text.len() >= pasted::LONGEST_INPUT {
                    let what = "this is far too long for an access key pair";
                    let hint = "give the access key ID and the secret access key alone";
                    break Err(Error::credentials(what).hint(hint));
                }
                text.push_str(&line);
                text.push('\n');
                if let Some(pair) = pasted::recognise(&text).transpose() {
                    break pair;
                }
                if text.trim_start().starts_with("AKIA") {
                    // Typed by hand, half by half: say what comes next.
                    self.line("")?;
                    self.ask(Question { text: "Secret access key", ..question }, None)?;
                }
            };
            // The rest of a paste belongs to no other question, and on no screen.
            self.mode.discard_paste();
            self.line("")?;
            match pair {
                Ok(Pasted { pair, note }) => {
                    // Hidden until the next question: whoever pastes again at once must not see it.
                    self.line(&format!("  read the key {}", pair.access_key_id))?;
                    note.map_or(Ok(()), |note| self.line(&format!("  {note}")))?;
                    return Ok(pair);
                }
                Err(error) => self.refuse(&error)?,
            }
        }
    }

    fn confirm(&mut self, question: Question) -> Result<bool> {
        let with_keys = Question { text: &format!("{} (y/N)", question.text), ..question };
        let answer =
            self.shown_line(with_keys, None, &|typed| match typed.to_lowercase().as_str() {
                "y" | "yes" => Ok("yes".to_owned()),
                "" | "n" | "no" => Ok("no".to_owned()),
                _ => Err(Error::usage("answer y for yes, or n for no")),
            })?;
        Ok(answer == "yes")
    }
}
