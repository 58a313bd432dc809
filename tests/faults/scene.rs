//! One run among faults: an account, a proxy that fails on request, a home, and what must be so afterwards.

use std::sync::Arc;
use std::time::Duration;

use crate::support::home::Home;
use crate::support::moto::{Account, SeededAccount};
use crate::support::process::Ran;
use crate::support::proxy::{Deed, Effect, Proxy, Rule, Which, answer, aws_error};
use crate::{home, home_at, moto, stored_pair};

pub const SETUP: &[&str] =
    &["setup", "--yes", "--mode", "iam-user", "--user-name", "ana", "--store", "file", "-v"];
pub const REUSE: &[&str] = &["--if-exists", "reuse"];
pub const STORED: &str = ".local/share/cloudcred/secrets/aws/ana.json";
pub const RUN_LIMIT: Duration = Duration::from_secs(150);

/// Everything of one schedule.
pub struct Scene {
    pub account: SeededAccount,
    pub proxy: Proxy,
    pub home: Home,
    /// The keys that the user has from before the run.
    pub before: Vec<String>,
}

impl Scene {
    pub fn new() -> Self {
        Scene::at(moto().seeded_account(), moto().address())
    }

    /// With a user that is there already, and has a key.
    pub fn with_user() -> Self {
        let mut scene = Scene::new();
        scene.account.create_user("ana");
        scene.before = vec![scene.account.create_access_key("ana").access_key_id];
        scene
    }

    /// With a user that is there already, and has nothing.
    pub fn with_bare_user() -> Self {
        let scene = Scene::new();
        scene.account.create_user("ana");
        scene
    }

    pub fn at(account: SeededAccount, address: &str) -> Self {
        let proxy = Proxy::start(address);
        let home = home_at(&proxy.url()).credentials(&account.bootstrap);
        Scene { account, proxy, home, before: Vec::new() }
    }

    /// What somebody else does in the middle of the run, past the proxy.
    pub fn colleague(&self, deed: impl Fn(&Account) + Send + Sync + 'static) -> Deed {
        let account = (*self.account).clone();
        Arc::new(move || deed(&account))
    }

    pub fn fault(self, action: &'static str, effect: Effect, times: Option<u32>) -> Self {
        self.proxy.add(Rule { action, effect, times, which: Which::All });
        self
    }

    pub fn once(self, action: &'static str, effect: Effect) -> Self {
        self.fault(action, effect, Some(1))
    }

    pub fn always(self, action: &'static str, effect: Effect) -> Self {
        self.fault(action, effect, None)
    }

    /// All is well again.
    pub fn mended(mut self) -> Self {
        self.home = self.home.endpoint(&moto().url());
        self
    }

    /// Other faults.
    pub fn behind(mut self, proxy: Proxy) -> Self {
        self.home = self.home.endpoint(&proxy.url());
        self.proxy = proxy;
        self
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.home.run_for(arguments, RUN_LIMIT)
    }

    pub fn stored_id(&self) -> Option<String> {
        let path = self.home.path().join(STORED);
        path.exists().then(|| stored_pair(&self.home.read(STORED)).access_key_id)
    }

    /// The IDs of the user's keys but for those from before.
    pub fn keys(&self) -> Vec<String> {
        let user = self.account.user("ana");
        let keys = user.map(|user| user.access_keys).unwrap_or_default();
        let ids = keys.into_iter().map(|(id, _)| id);
        ids.filter(|id| !self.before.contains(id)).collect()
    }

    /// The stored pair is the one new key, and it works.
    pub fn works(&self) -> Result<(), String> {
        let stored = self.stored_id().ok_or("no pair is stored")?;
        let new = self.keys();
        if new != [stored.clone()] {
            return Err(format!("stored is {stored}, and the user has {new:?}"));
        }
        let user = self.account.user("ana").ok_or("there is no user")?;
        if !user.tags.contains_key(&stored) || user.attached_policies.is_empty() {
            return Err(format!("the user is half-made: {user:?}"));
        }
        let as_user = home().credentials(&stored_pair(&self.home.read(STORED)));
        match as_user.run(&["setup", "--mode", "existing"]).code {
            0 => Ok(()),
            code => Err(format!("the pair does not work ({code})")),
        }
    }

