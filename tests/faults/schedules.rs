//! Faults that come together, and what is done about them later: never may an active key remain whose
//! secret nobody has, nor anything else of a run that says it was taken back.
//!
//! The slow ones, which wait for what IAM's servers come to know only later, run where
//! `CLOUDCRED_FULL_MATRIX` is set, as in `.ci/run`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::matrix::full;
use crate::support::aws_cli;
use crate::support::home::Home;
use crate::support::moto::{ADMINISTRATOR_ACCESS, SeededAccount};
use crate::support::process::Ran;
use crate::support::proxy::{Effect, Proxy, Rule, Which, answer, aws_error};
use crate::{home, home_at, moto, stored_pair};

const SETUP: &[&str] = &[
    "setup",
    "--yes",
    "--mode",
    "iam-user",
    "--user-name",
    "ana",
    "--store",
    "file",
    "-v",
];
const REUSE: &[&str] = &["--if-exists", "reuse"];
const STORED: &str = ".local/share/cloudcred/secrets/aws/ana.json";
const RUN_LIMIT: Duration = Duration::from_secs(150);

/// Everything of one schedule.
struct Scene {
    account: SeededAccount,
    proxy: Proxy,
    home: Home,
    /// The keys that the user has from before the run.
    before: Vec<String>,
}

impl Scene {
    fn new() -> Self {
        let account = moto().seeded_account();
        let proxy = Proxy::start(moto().address());
        let home = home_at(&proxy.url()).credentials(&account.bootstrap);
        Scene {
            account,
            proxy,
            home,
            before: Vec::new(),
        }
    }

    /// With a user that is there already, and has a key.
    fn with_user() -> Self {
        let mut scene = Scene::new();
        scene.account.create_user("ana");
        scene.before = vec![scene.account.create_access_key("ana").access_key_id];
        scene
    }

    fn fault(self, action: &'static str, effect: Effect, times: Option<u32>) -> Self {
        self.proxy.add(Rule {
            action,
            effect,
            times,
            which: Which::All,
        });
        self
    }

    fn once(self, action: &'static str, effect: Effect) -> Self {
        self.fault(action, effect, Some(1))
    }

    fn always(self, action: &'static str, effect: Effect) -> Self {
        self.fault(action, effect, None)
    }

    /// All is well again.
    fn mended(mut self) -> Self {
        self.home = self.home.endpoint(&moto().url());
        self
    }

    /// Other faults.
    fn behind(mut self, proxy: Proxy) -> Self {
        self.home = self.home.endpoint(&proxy.url());
        self.proxy = proxy;
        self
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.home.run_for(arguments, RUN_LIMIT)
    }

    fn stored_id(&self) -> Option<String> {
        let path = self.home.path().join(STORED);
        path.exists()
            .then(|| stored_pair(&self.home.read(STORED)).access_key_id)
    }

    /// The IDs of the user's keys but for those from before.
    fn keys(&self) -> Vec<String> {
        let user = self.account.user("ana");
        let keys = user.map(|user| user.access_keys).unwrap_or_default();
        let ids = keys.into_iter().map(|(id, _)| id);
        ids.filter(|id| !self.before.contains(id)).collect()
    }

