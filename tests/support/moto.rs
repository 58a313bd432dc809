//! An IAM and STS server of our own: moto, which checks signatures and policies from the first request on.
//! Accounts are seeded and inspected past AWS's API, so that no test trusts the code it tests.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::process;
use super::python;

/// Generous: a cold start of Python reads hundreds of files.
const START_LIMIT: Duration = Duration::from_secs(180);

pub const ADMINISTRATOR_ACCESS: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// A running server. It ends when this value is dropped, and when this process ends in whatever way.
pub struct Moto {
    address: String,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Moto {
    pub fn start() -> Moto {
        Moto::start_with(&[])
    }

    /// moto as it comes, with its mistakes: other people's servers have them.
    pub fn start_plain() -> Moto {
        Moto::start_with(&["plain"])
    }

    fn start_with(arguments: &[&str]) -> Moto {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/moto_server.py");
        let mut command: Command = python::moto().python();
        let mut child = command
            .arg(&script)
            .args(arguments)
            // Compiled Python has no place among the sources.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, first_line) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            sender.send(line)
        });
        // The port is printed once it is open: no other sign of readiness is needed.
        let line = first_line
            .recv_timeout(START_LIMIT)
            .unwrap_or_else(|_| panic!("moto printed no port within {START_LIMIT:?}"));
        let ready: Ready = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("moto did not start; its own message is above"));
        Moto { address: format!("127.0.0.1:{}", ready.port), child, stdin }
    }

    /// Host and port, as a proxy needs it.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An account by its twelve digits. moto has them all; each is empty at first.
    pub fn account(&self, id: &str) -> Account {
        Account { address: self.address.clone(), id: id.to_owned() }
    }

    /// An account that nobody else has, with the users that tests start from.
    pub fn seeded_account(&self) -> SeededAccount {
        static NEXT: AtomicU64 = AtomicU64::new(200_000_000_001);
        let account = self.account(&NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        let user = |name| {
            account.create_user(name);
            account.create_access_key(name)
        };
        let (bootstrap, nobody, creator) = (user("bootstrap"), user("nobody"), user("creator"));
        account.attach_policy("bootstrap", ADMINISTRATOR_ACCESS);
        account.allow("creator", CREATOR_ACTIONS);
        SeededAccount { account, bootstrap, nobody, creator }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if process::wait(&mut self.child, Duration::from_secs(5)).is_none() {
            let _ = self.child.kill();
        }
    }
}

#[derive(Deserialize)]
struct Ready {
    port: u16,
}

/// The server that all tests of this process share; each takes an account of its own from it.
pub fn shared() -> &'static Moto {
    static SHARED: OnceLock<Moto> = OnceLock::new();
    SHARED.get_or_init(Moto::start)
}

/// Enough to make a user and to take it back, but neither a policy nor a key.
const CREATOR_ACTIONS: &[&str] = &[
    "iam:CreateUser",
    "iam:DeleteUser",
    "iam:GetUser",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
];

pub struct SeededAccount {
    account: Account,
    /// May do everything.
    pub bootstrap: KeyPair,
    /// Exists, and may do nothing.
    pub nobody: KeyPair,
    /// May do [`CREATOR_ACTIONS`].
    pub creator: KeyPair,
}

