//! Every AWS call of the plan, and everything that may happen to it on the way.
//!
//! All combinations take a minute or two: they run where `CLOUDCRED_FULL_MATRIX` is set, as in
//! `.ci/run`; else those of the two calls that must not be repeated blindly.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::home::Home;
use crate::support::moto::SeededAccount;
use crate::support::proxy::{Effect, Proxy, Rule, Which, aws_error};
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
    "--console-password",
    "generate",
    "-v",
];
const STORED: &str = ".local/share/cloudcred/secrets/aws/ana.json";
const DELICATE: &[&str] = &["CreateUser", "CreateAccessKey"];
const ALL: &[&str] = &[
    "GetCallerIdentity",
    "GetUser",
    "GetAccountPasswordPolicy",
    "CreateUser",
    "AttachUserPolicy",
    "CreateLoginProfile",
    "CreateAccessKey",
    "TagUser",
];

struct Case {
    action: &'static str,
    name: &'static str,
    effect: Effect,
    times: Option<u32>,
}

pub fn full() -> bool {
    std::env::var_os("CLOUDCRED_FULL_MATRIX").is_some()
}

fn cases() -> Vec<Case> {
    let full = full();
    let actions = if full { ALL } else { DELICATE };
    let mut cases = Vec::new();
    for &action in actions {
        let effects = [
            ("throttled", aws_error(400, "Throttling", "Rate exceeded")),
            ("503", aws_error(503, "ServiceUnavailable", "later")),
            ("reset", Effect::Reset),
            ("lost reply", Effect::DropReply),
            ("truncated", Effect::Truncate),
            ("5 s latency", Effect::Delay(Duration::from_secs(5))),
        ];
        for (name, effect) in effects {
            let slow = matches!(effect, Effect::Delay(_));
            for times in [Some(1), None] {
                // Slow for ever would only be slow; and a run without its first answers only ends.
                if times.is_none() && (slow || !full) {
                    continue;
                }
                let effect = effect.clone();
                cases.push(Case {
                    action,
                    name,
                    effect,
                    times,
                });
            }
        }
    }
    cases
}

/// Either the user works and its pair is stored, or nothing is left, or what is left is named and
/// can be taken back.
fn survives(case: &Case) -> Result<(), String> {
    let account = moto().seeded_account();
    let proxy = Proxy::start(moto().address());
    proxy.add(Rule {
        action: case.action,
        effect: case.effect.clone(),
        times: case.times,
        which: Which::All,
    });
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let ran = home.run(SETUP);
    let told = || format!("{} {} {:?}: {ran}", case.action, case.name, case.times);
    match ran.code {
        0 => works(&account, &home).map_err(|why| format!("{why}\n{}", told())),
        1 => gone(&account, &home).map_err(|why| format!("{why}\n{}", told())),
        5 => {
            let direct = home.endpoint(&moto().url());
            let undone = direct.run(&["undo", "--yes"]);
            match undone.code {
                0 => gone(&account, &direct).map_err(|why| format!("{why}\n{}", told())),
                _ => Err(format!("{undone}\n{}", told())),
            }
        }
        _ => Err(told()),
    }
}

fn works(account: &SeededAccount, home: &Home) -> Result<(), String> {
    let user = account.user("ana").ok_or("there is no user")?;
    let pair = stored_pair(&home.read(STORED));
    let keys: Vec<&String> = user.access_keys.iter().map(|(id, _)| id).collect();
    if keys != [&pair.access_key_id] {
        return Err(format!("the user has {keys:?}"));
    }
    let as_user = self::home().credentials(&pair);
    let checked = as_user.run(&["setup", "--mode", "existing"]);
    if checked.code != 0 || !user.tags.contains_key(&pair.access_key_id) {
        return Err(format!(
            "the pair does not work, or has no description: {checked}"
        ));
    }
    Ok(())
}

fn gone(account: &SeededAccount, home: &Home) -> Result<(), String> {
    if let Some(user) = account.user("ana") {
        return Err(format!("a user is left: {user:?}"));
    }
    if home.path().join(STORED).exists() {
        return Err("a secret is left".to_owned());
    }
    Ok(())
}

#[test]
fn every_fault_at_every_call_is_survived() {
    let cases = cases();
    let (next, survived) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        if full() {
            scope.spawn(a_key_that_aws_never_accepts_stays_stored_and_can_be_resumed);
            scope.spawn(a_key_that_is_denied_all_along_is_not_told_to_be_on_its_way);
        }
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match survives(case) {
                        Ok(()) => drop(survived.fetch_add(1, Ordering::Relaxed)),
                        Err(why) => println!("{why}"),
                    }
                }
            });
        }
    });
    let survived = survived.into_inner();

    assert_eq!(survived, cases.len());
}

/// Takes the two minutes that cloudcred waits for a key to be known everywhere.
fn a_key_that_aws_never_accepts_stays_stored_and_can_be_resumed() {
    let account = moto().seeded_account();
    let unknown = aws_error(
        403,
        "InvalidClientTokenId",
        "The security token is invalid.",
    );
    let proxy = Proxy::start(moto().address())
        .once("GetCallerIdentity", Effect::Delay(Duration::ZERO))
        .rule("GetCallerIdentity", unknown);
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let ran = home.run_for(SETUP, Duration::from_secs(180)).expect(5);
    assert!(ran.stderr.contains("is stored, but after 120 s"), "{ran}");
    assert!(ran.stderr.contains("cloudcred resume"), "{ran}");
    let pair = stored_pair(&home.read(STORED));

    let home = home.endpoint(&moto().url());
    home.run(&["resume", "--yes"]).expect(0);
    assert_eq!(
        stored_pair(&home.read(STORED)).access_key_id,
        pair.access_key_id
    );
    works(&account, &home).expect("the run is finished");
}

/// As above: a policy of the organization denies what AdministratorAccess allows.
fn a_key_that_is_denied_all_along_is_not_told_to_be_on_its_way() {
    let account = moto().seeded_account();
    let denied = aws_error(
        403,
        "AccessDenied",
        "with an explicit deny in a service control policy",
    );
    let proxy = Proxy::start(moto().address())
        .once("GetUser", Effect::Delay(Duration::ZERO))
        .rule("GetUser", denied);
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let ran = home.run_for(SETUP, Duration::from_secs(180)).expect(5);
    let told = "STS accepts it, but after 120 s AWS still denies it iam:GetUser";
    assert!(ran.stderr.contains(told), "{ran}");
    assert!(ran.stderr.contains("policy of the organization"), "{ran}");

    let home = home.endpoint(&moto().url());
    home.run(&["resume", "--yes"]).expect(0);
    works(&account, &home).expect("the run is finished");
}
