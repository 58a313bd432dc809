//! Child processes with a time limit, and what is left of one that ended.
//! A program that hangs fails its test with what it had printed, instead of stopping all of them.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How a process ended and what it printed.
pub struct Ran {
    /// As a shell counts it: 128 and the signal's number, where a signal ended the process.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one JSON document ({error})\n{self}"))
    }

    /// The same, after making sure that it ended with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "the exit code differs\n{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran { code, stdout, stderr } = self;
        write!(f, "exit code {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}

/// Runs the command to its end, with `input` on its standard input or with that closed.
pub fn run(mut command: Command, input: Option<&str>, limit: Duration) -> Ran {
    let mut child = command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    // A thread for each stream: a full pipe on one must not keep us from the others.
    let writer = child.stdin.take().zip(input.map(String::from)).map(|(mut stdin, input)| {
        // A program may well end without reading what it was given.
        thread::spawn(move || drop(stdin.write_all(input.as_bytes())))
    });
    let stdout = read_in_background(child.stdout.take().expect("stdout is piped"));
    let stderr = read_in_background(child.stderr.take().expect("stderr is piped"));
    let status = wait(&mut child, limit);
    if status.is_none() {
        // Either may fail only because it has ended by itself just now.
        let _ = child.kill();
        let _ = child.wait();
    }
    if let Some(writer) = writer {
        writer.join().expect("writing to stdin does not panic");
    }
    let ran = Ran {
        code: status.map_or(-1, exit_code),
        stdout: stdout.join().expect("reading stdout does not panic"),
        stderr: stderr.join().expect("reading stderr does not panic"),
    };
    assert!(status.is_some(), "still running after {limit:?}: {command:?}\n{ran}");
    ran
}

/// A program that goes on while the test does something else.
pub struct Running {
    child: Child,
    stdout: thread::JoinHandle<String>,
    lines: mpsc::Receiver<String>,
    /// What was read of standard error so far.
    stderr: String,
}

impl Running {
    /// With its standard input open, for [`Running::write`].
    pub fn start(mut command: Command) -> Running {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdout = read_in_background(child.stdout.take().expect("stdout is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Running { child, stdout, lines, stderr: String::new() }
    }

    pub fn child(&self) -> &Child {
        &self.child
    }

    /// The next line on standard error that holds this.
    #[track_caller]
    pub fn line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(patience) else {
                panic!("{text:?} was not printed\n{}", self.stderr)
            };
            self.stderr += &format!("{line}\n");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Writes all of its standard input, and closes it.
    pub fn write(&mut self, input: &str) {
        let mut stdin = self.child.stdin.take().expect("it was not written yet");
        stdin.write_all(input.as_bytes()).expect("it is read");
    }

    #[track_caller]
    pub fn end(mut self) -> Ran {
        drop(self.child.stdin.take());
        let status = wait(&mut self.child, Duration::from_secs(180));
        if status.is_none() {
            // It may fail only because it has ended by itself just now.
            let _ = self.child.kill();
        }
        while let Ok(line) = self.lines.recv() {
            self.stderr += &format!("{line}\n");
        }
        let ran = Ran {
            code: status.map_or(-1, exit_code),
            stdout: self.stdout.join().expect("reading stdout does not panic"),
            stderr: self.stderr,
        };
        assert!(status.is_some(), "still running after three minutes\n{ran}");
        ran
    }
}

/// Waits until the child has ended; `None` where it still runs after the limit.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    poll(limit, || child.try_wait().expect("a child of ours can be waited for"))
}

/// Asks again and again, ever less often, until there is an answer; `None` after the limit.
pub fn poll<T>(limit: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = attempt() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

pub fn exit_code(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128 + signal;
    }
    status.code().unwrap_or(-1)
}

fn read_in_background(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth showing.
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
