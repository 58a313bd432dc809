//! A program in a real pseudo-terminal: what a person sees of it, and every byte it wrote.
//! The screen is rendered by a terminal emulator, so that tests read lines, not escape sequences.

use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{self, Pty};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::process;

const LIMIT: Duration = Duration::from_secs(120);
const ROWS: u16 = 50;
/// Lines that left the screen at its top are kept, to be shown when a test fails.
const SCROLLBACK: usize = 1000;

#[derive(Clone, Copy)]
pub enum Key {
    Enter,
    Escape,
    Up,
    Down,
    Space,
    Tab,
    Backspace,
    CtrlC,
    /// The end of input, where a program reads lines.
    CtrlD,
}

impl Key {
    fn bytes(self) -> &'static str {
        match self {
            Key::Enter => "\r",
            Key::Escape => "\x1b",
            Key::Up => "\x1b[A",
            Key::Down => "\x1b[B",
            Key::Space => " ",
            Key::Tab => "\t",
            Key::Backspace => "\x7f",
            Key::CtrlC => "\x03",
            Key::CtrlD => "\x04",
        }
    }
}

pub struct Terminal {
    /// `None` once the terminal was closed.
    pty: Option<Pty>,
    child: Child,
    screen: vt100::Parser,
    raw: Vec<u8>,
}

impl Terminal {
    /// Starts the command with the terminal as its standard input, output and error.
    pub fn start(command: &Command, columns: u16) -> Terminal {
        let (pty, pts) = blocking::open().expect("the system has a pseudo-terminal to give");
        pty.resize(Size::new(ROWS, columns)).expect("a new pseudo-terminal can be resized");
        let mut inside =
            blocking::Command::new(command.get_program()).args(command.get_args()).env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                inside = inside.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            inside = inside.current_dir(folder);
        }
        // SAFETY: signal() may be called between fork and exec.
        let inside = unsafe {
            inside.pre_exec(|| {
                // Under nohup it is ignored, and would be in the program too.
                libc::signal(libc::SIGHUP, libc::SIG_DFL);
                Ok(())
            })
        };
        let child =
            inside.spawn(pts).unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Terminal {
            pty: Some(pty),
            child,
            screen: vt100::Parser::new(ROWS, columns, SCROLLBACK),
            raw: Vec::new(),
        }
    }

    /// The screen as a person sees it now, without trailing blanks.
    pub fn screen(&self) -> String {
        self.screen.screen().contents()
    }

    /// Every byte so far, escape sequences and all.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Waits until the screen shows the text.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> &mut Terminal {
        self.wait_for_times(text, 1)
    }

    /// Waits until the screen shows the text so many times.
    #[track_caller]
    pub fn wait_for_times(&mut self, text: &str, times: usize) -> &mut Terminal {
        let deadline = Instant::now() + LIMIT;
        let is_shown = |terminal: &Terminal| terminal.screen().matches(text).count() >= times;
        while !is_shown(self) {
            let still_open = self.receive(deadline);
            if is_shown(self) {
                break;
            }
            assert!(
                still_open,
                "the program ended, or {LIMIT:?} went by, before {text:?} was seen\n{self}"
            );
        }
        self
    }

    pub fn type_text(&mut self, text: &str) -> &mut Terminal {
        let pty = self.pty.as_mut().expect("the terminal is open");
        pty.write_all(text.as_bytes()).expect("a terminal takes what is typed");
        self
    }

    pub fn press(&mut self, key: Key) -> &mut Terminal {
        self.type_text(key.bytes())
    }

    /// Closes the window under the program: it is hung up, and reads the end of its input.
    pub fn close(&mut self) {
        self.pty = None;
    }

    /// Waits until the program has ended: its exit code as a shell counts it (128 and the number of a
    /// signal that ended it), and everything that it printed.
    #[track_caller]
    pub fn exit(mut self) -> (i32, String) {
        let deadline = Instant::now() + LIMIT;
        // Read first: a program cannot end while it waits for us to take what it prints.
        while self.receive(deadline) {}
        let status =
            process::wait(&mut self.child, deadline.saturating_duration_since(Instant::now()));
        let Some(status) = status else { panic!("still running after {LIMIT:?}\n{self}") };
        (process::exit_code(status), String::from_utf8_lossy(&self.raw).into_owned())
    }

    /// Takes what the program printed, waiting for it where there is nothing yet; false once nothing
    /// more will come, or the deadline has passed.
    fn receive(&mut self, deadline: Instant) -> bool {
        let Some(pty) = &mut self.pty else {
            return false;
        };
        let patience = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(patience).expect("half a minute is a valid time");
        let ready = {
            let mut polled = [PollFd::new(&*pty, PollFlags::IN)];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&timeout)))
                .expect("a terminal can be polled")
        };
        if ready == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        match pty.read(&mut bytes) {
            Ok(length) => {
                self.raw.extend_from_slice(&bytes[..length]);
                self.screen.process(&bytes[..length]);
                length > 0
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            // How Linux says that no program has the terminal open any more.
            Err(_) => false,
        }
    }
}

impl std::fmt::Display for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut screen = self.screen.screen().clone();
        screen.set_scrollback(SCROLLBACK);
        let above = if screen.scrollback() > 0 { screen.contents() } else { String::new() };
        write!(f, "--- the screen\n{above}\n{}\n---", self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed in the middle must not leave its program waiting for an answer.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
