//! The AWS account, the home and the people of one schedule, and what must be so after each command.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use crate::support::fsync_fault::{clock_off_by, killed_at};
use crate::support::home::Home;
use crate::support::moto::{ADMINISTRATOR_ACCESS, Account, Moto, SeededAccount, UserState};
use crate::support::process::Ran;
use crate::support::proxy::{Effect, Proxy};
use crate::support::stale::StaleIam;
use crate::{home_at, stored_pair};

use super::schedule::{At, Foreign, Kill, Mode, Schedule, Stage, Verb};

const OTHER_POLICY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
const PASSWORD: &str = "Somebody-elses-1234";
/// A run proves a key for at most two minutes, and takes back what it made.
const LIMIT: Duration = Duration::from_secs(420);
const KILLED: i32 = 128 + 9;

/// What others have made, by what it is.
#[derive(Default)]
struct Others {
    keys: Vec<String>,
    policies: Vec<String>,
    inline_policies: Vec<String>,
    /// When it was made.
    login_profile: Option<String>,
}

pub struct World {
    mode: Mode,
    arguments: Vec<&'static str>,
    last: Verb,
    user: &'static str,
    account: SeededAccount,
    server: &'static Moto,
    iam: Arc<StaleIam>,
    proxy: Proxy,
    home: Home,
    others: Arc<Mutex<Others>>,
    /// All that was printed by commands that ended with exit code 5.
    named: String,
    /// What was run, for the one who reads of a violation.
    history: String,
    is_open: bool,
}

impl World {
    pub fn new(schedule: &Schedule) -> World {
        let server = server(schedule.seed);
        let account = server.seeded_account();
        let mut iam = StaleIam::new(server.address(), schedule.seed, schedule.staleness);
        if schedule.mode == Mode::Root {
            iam = iam.of_root(&account.id);
        }
        let iam = Arc::new(iam);
        let proxy = Proxy::before(iam.clone());
        let home = home_at(&proxy.url()).credentials(&account.bootstrap);
        // moto has no root user: this one stands for it.
        let user = if schedule.mode == Mode::Root { "bootstrap" } else { "ana" };
        let others = Arc::new(Mutex::new(Others::default()));
        if schedule.mode == Mode::Reuse {
            account.create_user(user);
        }
        if schedule.mode == Mode::Root {
            let mut others = others.lock().expect("nobody else has it yet");
            others.keys.push(account.bootstrap.access_key_id.clone());
            others.policies.push(ADMINISTRATOR_ACCESS.to_owned());
        }
        for foreign in &schedule.before {
            make(*foreign, &account, user, &others);
        }
        World {
            mode: schedule.mode,
            arguments: arguments(schedule),
            last: schedule.last,
            user,
            account,
            server,
            iam,
            proxy,
            home,
            others,
            named: String::new(),
            history: String::new(),
            is_open: false,
        }
    }

    /// Runs one stage, and looks at the world from outside where the command was not killed.
    pub fn run(&mut self, stage: &Stage) -> Result<(), String> {
        self.set_faults(stage);
        let ran = self.run_command(stage);
        self.proxy.calm();
        self.history += &format!("\n=== {:?}\n{ran}", stage.verb);
        if ran.code == KILLED && stage.kill.is_some() {
            self.is_open = true;
            return Ok(());
        }
        self.judge(stage.verb, &ran)
    }

    /// All is well again: what is open is finished, what stands is taken back.
    pub fn end(&mut self) -> Result<(), String> {
        self.iam.calm();
        if self.is_open {
            let ran = self.calmly(self.last, &[]);
            if ![0, 5].contains(&ran.code) {
                return self.violation("what is open can neither be resumed nor undone");
            }
            self.judge(self.last, &ran)?;
        }
        if self.is_open {
            // A key of unknown origin was named: there is nothing more to be done about it here.
            return Ok(());
        }
        let ran = self.calmly(Verb::Resume, &["--output", "json"]);
        if ran.code != 0 || ran.json()["changed"] != false {
            return self.violation("the run has ended, and its journal is open");
        }
        let ran = self.calmly(Verb::Undo, &[]);
        self.judge(Verb::Undo, &ran)
    }

    fn calmly(&mut self, verb: Verb, more: &[&str]) -> Ran {
        let arguments = [&self.arguments(verb)[..], more].concat();
        let ran = self.home.run_for(&arguments, LIMIT);
        self.history += &format!("\n=== {verb:?}, without faults\n{ran}");
        ran
    }

