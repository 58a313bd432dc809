//! How the terminal takes keys: with or without echo, line by line or key by key; and as it was found.

use std::io;

/// The terminal's mode as it was found.
pub struct TerminalMode {
    #[cfg(unix)]
    found: Option<rustix::termios::Termios>,
}

#[cfg(unix)]
impl TerminalMode {
    pub fn of_stdin() -> Self {
        TerminalMode {
            found: rustix::termios::tcgetattr(io::stdin()).ok(),
        }
    }

    /// Key by key without echo; Ctrl-C still raises its signal.
    pub fn take_keys(&self) {
        use rustix::termios::LocalModes;
        self.set(|mode| {
            mode.local_modes
                .remove(LocalModes::ICANON | LocalModes::ECHO)
        });
    }

    pub fn hide_input(&self) {
        self.set(|mode| mode.local_modes.remove(rustix::termios::LocalModes::ECHO));
    }

    pub fn restore(&self) {
        self.set(|_| {});
    }

    pub fn discard_typed(&self) {
        // A terminal that is gone has nothing to throw away.
        let input = rustix::termios::QueueSelector::IFlush;
        rustix::termios::tcflush(io::stdin(), input).unwrap_or_default();
    }

    /// Throws away what still arrives, until nothing has for a moment.
    pub fn discard_paste(&self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let quiet = Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        loop {
            let stdin = io::stdin();
            let mut input = [PollFd::new(&stdin, PollFlags::IN)];
            match poll(&mut input, Some(&quiet)) {
                Ok(1) if !input[0].revents().contains(PollFlags::HUP) => self.discard_typed(),
                _ => return,
            }
        }
    }

    /// `Now` rather than `Flush`: typed-ahead and pasted input must not be thrown away. A terminal
    /// that is gone cannot be set; nothing else depends on it then.
    fn set(&self, change: impl FnOnce(&mut rustix::termios::Termios)) {
        if let Some(mut mode) = self.found.clone() {
            change(&mut mode);
            let now = rustix::termios::OptionalActions::Now;
            rustix::termios::tcsetattr(io::stdin(), now, &mode).unwrap_or_default();
        }
    }
}

#[cfg(not(unix))]
impl TerminalMode {
    pub fn of_stdin() -> Self {
        TerminalMode {}
    }

    pub fn take_keys(&self) {}

    pub fn hide_input(&self) {}

    pub fn restore(&self) {}

    pub fn discard_typed(&self) {}

    pub fn discard_paste(&self) {}
}
