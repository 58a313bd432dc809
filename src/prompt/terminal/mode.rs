//! How the terminal takes keys: with or without echo, line by line or key by key; and how it was found.

use std::io;

#[cfg(unix)]
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
};

/// How keys are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// As the terminal was found.
    AsFound,
    /// A line without echo.
    HiddenLine,
    /// Key by key without echo; Ctrl-C still raises its signal.
    Single,
}

/// The terminal behind standard input.
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

    /// Waits until the process goes on after a stop (Ctrl-Z and `fg`) while what is typed is hidden.
    /// The shell has then set its own mode, which shows it: sets ours again, and discards what was
    /// shown already.
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
        let quiet = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        loop {
            let stdin = io::stdin();
            let mut input = [PollFd::new(&stdin, PollFlags::IN)];
            match poll(&mut input, Some(&quiet)) {
                Ok(1) if !input[0].revents().contains(PollFlags::HUP) => self.discard_typed(),
                _ => return,
            }
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