    /// The stored pair is the one new key, and it works.
    fn works(&self) -> Result<(), String> {
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
    fn gone(&self) -> Result<(), String> {
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
    fn keeps_its_secret(&self) -> Result<(), String> {
        match self.stored_id().map(|id| vec![id]) == Some(self.keys()) {
            true => Ok(()),
            false => Err(format!("the secret of {:?} is lost", self.keys())),
        }
    }

    /// What the exit code says is so; and what it leaves open is taken back later.
    fn ends_well(self, arguments: &[&str]) -> Result<(), String> {
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

fn denied() -> Effect {
    aws_error(403, "AccessDenied", "not you")
}

fn no_user() -> Effect {
    let message = "The user with name ana cannot be found.";
    aws_error(404, "NoSuchEntity", message)
}

fn no_keys() -> Effect {
    let body = "<ListAccessKeysResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
        <ListAccessKeysResult><IsTruncated>false</IsTruncated><AccessKeyMetadata/>\
        </ListAccessKeysResult></ListAccessKeysResponse>";
    answer(200, body)
}

fn pass() -> Effect {
    Effect::Delay(Duration::ZERO)
}

struct Schedule {
    name: String,
    run: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

fn schedule(
    name: impl Into<String>,
    run: impl Fn() -> Result<(), String> + Send + Sync + 'static,
) -> Schedule {
    Schedule {
        name: name.into(),
        run: Box::new(run),
    }
}

fn schedules() -> Vec<Schedule> {
    let mut all = cut_answers();
    all.push(schedule("a page of a proxy's own in AWS's place", || {
        let page = answer(200, "<html>Please sign in to this network</html>");
        Scene::new().once("CreateAccessKey", page).ends_well(SETUP)
    }));
    all.push(schedule("a key that may not be deleted", || {
        let scene = Scene::new()
            .always("TagUser", denied())
            .always("DeleteAccessKey", denied());
        scene.run(SETUP).expect(5);
        scene.keeps_its_secret()?;
        let id = scene.stored_id();
        let scene = scene.mended();
        scene.run(&["resume", "--yes"]).expect(0);
        scene.works()?;
        match scene.stored_id() == id {
            true => Ok(()),
            false => Err("resume made another key".to_owned()),
        }
    }));
    all.push(schedule(
        "a resumed run loses the answer of its key",
        || {
            let scene = Scene::new()
                .always("TagUser", denied())
                .always("DeleteUser", denied());
            scene.run(SETUP).expect(5);
            let lost = Proxy::start(moto().address()).once("CreateAccessKey", Effect::DropReply);
            let scene = scene.behind(lost);
            scene.run(&["resume", "--yes"]).expect(0);
            scene.works()
        },
    ));
    all.push(schedule("a policy that is not known to be there", || {
        Scene::new()
            .always("CreateAccessKey", denied())
            .once("DetachUserPolicy", no_user())
            .ends_well(SETUP)
    }));
    all.push(schedule("a refusal after a lost answer", || {
        Scene::with_user()
            .once("CreateAccessKey", Effect::DropReply)
            .fault("ListAccessKeys", pass(), Some(2))
            .fault("ListAccessKeys", no_keys(), Some(8))
            .always("CreateAccessKey", denied())
            .ends_well(&[SETUP, REUSE].concat())
    }));
    all.push(schedule("IAM is busy, at every step", || {
        let mut scene = Scene::new();
        for (action, code) in [
            ("CreateUser", "Throttling"),
            ("AttachUserPolicy", "ConcurrentModification"),
            ("CreateAccessKey", "ConcurrentModification"),
            ("TagUser", "EntityTemporarilyUnmodifiable"),
        ] {
            scene = scene.fault(action, aws_error(409, code, "try again"), Some(3));
        }
        scene.run(SETUP).expect(0);
        scene.works()
    }));
    all.push(schedule("somebody else's user of the same name", || {
        let scene = Scene::new()
            .always("TagUser", denied())
            .always("DeleteUser", denied());
        scene.run(SETUP).expect(5);
        let scene = scene.mended();
        let aws = |arguments: &[&str]| {
            aws_cli::run(&scene.home, &[&["iam"], arguments].concat()).expect(0)
        };
        aws(&["delete-user", "--user-name", "ana"]);
        scene.account.create_user("ana");
        scene.run(&["resume", "--yes"]).expect(5);
        scene.run(&["undo", "--yes"]).expect(1);
        match scene.account.user("ana") {
            Some(user) if user.attached_policies.is_empty() && user.access_keys.is_empty() => {
                Ok(())
            }
            user => Err(format!("{user:?}")),
        }
    }));
    all.push(schedule(
        "a policy that somebody attached meanwhile",
        || {
            let scene = Scene::with_user().always("CreateAccessKey", denied());
            // Between the look and the attempt: what the plan was made with is old by then.
            scene.account.attach_policy("ana", ADMINISTRATOR_ACCESS);
            let policies = "<ListAttachedUserPoliciesResponse><ListAttachedUserPoliciesResult>\
            <AttachedPolicies/><IsTruncated>false</IsTruncated></ListAttachedUserPoliciesResult>\
            </ListAttachedUserPoliciesResponse>";
            let scene = scene.once("ListAttachedUserPolicies", answer(200, policies));
            scene.run(&[SETUP, REUSE].concat()).expect(4);
            match scene.account.user("ana") {
                Some(user) if user.attached_policies == [ADMINISTRATOR_ACCESS] => Ok(()),
                user => Err(format!("it was detached: {user:?}")),
            }
        },
    ));
    if full() {
        all.extend(slow_schedules());
    }
    all
}

/// AWS did it, and what it said is not all there.
fn cut_answers() -> Vec<Schedule> {
    let mut all = Vec::new();
    for percentage in [0, 5, 30, 45, 60, 75, 90, 99] {
        for action in ["CreateUser", "CreateAccessKey", "CreateLoginProfile"] {
            all.push(schedule(
                format!("{action} cut at {percentage} %"),
                move || {
                    let scene = Scene::new().once(action, Effect::CutClean(percentage));
                    scene.ends_well(&[SETUP, &["--console-password", "generate"]].concat())
                },
            ));
        }
        all.push(schedule(
            format!("another key, cut at {percentage} %"),
            move || {
                Scene::with_user()
                    .once("CreateAccessKey", Effect::CutClean(percentage))
                    .ends_well(&[SETUP, REUSE].concat())
            },
        ));
    }
    all
}

fn slow_schedules() -> Vec<Schedule> {
    let mut all = Vec::new();
    for stale in [8, 11, 20] {
        all.push(schedule(
            format!("a lost key shows up after {stale} looks"),
            move || {
                Scene::new()
                    .once("CreateAccessKey", Effect::DropReply)
                    .fault("ListAccessKeys", no_keys(), Some(stale))
                    .ends_well(SETUP)
            },
        ));
    }
    for (name, effect) in [
        ("late", Effect::Late(Duration::from_secs(6))),
        ("too late", Effect::Delay(Duration::from_secs(26))),
    ] {
        for action in ["CreateUser", "CreateAccessKey"] {
            let effect = effect.clone();
            all.push(schedule(format!("{action} arrives {name}"), move || {
                Scene::new().once(action, effect.clone()).ends_well(SETUP)
            }));
        }
    }
    all.push(schedule("IAM does not know what it has just made", || {
        Scene::new()
            .always("TagUser", denied())
            .fault("DeleteAccessKey", no_user(), Some(8))
            .fault("DetachUserPolicy", no_user(), Some(8))
            .fault("DeleteUser", no_user(), Some(8))
            .ends_well(SETUP)
    }));
    all.push(schedule(
        "the network is gone after the key was made",
        || {
            let mut scene = Scene::new();
            for action in [
                "TagUser",
                "UntagUser",
                "DeleteAccessKey",
                "DetachUserPolicy",
                "DeleteUser",
            ] {
                scene = scene.always(action, Effect::Reset);
            }
            scene.run(SETUP).expect(5);
            scene.keeps_its_secret()?;
            let scene = scene.mended();
            scene.run(&["undo", "--yes"]).expect(0);
            scene.gone()
        },
    ));
    all
}

#[test]
fn faults_that_come_together_are_survived() {
    let schedules = schedules();
    let (next, survived) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let survives = |schedule: &Schedule| match (schedule.run)() {
        Ok(()) => drop(survived.fetch_add(1, Ordering::Relaxed)),
        Err(why) => println!("{}: {why}", schedule.name),
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(schedule) = schedules.get(next.fetch_add(1, Ordering::Relaxed)) {
                    survives(schedule);
                }
            });
        }
    });
    let survived = survived.into_inner();

    assert_eq!(survived, schedules.len());
}

/// What a run has made may be in use by the time it is taken up again.
#[cfg(unix)]
#[test]
fn a_resumed_run_that_is_interrupted_takes_nothing_back() {
    use crate::support::process;
    use std::process::Stdio;

    let scene = Scene::new()
        .always("TagUser", denied())
        .always("DeleteUser", denied())
        .always("DeleteAccessKey", denied());
    scene.run(SETUP).expect(5);
    let keys = scene.keys();
    let proxy = Proxy::start(moto().address());
    proxy.add(Rule {
        action: "GetCallerIdentity",
        effect: aws_error(403, "InvalidClientTokenId", "not known yet"),
        times: None,
        which: Which::SignedBy(keys.clone()),
    });
    let scene = scene.behind(proxy);
    let mut command = scene.home.command(&["resume", "--yes"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    process::poll(Duration::from_secs(20), || {
        (scene.proxy.calls("GetCallerIdentity") > 2).then_some(())
    })
    .expect("the key is being proven");
    let interrupted = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(interrupted, rustix::process::Signal::INT).expect("it runs");
    let status = process::wait(&mut child, Duration::from_secs(30)).expect("it ends");
    assert_eq!(status.code(), Some(130));
    assert_eq!(scene.keys(), keys);
    let scene = scene.mended();
    scene.run(&["resume", "--yes"]).expect(0);
    scene.works().expect("it was only waited for");
    assert_eq!(scene.keys(), keys);
}
