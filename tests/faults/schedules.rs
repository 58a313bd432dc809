//! Faults that come together, and what is done about them later: never may an active key remain whose
//! secret nobody has, nor anything else of a run that says it was taken back.
//!
//! The slow ones, which wait for what IAM's servers come to know only later, run where
//! `CLOUDCRED_FULL_MATRIX` is set, as in `.ci/run`.

use std::time::Duration;

use crate::runner::Test;
use crate::scene::{REUSE, SETUP, Scene, denied, no_keys, no_user};
use crate::support::aws_cli;
use crate::support::moto::ADMINISTRATOR_ACCESS;
use crate::support::proxy::{Effect, Proxy, Rule, Which, answer, aws_error};
use crate::{is_full, moto};

fn schedule(
    name: impl AsRef<str>,
    run: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Test {
    let words = name.as_ref().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    Test::new(format!("schedules::{words}"), || {
        run().unwrap_or_else(|why| panic!("{why}"));
    })
}

pub fn tests() -> Vec<Test> {
    let mut all = cut_answers();
    all.push(schedule("a page of a proxy's own in AWS's place", || {
        let page = answer(200, "<html>Please sign in to this network</html>");
        Scene::new().once("CreateAccessKey", page).ends_well(SETUP)
    }));
    all.push(schedule("a key that may not be deleted", || {
        let scene = Scene::new().always("TagUser", denied()).always("DeleteAccessKey", denied());
        scene.run(SETUP).expect(5);
        scene.keeps_its_secret()?;
        let id = scene.stored_id();
        let scene = scene.mended();
        scene.run(&["resume", "--yes"]).expect(0);
        scene.works()?;
        if scene.stored_id() == id { Ok(()) } else { Err("resume made another key".to_owned()) }
    }));
    all.push(schedule("a resumed run loses the answer of its key", || {
        let scene = Scene::new().always("TagUser", denied()).always("DeleteUser", denied());
        scene.run(SETUP).expect(5);
        let lost = Proxy::start(moto().address()).once("CreateAccessKey", Effect::DropReply);
        let scene = scene.behind(lost);
        scene.run(&["resume", "--yes"]).expect(0);
        scene.works()
    }));
    all.push(schedule("a policy that is not known to be there", || {
        Scene::new()
            .always("CreateAccessKey", denied())
            .once("DetachUserPolicy", no_user())
            .ends_well(SETUP)
    }));
    all.push(schedule("a refusal after a lost answer", || {
        Scene::with_user()
            .once("CreateAccessKey", Effect::DropReply)
            .fault("ListAccessKeys", Effect::Pass, Some(2))
            .fault("ListAccessKeys", no_keys(), Some(8))
            .always("CreateAccessKey", denied())
            .names_its_key(&[SETUP, REUSE].concat())
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
        let scene = Scene::new().always("TagUser", denied()).always("DeleteUser", denied());
        scene.run(SETUP).expect(5);
        let scene = scene.mended();
        let aws = |arguments: &[&str]| {
            aws_cli::run(&scene.home, &[&["iam"], arguments].concat()).expect(0)
        };
        aws(&["delete-user", "--user-name", "ana"]);
        scene.account.create_user("ana");
        scene.run(&["undo", "--yes"]).expect(0);
        match scene.account.user("ana") {
            Some(user) if user.attached_policies.is_empty() && user.access_keys.is_empty() => {
                Ok(())
            }
            user => Err(format!("{user:?}")),
        }
    }));
    all.push(schedule("a policy that somebody attached meanwhile", || {
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
    }));
    if is_full() {
        all.extend(slow_schedules());
    }
    all
}

/// AWS did it, and what it said is not all there.
fn cut_answers() -> Vec<Test> {
    let mut all = Vec::new();
    for percentage in [0, 5, 30, 45, 60, 75, 90, 99] {
        for action in ["CreateUser", "CreateAccessKey", "CreateLoginProfile"] {
            all.push(schedule(format!("{action} cut at {percentage} %"), move || {
                let scene = Scene::new().once(action, Effect::CutClean(percentage));
                scene.rides_out(&[SETUP, &["--console-password", "generate"]].concat())
            }));
        }
        all.push(schedule(format!("another key, cut at {percentage} %"), move || {
            Scene::with_user()
                .once("CreateAccessKey", Effect::CutClean(percentage))
                .names_its_key(&[SETUP, REUSE].concat())
        }));
    }
    all
}

fn slow_schedules() -> Vec<Test> {
    let mut all = Vec::new();
    for stale in [8, 11, 20] {
        all.push(schedule(format!("a lost key shows up after {stale} looks"), move || {
            Scene::new()
                .once("CreateAccessKey", Effect::DropReply)
                .fault("ListAccessKeys", no_keys(), Some(stale))
                .ends_well(SETUP)
        }));
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
    all.push(schedule("the network is gone after the key was made", || {
        let mut scene = Scene::new();
        for action in ["TagUser", "UntagUser", "DeleteAccessKey", "DetachUserPolicy", "DeleteUser"]
        {
            scene = scene.always(action, Effect::Reset);
        }
        scene.run(SETUP).expect(5);
        scene.keeps_its_secret()?;
        let scene = scene.mended();
        scene.run(&["undo", "--yes"]).expect(0);
        scene.gone()
    }));
    all
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
