//! A real X server without a screen, for what programs put on the clipboard; looked at with `xclip`.
//! It ends when its value is dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::process;

const LIMIT: Duration = Duration::from_secs(60);
const INSTALL: &str = "sudo apt-get install xvfb xclip";

pub struct XServer {
    server: Child,
    display: String,
}

impl XServer {
    pub fn start() -> XServer {
        let mut server = Command::new("Xvfb")
            // It chooses a free number, and says so once it can be connected to.
            .args(["-displayfd", "1", "-nolisten", "tcp"])
            .args(["-screen", "0", "640x480x24"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start Xvfb ({error}): {INSTALL}"));
        let mut number = String::new();
        BufReader::new(server.stdout.take().expect("stdout is piped"))
            .read_line(&mut number)
            .expect("Xvfb prints text");
        assert!(!number.trim().is_empty(), "Xvfb did not start: {INSTALL}");
        XServer { server, display: format!(":{}", number.trim()) }
    }

    /// By this variable a program finds it.
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![("DISPLAY".to_owned(), self.display.clone())]
    }

    /// What a paste would give; `None` where the clipboard is empty.
    pub fn clipboard(&self) -> Option<String> {
        let ran = process::run(self.xclip("-o"), None, LIMIT);
        (ran.code == 0).then_some(ran.stdout)
    }

    /// In which forms the clipboard is offered.
    pub fn targets(&self) -> String {
        process::run(self.xclip("-o -target TARGETS"), None, LIMIT).expect(0).stdout
    }

    /// As if somebody copied this in another program.
    pub fn copy(&self, text: &str) {
        // xclip stays behind to answer for the text: it must not hold our pipes.
        let command = self.xclip("-i >/dev/null 2>&1");
        process::run(command, Some(text), LIMIT).expect(0);
    }

    fn xclip(&self, options: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec xclip -selection clipboard {options}")])
            .envs(self.environment());
        command
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