    fn arguments(&self, verb: Verb) -> Vec<&'static str> {
        match verb {
            Verb::Setup => self.arguments.clone(),
            Verb::Resume => vec!["resume", "--yes", "-v"],
            Verb::Undo => vec!["undo", "--yes", "-v"],
        }
    }

    fn set_faults(&self, stage: &Stage) {
        let mut asked: BTreeMap<String, u32> = BTreeMap::new();
        let faults = stage.faults.clone();
        let colleague = stage.colleague;
        let (account, user): (Account, _) = ((*self.account).clone(), self.user);
        let others = Arc::clone(&self.others);
        self.proxy.choose(move |request| {
            let action = request.action();
            let call = asked.entry(action.clone()).or_default();
            *call += 1;
            let is_now = |at: &At| at.action == action && at.call == *call;
            if let Some((_, foreign)) = colleague.filter(|(at, _)| is_now(at)) {
                make(foreign, &account, user, &others);
            }
            let fault = faults.iter().find(|(at, _)| is_now(at));
            fault.map_or(Some(Effect::Pass), |(_, fault)| Some(fault.effect()))
        });
    }

    fn run_command(&self, stage: &Stage) -> Ran {
        let arguments = self.arguments(stage.verb);
        let home = self.home.copy();
        let home = clock_off_by(home, stage.clock);
        match stage.kill {
            None => home.run_for(&arguments, LIMIT),
            Some(Kill::AtWrite(write)) => killed_at(home, write).run_for(&arguments, LIMIT),
            Some(Kill::AfterMilliseconds(milliseconds)) => {
                let mut command = home.command(&arguments);
                command.stdin(Stdio::null());
                let command = command.stdout(Stdio::null()).stderr(Stdio::null());
                let mut child = command.spawn().expect("the program starts");
                thread::sleep(Duration::from_millis(milliseconds));
                // Either may fail only because it has ended by itself just now.
                let _ = child.kill();
                let _ = child.wait();
                Ran { code: KILLED, stdout: String::new(), stderr: "(killed)".to_owned() }
            }
        }
    }

    fn judge(&mut self, verb: Verb, ran: &Ran) -> Result<(), String> {
        if ran.code == 5 {
            self.named += &format!("{ran}");
        }
        if ![0, 1, 3, 4, 5].contains(&ran.code) {
            return self.violation(&format!("exit code {}", ran.code));
        }
        self.others_are_untouched()?;
        self.no_key_is_lost()?;
        let was_open = self.is_open;
        self.is_open = ran.code == 5;
        match (verb, ran.code) {
            (Verb::Undo, 0) | (Verb::Setup, 1 | 3 | 4) | (_, 1) => self.nothing_is_left(),
            (Verb::Setup, 0) => self.works(),
            // Killed before there was a journal, or undone: there is nothing to be resumed.
            (Verb::Resume, 0) if self.stored().is_none() => self.nothing_is_left(),
            (Verb::Resume, 0) => self.works(),
            // It could not begin for want of credentials: all is as it was.
            (Verb::Resume | Verb::Undo, 3 | 4) => {
                self.is_open = was_open;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn state(&self) -> Option<UserState> {
        self.account.user(self.user)
    }

    fn stored(&self) -> Option<String> {
        let name = if self.mode == Mode::Root { "root" } else { "ana" };
        let path = format!(".local/share/cloudcred/secrets/aws/{name}.json");
        let is_there = self.home.path().join(&path).exists();
        is_there.then(|| stored_pair(&self.home.read(&path)).access_key_id)
    }

    /// The keys that nobody else has made.
    fn new_keys(&self) -> Vec<String> {
        let others = self.others();
        let keys = self.state().map(|user| user.access_keys);
        let ids = keys.into_iter().flatten().map(|(id, _)| id);
        ids.filter(|id| !others.keys.contains(id)).collect()
    }

    fn others(&self) -> std::sync::MutexGuard<'_, Others> {
        self.others.lock().expect("nobody panics while holding it")
    }

    fn others_are_untouched(&self) -> Result<(), String> {
        if self.mode == Mode::NewUser {
            return Ok(());
        }
        let Some(user) = self.state() else {
            return self.violation("a user that was there before is gone");
        };
        let others = self.others();
        let active = |id: &String| user.access_keys.contains(&(id.clone(), "Active".to_owned()));
        if let Some(id) = others.keys.iter().find(|id| !active(id)) {
            return self.violation(&format!("somebody else's key {id} is gone or inactive"));
        }
        let policy = others.policies.iter();
        if let Some(arn) = policy.clone().find(|it| !user.attached_policies.contains(it)) {
            return self.violation(&format!("somebody else's policy {arn} is detached"));
        }
        let mut inline = others.inline_policies.iter();
        if let Some(name) = inline.find(|it| !user.inline_policies.contains(it)) {
            return self.violation(&format!("somebody else's policy {name} is deleted"));
        }
        if let Some(created) = &others.login_profile
            && (user.console_password.as_deref() != Some(PASSWORD)
                || user.login_profile_created != *created)
        {
            return self.violation("somebody else's console password is gone or another one");
        }
        Ok(())
    }

    fn no_key_is_lost(&self) -> Result<(), String> {
        let stored = self.stored();
        for id in self.new_keys() {
            if stored.as_ref() != Some(&id) && !self.named.contains(&id) {
                return self.violation(&format!("{id} is not in the store, and was not named"));
            }
        }
        Ok(())
    }

    /// Nothing that the run has made is left but what was named before.
    fn nothing_is_left(&self) -> Result<(), String> {
        if self.stored().is_some() {
            return self.violation("a secret is left");
        }
        let keys = self.new_keys();
        if let Some(id) = keys.iter().find(|id| !self.named.contains(*id)) {
            return self.violation(&format!("the key {id} is left"));
        }
        let Some(user) = self.state() else {
            return Ok(());
        };
        if self.mode == Mode::NewUser {
            return self.violation("the user is left");
        }
        let others = self.others();
        if user.attached_policies.iter().any(|it| !others.policies.contains(it)) {
            return self.violation("a policy is left");
        }
        let mut tags = user.tags.keys();
        if tags.any(|tag| tag.starts_with("AKIA") && !self.named.contains(tag.as_str())) {
            return self.violation("the description of a key is left");
        }
        if user.has_login_profile() && others.login_profile.is_none() {
            return self.violation("a console password is left");
        }
        Ok(())
    }

    /// The stored pair is the one new key, is described, and does what it is for.
    fn works(&self) -> Result<(), String> {
        let Some(stored) = self.stored() else {
            return self.violation("no pair is stored");
        };
        let keys = self.new_keys();
        let unknown = keys.iter().find(|id| **id != stored && !self.named.contains(*id));
        if !keys.contains(&stored) || unknown.is_some() {
            return self.violation(&format!("stored is {stored}, and at AWS are {keys:?}"));
        }
        let user = self.state().ok_or("there is no user")?;
        if self.mode != Mode::Root && !user.tags.contains_key(&stored) {
            return self.violation("the key has no description");
        }
        let policies = &user.attached_policies;
        if !policies.iter().any(|it| it == ADMINISTRATOR_ACCESS) {
            return self.violation("the policy is not attached");
        }
        let name = if self.mode == Mode::Root { "root" } else { "ana" };
        let path = format!(".local/share/cloudcred/secrets/aws/{name}.json");
        let pair = stored_pair(&self.home.read(&path));
        let home = home_at(&self.server.url()).credentials(&pair);
        match home.run(&["setup", "--mode", "existing"]).code {
            0 => Ok(()),
            code => self.violation(&format!("the stored pair does not work ({code})")),
        }
    }

    fn violation<T>(&self, what: &str) -> Result<T, String> {
        let history = &self.history;
        Err(format!("VIOLATION: {what}\nuser: {:?}{history}", self.state()))
    }
}

fn arguments(schedule: &Schedule) -> Vec<&'static str> {
    let mode: &[&str] = match schedule.mode {
        Mode::NewUser => &["--mode", "iam-user", "--user-name", "ana"],
        Mode::Reuse => &["--mode", "iam-user", "--user-name", "ana", "--if-exists", "reuse"],
        Mode::Root => &["--mode", "root", "--acknowledge-root-risk"],
    };
    let password: &[&str] =
        if schedule.has_console_password { &["--console-password", "generate"] } else { &[] };
    [&["setup", "--yes", "--store", "file", "-v"], mode, password].concat()
}

