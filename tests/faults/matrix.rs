//! Every AWS call of the plan, and everything that may happen to it on the way.
//!
//! All combinations take a minute or two: they run where `CLOUDCRED_FULL_MATRIX` is set, as in
//! `.ci/run`; else those of the two calls that must not be repeated blindly.

use std::time::Duration;

use crate::runner::Test;
use crate::support::home::Home;
use crate::support::moto::SeededAccount;
use crate::support::proxy::{Effect, Proxy, Rule, Which, aws_error};
use crate::{home_at, is_full, moto, stored_pair};

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
    fault: &'static str,
    effect: Effect,
    is_permanent: bool,
}

pub fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = cases().into_iter().map(Case::into_test).collect();
    if is_full() {
        tests.push(Test::new(
            "matrix::a_key_that_aws_never_accepts_stays_stored_and_can_be_resumed",
            a_key_that_aws_never_accepts_stays_stored_and_can_be_resumed,
        ));
        tests.push(Test::new(
            "matrix::a_key_that_is_denied_all_along_is_not_told_to_be_on_its_way",
            a_key_that_is_denied_all_along_is_not_told_to_be_on_its_way,
        ));
    }
    tests
}

fn cases() -> Vec<Case> {
    let actions = if is_full() { ALL } else { DELICATE };
    let mut cases = Vec::new();
    for &action in actions {
        for (fault, effect) in [
            ("throttled", aws_error(400, "Throttling", "Rate exceeded")),
            ("503", aws_error(503, "ServiceUnavailable", "later")),
            ("reset", Effect::Reset),
            ("lost_reply", Effect::DropReply),
            ("truncated", Effect::Truncate),
            ("5_s_latency", Effect::Delay(Duration::from_secs(5))),
        ] {
            for is_permanent in [false, true] {
                // Slow for ever would only be slow; and a run without its first answers only ends.
                if is_permanent && (fault == "5_s_latency" || !is_full()) {
                    continue;
                }
                cases.push(Case { action, fault, effect: effect.clone(), is_permanent });
            }
        }
    }
    cases
}

impl Case {
    fn into_test(self) -> Test {
        let how_often = if self.is_permanent { "always" } else { "once" };
        let name = format!("matrix::{}_{}_{how_often}", self.action, self.fault);
        Test::new(name, move || self.run())
    }

    fn run(self) {
        let account = moto().seeded_account();
        let proxy = Proxy::start(moto().address());
        proxy.add(Rule {
            action: self.action,
            effect: self.effect,
            times: (!self.is_permanent).then_some(1),
            which: Which::All,
        });
        let home = home_at(&proxy.url()).credentials(&account.bootstrap);
        if self.is_permanent {
            ends_well(&account, home);
        } else {
            home.run(SETUP).expect(0);
            works(&account, &home).unwrap_or_else(|why| panic!("{why}"));
            let calls = account.changing_calls();
            assert!(!calls.contains(&"DeleteUser".to_owned()), "{calls:?}");
        }
    }
}

/// Either the user works and its pair is stored, or nothing is left, or what is left is named and
/// can be taken back.
fn ends_well(account: &SeededAccount, home: Home) {
    let ran = home.run(&[SETUP, &["--output", "json"]].concat());
    let end = match ran.code {
        0 => works(account, &home),
        1 => {
            assert_eq!(ran.json()["error"]["kind"], "failed", "{ran}");
            gone(account, &home)
        }
        _ => {
            assert_eq!(ran.code, 5, "{ran}");
            assert_eq!(ran.json()["error"]["kind"], "partly_applied", "{ran}");
            let direct = home.endpoint(&moto().url());
            direct.run(&["undo", "--yes"]).expect(0);
            gone(account, &direct)
        }
    };
    end.unwrap_or_else(|why| panic!("{why}\n{ran}"));
}

fn works(account: &SeededAccount, home: &Home) -> Result<(), String> {
    let user = account.user("ana").ok_or("there is no user")?;
    let pair = stored_pair(&home.read(STORED));
    let keys: Vec<&String> = user.access_keys.iter().map(|(id, _)| id).collect();
    if keys != [&pair.access_key_id] {
        return Err(format!("the user has {keys:?}"));
    }
    let as_user = crate::home().credentials(&pair);
    let checked = as_user.run(&["setup", "--mode", "existing"]);
    if checked.code != 0 || !user.tags.contains_key(&pair.access_key_id) {
        return Err(format!("the pair does not work, or has no description: {checked}"));
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

/// Takes the two minutes that cloudcred waits for a key to be known everywhere.
fn a_key_that_aws_never_accepts_stays_stored_and_can_be_resumed() {
    let account = moto().seeded_account();
    let unknown = aws_error(403, "InvalidClientTokenId", "The security token is invalid.");
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
    assert_eq!(stored_pair(&home.read(STORED)).access_key_id, pair.access_key_id);
    works(&account, &home).expect("the run is finished");
}

/// As above: a policy of the organization denies what AdministratorAccess allows.
fn a_key_that_is_denied_all_along_is_not_told_to_be_on_its_way() {
    let account = moto().seeded_account();
    let denied =
        aws_error(403, "AccessDenied", "with an explicit deny in a service control policy");
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