impl std::ops::Deref for SeededAccount {
    type Target = Account;
    fn deref(&self) -> &Account {
        &self.account
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct KeyPair {
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// Keys that end by themselves.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionKeys {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
}

/// What IAM holds of one user.
#[derive(Debug, Deserialize)]
pub struct UserState {
    pub arn: String,
    pub tags: BTreeMap<String, String>,
    /// The ARNs of the managed policies.
    pub attached_policies: Vec<String>,
    /// Each key's ID and status, `Active` or `Inactive`; oldest first.
    pub access_keys: Vec<(String, String)>,
    /// Held in clear by moto alone, and only where there is a login profile.
    pub console_password: Option<String>,
    /// When the login profile was made last.
    pub login_profile_created: String,
    /// The names of the inline policies.
    pub inline_policies: Vec<String>,
}

impl UserState {
    pub fn has_login_profile(&self) -> bool {
        self.console_password.is_some()
    }
}

pub struct PasswordPolicy {
    pub minimum_length: u32,
    pub lowercase: bool,
    pub uppercase: bool,
    pub numbers: bool,
    pub symbols: bool,
}

/// One account, looked at and changed from behind.
#[derive(Clone)]
pub struct Account {
    address: String,
    pub id: String,
}

impl Account {
    pub fn users(&self) -> BTreeMap<String, UserState> {
        self.control("users", json!({}))
    }

    pub fn user(&self, name: &str) -> Option<UserState> {
        self.users().remove(name)
    }

    /// The AWS actions asked for with keys of this account, in order, refused ones too.
    pub fn calls(&self) -> Vec<String> {
        self.recorded().into_iter().map(|(action, _)| action).collect()
    }

    /// The parameters of each call of this action, as they were sent: `Tags.member.1.Key` and so on.
    pub fn requests(&self, action: &str) -> Vec<BTreeMap<String, String>> {
        let of_action = self.recorded().into_iter().filter(|(asked, _)| asked == action);
        of_action.map(|(_, parameters)| parameters).collect()
    }

    fn recorded(&self) -> Vec<(String, BTreeMap<String, String>)> {
        self.control("calls", json!({}))
    }

    /// Those of [`Account::calls`] that could have changed something.
    pub fn changing_calls(&self) -> Vec<String> {
        let mut calls = self.calls();
        calls.retain(|call| {
            !["Get", "List", "Simulate", "AssumeRole"]
                .iter()
                .any(|reading| call.starts_with(reading))
        });
        calls
    }

    pub fn create_user(&self, name: &str) {
        self.control("create_user", json!({ "user": name }))
    }

    pub fn create_access_key(&self, user: &str) -> KeyPair {
        self.control("create_access_key", json!({ "user": user }))
    }

    pub fn deactivate_access_key(&self, user: &str, access_key_id: &str) {
        let parameters =
            json!({ "user": user, "access_key_id": access_key_id, "status": "Inactive" });
        self.control("set_access_key_status", parameters)
    }

    pub fn delete_access_key(&self, user: &str, access_key_id: &str) {
        self.control("delete_access_key", json!({ "user": user, "access_key_id": access_key_id }))
    }

    pub fn attach_policy(&self, user: &str, policy_arn: &str) {
        self.control("attach_policy", json!({ "user": user, "policy_arn": policy_arn }))
    }

    pub fn create_login_profile(&self, user: &str, password: &str) {
        let parameters = json!({ "user": user, "password": password });
        self.control("create_login_profile", parameters)
    }

    pub fn delete_login_profile(&self, user: &str) {
        self.control("delete_login_profile", json!({ "user": user }))
    }

    /// Whatever it has is deleted with it, or must be gone before, as the server has it.
    pub fn delete_user(&self, user: &str) {
        self.control("delete_user", json!({ "user": user }))
    }

    /// An inline policy that allows these actions and no others.
    pub fn allow(&self, user: &str, actions: &[&str]) {
        self.control("allow", json!({ "user": user, "actions": actions }))
    }

    /// A role that `assumed_by`, the ARN of one user, may assume.
    pub fn create_role(&self, role: &str, assumed_by: &str, policy_arn: &str) {
        let parameters =
            json!({ "role": role, "assumed_by": assumed_by, "policy_arn": policy_arn });
        self.control("create_role", parameters)
    }

    /// A session of the role, whomever it trusts.
    pub fn assume_role(&self, role: &str, session: &str) -> SessionKeys {
        self.control("assume_role", json!({ "role": role, "session": session }))
    }

    pub fn user_arn(&self, user: &str) -> String {
        format!("arn:aws:iam::{}:user/{user}", self.id)
    }

    pub fn set_password_policy(&self, policy: &PasswordPolicy) {
        let parameters = json!({
            "minimum_length": policy.minimum_length,
            "lowercase": policy.lowercase,
            "uppercase": policy.uppercase,
            "numbers": policy.numbers,
            "symbols": policy.symbols,
        });
        self.control("set_password_policy", parameters)
    }

    fn control<T: DeserializeOwned>(&self, operation: &str, parameters: Value) -> T {
        let url = format!("http://{}/control/{}/{operation}", self.address, self.id);
        let mut response = ureq::post(&url)
            .config()
            .http_status_as_error(false)
            .build()
            .send(parameters.to_string())
            .unwrap_or_else(|error| {
                panic!("moto does not answer: {operation} {parameters}: {error}")
            });
        let text = response.body_mut().read_to_string().expect("moto answers with text");
        serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("moto refused {operation} {parameters}: {text} ({error})")
        })
    }
}
