//! A Secret Service of our own: gnome-keyring on a private D-Bus, in a folder that is thrown away.
//! Looked into with `secret-tool`, so that no test trusts the keyring code it tests.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::parts::Part;
use super::process;

const START_LIMIT: Duration = Duration::from_secs(120);
/// A question to the Secret Service that would open a dialog waits for an answer forever.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The bus itself starts nothing on request: what is not running here must not be found.
const BUS_CONFIGURATION: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:dir=FOLDER</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// Runs inside `dbus-run-session`, which ends the bus when this ends; and it ends with its standard
/// input, so that no daemon outlives us, whatever becomes of us.
const SESSION: &str = r#"
printf '%s\n' "$DBUS_SESSION_BUS_ADDRESS"
printf 'password\n' | gnome-keyring-daemon --unlock --components=secrets --foreground >&2 &
daemon=$!
cat >/dev/null
kill "$daemon"
"#;

/// A running, unlocked keyring. It ends when this value is dropped.
pub struct SecretService {
    folder: TempDir,
    session: Child,
    stdin: Option<ChildStdin>,
    bus_address: String,
}

impl SecretService {
    pub fn start() -> SecretService {
        assert!(
            Part::Keyring.is_installed(),
            "no Secret Service can be started. To install it, run\n\n    {}\n",
            Part::Keyring.install_command()
        );
        // In /tmp, since the path of a socket may have a hundred characters at most.
        let folder = tempfile::Builder::new()
            .prefix("cloudcred-bus-")
            .tempdir_in("/tmp")
            .expect("a folder in /tmp can be made");
        let root = folder.path().to_str().expect("paths in /tmp are UTF-8");
        let configuration = folder.path().join("bus.conf");
        fs::write(&configuration, BUS_CONFIGURATION.replace("FOLDER", root))
            .expect("the new folder can be written to");
        let log =
            File::create(folder.path().join("log")).expect("the new folder can be written to");

        let mut session = Command::new("dbus-run-session")
            .arg("--config-file")
            .arg(&configuration)
            .args(["--", "sh", "-c", SESSION])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", root)
            .env("XDG_RUNTIME_DIR", root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start dbus-run-session ({error})"));
        let stdin = session.stdin.take();
        let mut bus_address = String::new();
        BufReader::new(session.stdout.take().expect("stdout is piped"))
            .read_line(&mut bus_address)
            .expect("the session prints text");
        let service = SecretService {
            folder,
            session,
            stdin,
            bus_address: bus_address.trim_end().to_owned(),
        };
        process::poll(START_LIMIT, || service.store("harness", "ready", "yes").then_some(()))
            .unwrap_or_else(|| {
                let log = fs::read_to_string(service.folder.path().join("log")).unwrap_or_default();
                panic!("gnome-keyring does not answer on its bus\n\n{log}")
            });
        service
    }

    /// As a screen saver does it: from now on the owner would have to be asked for the password.
    pub fn lock(&self) {
        const LOGIN: &str = "/org/freedesktop/secrets/collection/login";
        let collection = format!("array:objpath:{LOGIN}");
        let lock = "org.freedesktop.Secret.Service.Lock";
        self.send(&["/org/freedesktop/secrets", lock, &collection]);
        // The answer may come before it is done.
        let property = ["string:org.freedesktop.Secret.Collection", "string:Locked"];
        let get = [LOGIN, "org.freedesktop.DBus.Properties.Get"];
        process::poll(ANSWER_LIMIT, || {
            let answer = self.send(&[&get[..], &property].concat());
            answer.contains("boolean true").then_some(())
        })
        .expect("gnome-keyring locks its collection");
    }

    fn send(&self, message: &[&str]) -> String {
        let mut command = Command::new("dbus-send");
        command
            .args(["--session", "--print-reply"])
            .arg("--dest=org.freedesktop.secrets")
            .args(message)
            .envs(self.environment());
        process::run(command, None, ANSWER_LIMIT).expect(0).stdout
    }

    /// By these variables a program finds it.
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![("DBUS_SESSION_BUS_ADDRESS".to_owned(), self.bus_address.clone())]
    }

    /// The secret, as a stranger to cloudcred would look it up.
    pub fn lookup(&self, service: &str, username: &str) -> Option<String> {
        let command = self.secret_tool(&["lookup", "service", service, "username", username]);
        let ran = process::run(command, None, ANSWER_LIMIT);
        (ran.code == 0).then_some(ran.stdout)
    }

    /// Puts a secret there past cloudcred; false where the service did not take it.
    pub fn store(&self, service: &str, username: &str, secret: &str) -> bool {
        let command = self
            .secret_tool(&["store", "--label", service, "service", service, "username", username]);
        process::run(command, Some(secret), ANSWER_LIMIT).code == 0
    }

    fn secret_tool(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("secret-tool");
        command.args(arguments).env("HOME", self.folder.path()).envs(self.environment());
        command
    }
}

impl Drop for SecretService {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if process::wait(&mut self.session, Duration::from_secs(5)).is_none() {
            let _ = self.session.kill();
        }
    }
}
