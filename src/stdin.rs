//! Reads standard input that is no terminal: only so much of it, and Ctrl-C ends the wait.

use std::io::{self, BufRead, Read, StdinLock, Take};

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::interrupt::interruptible;
use crate::pasted::{LONGEST_INPUT, decode};

/// All of it, as text.
pub fn read_to_end() -> Result<Zeroizing<String>> {
    decode(&read(|input, bytes| input.read_to_end(bytes).map(drop))?)
}

/// The first line that is not blank, trimmed; empty where there is none.
pub fn read_line() -> Result<Zeroizing<String>> {
    let line = read(|input, line| {
        while line.trim_ascii().is_empty() {
            line.clear();
            if input.read_until(b'\n', line)? == 0 {
                break;
            }
        }
        Ok(())
    })?;
    Ok(Zeroizing::new(decode(&line)?.trim().to_owned()))
}

fn read(
    read: impl FnOnce(&mut Take<StdinLock>, &mut Vec<u8>) -> io::Result<()> + Send + 'static,
) -> Result<Zeroizing<Vec<u8>>> {
    interruptible(move || {
        // Of its whole size at once: growing would leave copies of secrets behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_INPUT + 2));
        let mut input = io::stdin().lock().take(LONGEST_INPUT as u64 + 1);
        let wrong = |what: String| Error::credentials(format!("standard input {what}"));
        read(&mut input, &mut bytes).map_err(|cause| wrong(format!("cannot be read: {cause}")))?;
        // One byte more than we take: there may be no end to it.
        if input.limit() == 0 {
            return Err(wrong(format!("is too long: more than {} KiB", LONGEST_INPUT / 1024)));
        }
        Ok(bytes)
    })?
}
