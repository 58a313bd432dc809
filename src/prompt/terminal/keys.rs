//! How the terminal takes keys, how it was found, and the blocking reads themselves.

use std::io::{self, BufRead};

use console::{Key, Term};
#[cfg(unix)]
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// As the terminal was found.
    AsFound,
    /// A line without echo.
    HiddenLine,
    /// Key by key without echo; Ctrl-C still raises its signal.
    Single,
}

#[cfg(unix)]
pub struct TerminalMode {
    found: Option<Termios>,
    continued: tokio::signal::unix::Signal,
    keys: Keys,
}

#[cfg(unix)]
impl TerminalMode {
    /// Must be called inside a tokio runtime.
    pub fn of_stdin() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let number = rustix::process::Signal::CONT.as_raw();
        Ok(TerminalMode {
            found: tcgetattr(io::stdin()).ok(),
            continued: signal(SignalKind::from_raw(number))?,
            keys: Keys::AsFound,
        })
    }

    /// `Now` rather than `Flush`: typed-ahead and pasted input must not be thrown away. A terminal
    /// that is gone cannot be set; nothing else depends on it then.
    pub fn take(&mut self, keys: Keys) {
        self.keys = keys;
        if let Some(mut mode) = self.found.clone() {
            mode.local_modes.remove(match keys {
                Keys::AsFound => LocalModes::empty(),
                Keys::HiddenLine => LocalModes::ECHO,
                Keys::Single => LocalModes::ICANON | LocalModes::ECHO,
            });
            tcsetattr(io::stdin(), OptionalActions::Now, &mode).unwrap_or_default();
        }
    }

    /// Waits until the process goes on after Ctrl-Z and `fg` while what is typed is hidden. The
    /// shell has set its own mode, which shows it: sets ours again, and discards what was shown.
    pub async fn continued(&mut self) {
        loop {
            self.continued.recv().await;
            if self.keys != Keys::AsFound {
                self.take(self.keys);
                return self.discard_typed();
            }
        }
    }

    pub fn discard_typed(&self) {
        // A terminal that is gone has nothing to throw away.
        tcflush(io::stdin(), QueueSelector::IFlush).unwrap_or_default();
    }

    /// Throws away what still arrives, until nothing has for a moment.
    pub fn discard_paste(&self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let (stdin, quiet) = (io::stdin(), Timespec { tv_sec: 0, tv_nsec: 50_000_000 });
        let still_arrives = || {
            let mut input = [PollFd::new(&stdin, PollFlags::IN)];
            poll(&mut input, Some(&quiet)) == Ok(1) && !input[0].revents().contains(PollFlags::HUP)
        };
        while still_arrives() {
            self.discard_typed();
        }
    }
}

/// Windows reads key by key whenever it is asked to, and stops no process.
#[cfg(not(unix))]
pub struct TerminalMode;

#[cfg(not(unix))]
impl TerminalMode {
    pub fn of_stdin() -> io::Result<Self> {
        Ok(TerminalMode)
    }

    pub fn take(&mut self, _: Keys) {}

    pub async fn continued(&mut self) {
        std::future::pending().await
    }

    pub fn discard_typed(&self) {}

    pub fn discard_paste(&self) {}
}

/// The end of input.
pub fn no_more() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// A key, while the terminal's mode gives key by key: there, what ends the input is a character
/// like any other (Ctrl-D and, on Windows, Ctrl-Z).
pub fn read_key(term: &Term) -> io::Result<Key> {
    match term.read_key()? {
        Key::Char('\u{4}') => Err(no_more()),
        Key::Char('\u{1a}') if cfg!(windows) => Err(no_more()),
        key => Ok(key),
    }
}

/// A line as the terminal gives it, with its editing keys; the end of input is an error.
pub fn read_line(_: &Term) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(8 * 1024));
    match io::stdin().lock().read_line(&mut line)? {
        0 => Err(no_more()),
        _ => Ok(line),
    }
}

/// On Unix the terminal's mode has switched the echo off for as long as the question lasts.
#[cfg(unix)]
pub use read_line as read_hidden_line;

/// On Windows console reads key by key without echo, and flushes nothing.
#[cfg(not(unix))]
pub fn read_hidden_line(term: &Term) -> io::Result<Zeroizing<String>> {
    term.read_secure_line().map(Zeroizing::new)
}

/// A line of any length, while the terminal's mode gives key by key: a line that the terminal edits
/// has room for 4095 characters on Linux and 1023 on macOS.
#[cfg(unix)]
pub fn read_long_line(_: &Term) -> io::Result<Zeroizing<String>> {
    use std::io::Read;

    use crate::pasted::LONGEST_INPUT;
    let mut line = Zeroizing::new(String::with_capacity(LONGEST_INPUT));
    for byte in io::stdin().lock().bytes() {
        match char::from(byte?) {
            '\r' | '\n' => return Ok(line),
            // Ctrl-D.
            '\u{4}' if line.is_empty() => break,
            '\u{7f}' | '\u{8}' => drop(line.pop()),
            control if control.is_ascii_control() => {}
            typed if typed.is_ascii() && line.len() < LONGEST_INPUT => line.push(typed),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Err(no_more())
}

#[cfg(not(unix))]
pub use read_hidden_line as read_long_line;
