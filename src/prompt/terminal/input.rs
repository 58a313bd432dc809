//! Lines from the terminal, read by a thread that may block.

use std::io::{self, BufRead};

use console::{Key, Term};
use zeroize::Zeroizing;

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
pub fn read_line() -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(8 * 1024));
    match io::stdin().lock().read_line(&mut line)? {
        0 => Err(no_more()),
        _ => Ok(line),
    }
}

/// On Unix the terminal's mode has switched the echo off for as long as the question lasts.
#[cfg(unix)]
pub fn read_hidden_line(_: &Term) -> io::Result<Zeroizing<String>> {
    read_line()
}

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
pub fn read_long_line(term: &Term) -> io::Result<Zeroizing<String>> {
    read_hidden_line(term)
}