    /// Nothing of the run is left but what was there before.
    pub fn gone(&self) -> Result<(), String> {
        let user = self.account.user("ana");
        if self.home.path().join(STORED).exists() {
            return Err("a secret is left".to_owned());
        }
        match user {
            None => Ok(()),
            Some(user) if self.before.is_empty() => Err(format!("a user is left: {user:?}")),
            Some(user) if user.attached_policies.is_empty() && self.keys().is_empty() => Ok(()),
            Some(user) => Err(format!("something is left: {user:?}")),
        }
    }

    /// A key that is active has its secret in the store.
    pub fn keeps_its_secret(&self) -> Result<(), String> {
        if self.stored_id().map(|id| vec![id]) == Some(self.keys()) {
            Ok(())
        } else {
            Err(format!("the secret of {:?} is lost", self.keys()))
        }
    }

    /// The fault is ridden out: all is made in one go, and nothing is taken back.
    pub fn rides_out(self, arguments: &[&str]) -> Result<(), String> {
        let ran = self.run(arguments);
        if ran.code != 0 {
            return Err(format!("it was not ridden out\n{ran}"));
        }
        self.works().map_err(|why| format!("{why}\n{ran}"))?;
        let calls = self.account.changing_calls();
        if calls.iter().any(|call| call == "DeleteUser") {
            return Err(format!("the user was made twice: {calls:?}\n{ran}"));
        }
        Ok(())
    }

    /// Whose a new key is cannot be told on a user from before: so it is named, and the run ends once a
    /// person has deleted it.
    pub fn names_its_key(self, arguments: &[&str]) -> Result<(), String> {
        let ran = self.run(arguments);
        let keys = self.keys();
        let [id] = &keys[..] else {
            return Err(format!("there is no one new key: {keys:?}\n{ran}"));
        };
        if ran.code != 5 || !ran.stderr.contains(id) {
            return Err(format!("{id} is not named\n{ran}"));
        }
        let scene = self.mended();
        let undone = scene.run(&["undo", "--yes"]);
        if undone.code != 5 || !undone.stderr.contains(id) || scene.keys() != keys {
            return Err(format!("undo does not leave {id} alone and name it\n{undone}"));
        }
        scene.account.delete_access_key("ana", id);
        scene.is_undone()
    }

    pub fn resumes(&self) -> Result<(), String> {
        let ran = self.run(&["resume", "--yes"]);
        if ran.code != 0 {
            return Err(format!("it cannot be resumed\n{ran}"));
        }
        self.works().map_err(|why| format!("{why}\n{ran}"))
    }

    pub fn is_undone(&self) -> Result<(), String> {
        let ran = self.run(&["undo", "--yes"]);
        if ran.code != 0 {
            return Err(format!("it cannot be undone\n{ran}"));
        }
        self.gone().map_err(|why| format!("{why}\n{ran}"))
    }

    /// What the exit code says is so; and what it leaves open is taken back later.
    pub fn ends_well(self, arguments: &[&str]) -> Result<(), String> {
        let ran = self.run(arguments);
        match ran.code {
            0 => self.works().map_err(|why| format!("{why}\n{ran}")),
            1 | 4 => self.gone().map_err(|why| format!("{why}\n{ran}")),
            5 => {
                let scene = self.mended();
                let undone = scene.run(&["undo", "--yes"]);
                let gone = match undone.code {
                    0 => scene.gone(),
                    _ => Err("it cannot be undone".to_owned()),
                };
                gone.map_err(|why| format!("{why}\n{ran}\n{undone}"))
            }
            _ => Err(format!("another exit code\n{ran}")),
        }
    }
}

pub fn denied() -> Effect {
    aws_error(403, "AccessDenied", "not you")
}

pub fn no_user() -> Effect {
    let message = "The user with name ana cannot be found.";
    aws_error(404, "NoSuchEntity", message)
}

pub fn no_keys() -> Effect {
    let body = "<ListAccessKeysResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
        <ListAccessKeysResult><IsTruncated>false</IsTruncated><AccessKeyMetadata/>\
        </ListAccessKeysResult></ListAccessKeysResponse>";
    answer(200, body)
}
