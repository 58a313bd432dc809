//! Reads standard input that is no terminal: only so much of it, and Ctrl-C ends the wait.

use std::io::{self, BufRead, Read, StdinLock, Take};

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::interrupt::interruptible;
use crate::pasted::LONGEST_INPUT;

/// All of it.
///
/// # Errors
/// `Cancelled`; when it is not text; or when it is longer than anything that we take.
pub fn read_to_end() -> Result<Zeroizing<String>> {
    read(|input, text| input.read_to_string(text).map(drop))
}

/// The first line that is not blank, trimmed; empty where there is none.
pub fn read_line() -> Result<Zeroizing<String>> {
    let line = read(|input, line| {
        while line.trim().is_empty() {
            line.clear();
            if input.read_line(line)? == 0 {
                break;
            }
        }
        Ok(())
    })?;
    Ok(Zeroizing::new(line.trim().to_owned()))
}

fn read(
    read: impl FnOnce(&mut Take<StdinLock>, &mut String) -> io::Result<()> + Send + 'static,
) -> Result<Zeroizing<String>> {
    let text = interruptible(move || {
        // Of its whole size at once: growing would leave copies of secrets behind.
        let mut text = Zeroizing::new(String::with_capacity(LONGEST_INPUT + 2));
        let mut input = io::stdin().lock().take(LONGEST_INPUT as u64 + 1);
        read(&mut input, &mut text)?;
        // One byte more than we take: there may be no end to it.
        if input.limit() == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(text)
    })?;
    text.map_err(|cause: io::Error| {
        Error::credentials(match cause.kind() {
            io::ErrorKind::FileTooLarge => {
                format!("standard input is too long: more than {} KiB", LONGEST_INPUT / 1024)
            }
            io::ErrorKind::InvalidData => "standard input is not text".to_owned(),
            _ => format!("cannot read standard input: {cause}"),
        })
        .caused_by(cause)
    })
}