/// One server would answer all of them one by one.
fn server(seed: u64) -> &'static Moto {
    static SERVERS: [OnceLock<Moto>; 2] = [OnceLock::new(), OnceLock::new()];
    SERVERS[(seed % 2) as usize].get_or_init(Moto::start)
}

/// Somebody else makes it, past the proxy.
fn make(foreign: Foreign, account: &Account, user: &str, others: &Mutex<Others>) {
    let Some(state) = account.user(user) else {
        return;
    };
    let mut others = others.lock().expect("nobody panics while holding it");
    match foreign {
        Foreign::Key if state.access_keys.len() < 2 => {
            others.keys.push(account.create_access_key(user).access_key_id);
        }
        Foreign::SamePolicy => {
            // Where the run has attached it already, it is the run's to detach.
            if !state.attached_policies.iter().any(|it| it == ADMINISTRATOR_ACCESS) {
                account.attach_policy(user, ADMINISTRATOR_ACCESS);
                others.policies.push(ADMINISTRATOR_ACCESS.to_owned());
            }
        }
        Foreign::OtherPolicy => {
            account.attach_policy(user, OTHER_POLICY);
            others.policies.push(OTHER_POLICY.to_owned());
        }
        Foreign::LoginProfile if !state.has_login_profile() => {
            account.create_login_profile(user, PASSWORD);
            let created = account.user(user).map(|user| user.login_profile_created);
            others.login_profile = created;
        }
        Foreign::InlinePolicy => {
            account.allow(user, &["s3:ListAllMyBuckets"]);
            others.inline_policies.push("allowed".to_owned());
        }
        Foreign::Key | Foreign::LoginProfile => {}
    }
}
