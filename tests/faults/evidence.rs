//! One answer is no evidence, and what is not proven to be ours is not deleted: a case for each way in
//! which that was once not so.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::scene::{REUSE, RUN_LIMIT, SETUP, STORED, Scene, denied, no_user};
use crate::support::home::Home;
use crate::support::moto::{ADMINISTRATOR_ACCESS, Account, Moto};
use crate::support::process::{self, Ran};
use crate::support::proxy::{Deed, Effect, answer, aws_error};
use crate::support::stale::without_element;
use crate::{home, moto, stored_pair};

const PASSWORD: &str = "Somebody-elses-1234";
const WITH_PASSWORD: &[&str] = &["--console-password", "generate"];
const RUNS: &str = ".local/state/cloudcred/runs";

fn make_key(account: &Account) {
    account.create_access_key("ana");
}

fn keys(account: &Account) -> Vec<String> {
    let keys = account.user("ana").map(|user| user.access_keys);
    let active = keys.into_iter().flatten().filter(|(_, status)| status == "Active");
    active.map(|(id, _)| id).collect()
}

fn stored(home: &Home) -> String {
    stored_pair(&home.read(STORED)).access_key_id
}

#[track_caller]
fn ok(result: Result<(), String>) {
    result.unwrap_or_else(|why| panic!("{why}"));
}

fn setup_reuse() -> Vec<&'static str> {
    [SETUP, REUSE].concat()
}

/// The run that is undone later has ended well.
#[track_caller]
fn stands(scene: Scene, arguments: &[&str]) -> Scene {
    scene.run(arguments).expect(0);
    ok(scene.works());
    scene
}

fn no_such_entity() -> Effect {
    aws_error(404, "NoSuchEntity", "It cannot be found.")
}

fn failed() -> Effect {
    aws_error(500, "ServiceFailure", "an internal error")
}

mod somebody_elses_key {
    use super::*;

    fn is_kept_when_made_at(action: &'static str, calls_before: u32) {
        let scene = Scene::with_bare_user().fault(action, Effect::Pass, Some(calls_before));
        let deed = scene.colleague(make_key);
        let scene = scene.once(action, Effect::Before(deed));
        let ran = scene.run(&setup_reuse()).expect(0);
        let ours = stored(&scene.home);
        let all = keys(&scene.account);
        assert!(all.len() == 2 && all.contains(&ours), "{all:?}, stored {ours}\n{ran}");

        scene.run(&["undo", "--yes"]).expect(0);
        let others: Vec<String> = all.into_iter().filter(|id| *id != ours).collect();
        assert_eq!(keys(&scene.account), others, "undo takes back its own key alone");
    }

    #[test]
    fn is_kept_when_made_right_after_ours() {
        is_kept_when_made_at("CreateAccessKey", 0);
    }

    #[test]
    fn is_kept_when_made_while_ours_is_verified() {
        // The first question is about the caller.
        is_kept_when_made_at("GetCallerIdentity", 2);
    }

    #[test]
    fn is_kept_when_made_before_undo() {
        let scene = stands(Scene::with_bare_user(), &setup_reuse());
        make_key(&scene.account);
        scene.run(&["undo", "--yes"]).expect(0);
        assert_eq!(keys(&scene.account).len(), 1);
    }

    /// Ours never reached IAM, and theirs looks as if it were ours.
    fn is_kept_when_made_in_place_of_ours(last_used: Effect) {
        let scene = Scene::with_bare_user().always("GetAccessKeyLastUsed", last_used);
        let deed = scene.colleague(make_key);
        let scene = scene.once("CreateAccessKey", Effect::Instead(deed));
        let ran = scene.run(&setup_reuse());
        let theirs = keys(&scene.account)
            .into_iter()
            .find(|id| !scene.home.path().join(STORED).exists() || *id != stored(&scene.home));
        let theirs = theirs.unwrap_or_else(|| panic!("somebody else's key is gone\n{ran}"));
        assert!([0, 5].contains(&ran.code), "{ran}");
        if ran.code == 5 {
            assert!(ran.stderr.contains(&theirs), "it is not named\n{ran}");
            scene.run(&["undo", "--yes"]);
            assert!(keys(&scene.account).contains(&theirs), "undo deleted it");
        }
    }

    #[test]
    fn is_kept_when_its_last_use_is_not_known() {
        is_kept_when_made_in_place_of_ours(Effect::Pass);
    }

    #[test]
    fn is_kept_when_its_last_use_is_denied() {
        is_kept_when_made_in_place_of_ours(denied());
    }

    #[test]
    fn is_kept_when_its_last_use_cannot_be_read() {
        is_kept_when_made_in_place_of_ours(failed());
    }
}

#[test]
fn two_jobs_at_once_end_with_keys_that_work() {
    let scene = Scene::with_bare_user();
    let other = home().credentials(&scene.account.bootstrap);
    let arguments = setup_reuse();
    let (one, two) = thread::scope(|scope| {
        let one = scope.spawn(|| scene.run(&arguments));
        let two = scope.spawn(|| other.run_for(&arguments, RUN_LIMIT));
        (one.join().expect("no panic"), two.join().expect("no panic"))
    });
    let all = keys(&scene.account);
    for (ran, home) in [(&one, &scene.home), (&two, &other)] {
        if ran.code == 0 {
            let id = stored(home);
            assert!(all.contains(&id), "the stored key {id} is dead\n{one}\n{two}");
        }
    }
    assert!(one.code == 0 || two.code == 0, "{one}\n{two}");
}

mod undo_of_a_good_run {
    use super::*;

    fn rides_out(action: &'static str, effect: Effect) {
        let arguments = [SETUP, WITH_PASSWORD].concat();
        let scene = stands(Scene::new(), &arguments).once(action, effect);
        ok(scene.is_undone());
    }

    #[test]
    fn rides_out_a_user_that_is_not_seen_once() {
        rides_out("GetUser", no_user());
    }

    #[test]
    fn rides_out_a_user_without_tags() {
        rides_out("GetUser", Effect::Edit(|body| without_element(body, "Tags")));
    }

    #[test]
    fn rides_out_an_answer_without_a_user() {
        rides_out("GetUser", Effect::Edit(|body| without_element(body, "User")));
    }

    #[test]
    fn rides_out_keys_that_are_not_listed_once() {
        let empty = |body: &str| without_element(body, "member");
        rides_out("ListAccessKeys", Effect::Edit(empty));
    }

    #[test]
    fn rides_out_a_key_that_is_not_there_to_be_deleted() {
        rides_out("DeleteAccessKey", no_such_entity());
    }

    #[test]
    fn rides_out_a_policy_that_is_not_there_to_be_detached() {
        rides_out("DetachUserPolicy", no_such_entity());
    }

    #[test]
    fn rides_out_a_login_profile_that_is_not_there_to_be_deleted() {
        rides_out("DeleteLoginProfile", no_such_entity());
    }

    #[test]
    fn rides_out_a_user_that_is_not_there_to_be_deleted() {
        rides_out("DeleteUser", no_such_entity());
    }

    #[test]
    fn rides_out_service_credentials_that_cannot_be_listed() {
        let page = answer(500, "<!doctype html>\n<title>500 Internal Server Error</title>\n");
        let scene = stands(Scene::new(), SETUP).always("ListServiceSpecificCredentials", page);
        ok(scene.is_undone());
    }

    /// `undo` that says so has left no password which nobody knows.
    #[test]
    fn leaves_no_console_password_on_a_user_from_before() {
        let arguments = [&setup_reuse()[..], WITH_PASSWORD].concat();
        let scene = stands(Scene::with_bare_user(), &arguments)
            .once("DeleteLoginProfile", no_such_entity());
        scene.run(&["undo", "--yes"]).expect(0);
        let user = scene.account.user("ana").expect("it was there before");
        assert!(!user.has_login_profile());
        assert!(user.access_keys.is_empty());
    }
}

mod resume {
    use super::*;

    /// The key is made and stored, and neither can be finished nor taken back.
    fn half_way() -> Scene {
        let scene = Scene::new();
        let home = scene.home.copy();
        let broken = scene
            .always("TagUser", denied())
            .always("DeleteAccessKey", denied())
            .always("DeleteUser", denied());
        broken.run(SETUP).expect(5);
        broken.proxy.calm();
        Scene { home, ..broken }
    }

    fn keeps_its_key(action: &'static str, effect: Effect) {
        let scene = half_way();
        let before = keys(&scene.account);
        let scene = scene.once(action, effect);
        ok(scene.resumes());
        assert_eq!(keys(&scene.account), before);
    }

    #[test]
    fn keeps_its_key_when_the_user_is_not_seen_once() {
        keeps_its_key("GetUser", no_user());
    }

    #[test]
    fn keeps_its_key_when_the_user_has_no_tags_once() {
        keeps_its_key("GetUser", Effect::Edit(|body| without_element(body, "Tags")));
    }

    #[test]
    fn keeps_its_key_when_an_answer_holds_no_user() {
        keeps_its_key("GetUser", Effect::Edit(|body| without_element(body, "User")));
    }

    #[test]
    fn keeps_its_key_when_it_is_not_listed_once() {
        let empty = |body: &str| without_element(body, "member");
        keeps_its_key("ListAccessKeys", Effect::Edit(empty));
    }

    #[test]
    fn keeps_its_key_when_sts_does_not_know_it_once() {
        let scene = half_way();
        let before = keys(&scene.account);
        // The first question is about the caller.
        let unknown = aws_error(403, "InvalidClientTokenId", "The security token is invalid.");
        let scene =
            scene.once("GetCallerIdentity", Effect::Pass).once("GetCallerIdentity", unknown);
        ok(scene.resumes());
        assert_eq!(keys(&scene.account), before);
    }
}

mod a_key_whose_answer_comes_late {
    use super::*;

    fn is_not_lost(scene: Scene, arguments: &[&str]) {
        let late = Effect::AnswerAfter(Duration::from_secs(20));
        let scene = scene.once("CreateAccessKey", late).once("DeleteAccessKey", no_such_entity());
        let ran = scene.run(arguments);
        let new = scene.keys();
        match ran.code {
            0 => ok(scene.works()),
            1 => assert!(new.is_empty(), "{new:?}\n{ran}"),
            5 => assert!(new.iter().all(|id| format!("{ran}").contains(id)), "{new:?}\n{ran}"),
            _ => panic!("{ran}"),
        }
    }

    #[test]
    fn and_whose_deletion_is_stale_is_not_lost() {
        is_not_lost(Scene::new(), SETUP);
    }

    #[test]
    fn and_whose_deletion_is_stale_is_not_lost_on_a_user_from_before() {
        is_not_lost(Scene::with_bare_user(), &setup_reuse());
    }
}

/// The machine's clock was wrong when the program died, and is right when the run is taken up.
#[cfg(target_os = "linux")]
mod a_corrected_clock {
    use super::*;
    use crate::support::fsync_fault::clock_off_by;

    /// Killed while IAM has made the key, and the answer is on its way.
    fn killed_at_its_key(scene: &Scene, arguments: &[&str], seconds: i64) {
        let home = clock_off_by(scene.home.copy(), seconds);
        let mut command = home.command(arguments);
        command.stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let made = || (scene.keys().len() == 1).then_some(());
        process::poll(Duration::from_secs(120), made).expect("the key is being made");
        child.kill().expect("it waits for the answer");
        child.wait().expect("a child of ours");
    }

    fn loses_no_key(seconds: i64, verb: &str) {
        let late = Effect::AnswerAfter(Duration::from_secs(18));
        let scene = Scene::new().once("CreateAccessKey", late);
        killed_at_its_key(&scene, SETUP, seconds);
        if verb == "resume" {
            ok(scene.resumes());
        } else {
            ok(scene.is_undone());
        }
    }

    #[test(CCompiler)]
    fn that_was_fast_loses_no_key_at_resume() {
        loses_no_key(7200, "resume");
    }

    #[test(CCompiler)]
    fn that_was_slow_loses_no_key_at_resume() {
        loses_no_key(-7200, "resume");
    }

    #[test(CCompiler)]
    fn that_was_fast_loses_no_key_at_undo() {
        loses_no_key(7200, "undo");
    }

    #[test(CCompiler)]
    fn that_was_slow_loses_no_key_at_undo() {
        loses_no_key(-7200, "undo");
    }

    /// Whose it is cannot be proven: it is named, and not lost without a word.
    #[test(CCompiler)]
    fn names_the_key_of_a_user_from_before() {
        let late = Effect::AnswerAfter(Duration::from_secs(18));
        let scene = Scene::with_bare_user().once("CreateAccessKey", late);
        killed_at_its_key(&scene, &setup_reuse(), -7200);
        let unknown = scene.keys();
        let ran = scene.run(&["resume", "--yes"]);
        let kept = scene.keys();
        if kept.contains(&unknown[0]) {
            assert_eq!(ran.code, 5, "{ran}");
            assert!(format!("{ran}").contains(&unknown[0]), "{ran}");
        } else {
            assert_eq!(ran.code, 0, "{ran}");
        }
    }
}

mod what_others_have_made {
    use super::*;

    /// The login profile is not seen when the plan is made, and the attempt at one gets no answer.
    #[test]
    fn keeps_its_console_password() {
        let scene = Scene::with_bare_user();
        scene.account.create_login_profile("ana", PASSWORD);
        let created = |scene: &Scene| {
            let user = scene.account.user("ana").expect("it was there before");
            (user.console_password, user.login_profile_created)
        };
        let before = created(&scene);
        let scene = scene
            .once("GetLoginProfile", no_such_entity())
            .once("CreateLoginProfile", Effect::Reset);
        let ran = scene.run(&[&setup_reuse()[..], WITH_PASSWORD].concat());
        assert_eq!(created(&scene), before, "{ran}");
        scene.run(&["undo", "--yes"]);
        assert_eq!(created(&scene), before);
    }

    #[test]
    fn keeps_its_policy() {
        let scene = Scene::with_bare_user();
        let deed: Deed =
            scene.colleague(|account| account.attach_policy("ana", ADMINISTRATOR_ACCESS));
        let scene = scene.once("ListAttachedUserPolicies", Effect::Before(deed));
        scene.run(&setup_reuse()).expect(0);
        scene.run(&["undo", "--yes"]).expect(0);
        let user = scene.account.user("ana").expect("it was there before");
        assert_eq!(user.attached_policies, [ADMINISTRATOR_ACCESS]);
    }
}

mod a_journal_that_cannot_be_read {
    use super::*;

    const NEWEST: &str = "29990101T000000Z-ffff";

    fn stops(verb: &str, text: &str) {
        let scene = stands(Scene::new(), SETUP);
        scene.home.write(&format!("{RUNS}/{NEWEST}.json"), text);
        let ran = scene.run(&[verb, "--yes"]);
        assert_ne!(ran.code, 0, "{ran}");
        assert!(ran.stderr.contains(NEWEST), "it is not named: {ran}");
        ok(scene.works());
    }

    fn newer() -> String {
        format!(r#"{{"version": 99, "run": "{NEWEST}", "steps": []}}"#)
    }

    #[test]
    fn stops_undo_when_it_is_damaged() {
        stops("undo", "{");
    }

    #[test]
    fn stops_undo_when_it_is_of_a_newer_format() {
        stops("undo", &newer());
    }

    #[test]
    fn stops_resume_when_it_is_damaged() {
        stops("resume", "{");
    }

    #[test]
    fn stops_resume_when_it_is_of_a_newer_format() {
        stops("resume", &newer());
    }

    #[test]
    fn stops_undo_when_it_is_the_only_one() {
        let home = home();
        home.write(&format!("{RUNS}/{NEWEST}.json"), "{");
        let ran = home.run(&["undo", "--yes"]);
        assert_ne!(ran.code, 0, "{ran}");
    }
}

mod a_journal_that_lies {
    use super::*;

    /// A run of the first released format, which has made `ana` and her key.
    fn journal(scene: &Scene, key: &str) -> String {
        include_str!("released_journal.json")
            .replace("ACCOUNT", &scene.account.id)
            .replace("KEY_ID", key)
    }

    fn stranger(scene: &Scene) -> String {
        scene.account.create_user("stranger");
        scene.account.create_access_key("stranger").access_key_id
    }

    fn run_of(journal: &str) -> String {
        let journal: serde_json::Value = serde_json::from_str(journal).expect("JSON");
        journal["run"].as_str().expect("its name").to_owned()
    }

    #[track_caller]
    fn stranger_is_untouched(scene: &Scene, key: &str, ran: &Ran) {
        let user = scene.account.user("stranger");
        let user = user.unwrap_or_else(|| panic!("a stranger's user is deleted\n{ran}"));
        assert_eq!(user.access_keys, [(key.to_owned(), "Active".to_owned())], "{ran}");
    }

    #[test]
    fn with_a_second_user_deletes_no_stranger() {
        let scene = Scene::new();
        let key = stranger(&scene);
        let mut journal: serde_json::Value =
            serde_json::from_str(&journal(&scene, &key)).expect("JSON");
        let mut second = journal["steps"][0].clone();
        second["user_name"] = "stranger".into();
        journal["steps"].as_array_mut().expect("a list").insert(1, second);
        let journal = journal.to_string();
        scene.home.write(&format!("{RUNS}/{}.json", run_of(&journal)), &journal);
        let ran = scene.run(&["undo", "--yes"]);
        stranger_is_untouched(&scene, &key, &ran);
    }

    #[test]
    fn about_a_foreign_key_deletes_no_strangers_key() {
        let scene = Scene::new();
        let key = stranger(&scene);
        let journal =
            journal(&scene, &key).replace(r#""user_name": "ana""#, r#""user_name": "stranger""#);
        scene.home.write(&format!("{RUNS}/{}.json", run_of(&journal)), &journal);
        let ran = scene.run(&["undo", "--yes"]);
        stranger_is_untouched(&scene, &key, &ran);
    }
}

#[cfg(unix)]
mod standard_output {
    use super::*;

    fn run_through_shell(scene: &Scene, redirection: &str) -> Ran {
        let setup =
            ["setup", "--yes", "--mode", "iam-user", "--user-name", "ana", "--store", "stdout"];
        let program = scene.home.command(&setup);
        let mut command = Command::new("sh");
        let script = format!("exec \"$0\" \"$@\" {redirection}");
        command.args(["-c", &script]).arg(program.get_program()).args(program.get_args());
        scene.home.clean(&mut command);
        process::run(command, None, RUN_LIMIT)
    }

    fn takes_the_key_back(redirection: &str) {
        let scene = Scene::new();
        let ran = run_through_shell(&scene, redirection);
        assert_eq!(ran.code, 1, "{ran}");
        ok(scene.gone());
    }

    #[test]
    fn that_is_closed_takes_the_key_back() {
        takes_the_key_back(">&-");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn that_is_full_takes_the_key_back() {
        takes_the_key_back(">/dev/full");
    }

    #[test]
    fn that_nobody_reads_takes_the_key_back() {
        // `true` ends at once, long before the key is printed.
        let scene = Scene::new();
        let ran = run_through_shell(&scene, "| true");
        // The shell's code is that of `true`.
        ok(scene.gone().map_err(|why| format!("{why}\n{ran}")));
    }
}

/// Other people's servers make moto's mistakes.
mod a_plain_moto {
    use super::*;
    use std::sync::OnceLock;

    fn scene() -> Scene {
        static PLAIN: OnceLock<Moto> = OnceLock::new();
        let server = PLAIN.get_or_init(Moto::start_plain);
        Scene::at(server.seeded_account(), server.address())
    }

    /// Through the proxy of its own scene: the server that others share is another one.
    fn stands(scene: &Scene) {
        scene.run(SETUP).expect(0);
        assert_eq!(keys(&scene.account), [stored(&scene.home)]);
    }

    #[test]
    fn takes_a_good_run_back() {
        let scene = scene();
        stands(&scene);
        ok(scene.is_undone());
    }

    #[test]
    fn resumes_a_run_that_stopped() {
        let scene = stopped();
        scene.run(&["resume", "--yes"]).expect(0);
        assert_eq!(keys(&scene.account), [stored(&scene.home)]);
        ok(scene.is_undone());
    }

    #[test]
    fn takes_a_run_back_that_stopped() {
        ok(stopped().is_undone());
    }

    fn stopped() -> Scene {
        let scene = scene()
            .always("TagUser", denied())
            .always("DeleteAccessKey", denied())
            .always("DeleteUser", denied());
        scene.run(SETUP).expect(5);
        scene.proxy.calm();
        scene
    }

    #[test]
    fn takes_a_reused_user_back() {
        let scene = scene();
        scene.account.create_user("ana");
        scene.run(&setup_reuse()).expect(0);
        scene.run(&["undo", "--yes"]).expect(0);
        assert!(keys(&scene.account).is_empty());
    }
}

/// The journals that are on people's disks.
#[test]
fn a_released_journal_of_a_user_that_is_gone_is_undone() {
    let scene = Scene::new();
    let journal = include_str!("released_journal.json").replace("ACCOUNT", &scene.account.id);
    scene.home.write(&format!("{RUNS}/20261125T130650Z-d970.json"), &journal);
    scene.run(&["undo", "--yes"]).expect(0);
    assert_eq!(moto().seeded_account().users().len(), 3);
}

/// Files that others write, too.
#[cfg(unix)]
mod shared_files {
    use super::*;
    use crate::{keep, made_up_pair};

    const CONFIG: &str = ".aws/config";

    #[test]
    fn keep_every_confirmed_write_of_several_data_folders() {
        const WRITES: usize = 30;
        let home = home();
        let folders = ["one", "two", "three", "four", "five", "six"].map(|name| {
            let path = home.path().join(name);
            let copy = home.copy();
            copy.variable("CLOUDCRED_HOME", path.to_str().expect("UTF-8"))
        });
        for folder in &folders {
            keep(folder, "ana", &made_up_pair(1));
        }
        let confirmed: Vec<String> = thread::scope(|scope| {
            let writers = folders.iter().enumerate().map(|(number, folder)| {
                scope.spawn(move || {
                    let names = (0..WRITES).map(|write| format!("p{number}-{write}"));
                    names
                        .filter(|name| {
                            let arguments = ["secret", "use", "ana", "--aws-profile", name];
                            folder.run(&arguments).code == 0
                        })
                        .collect::<Vec<_>>()
                })
            });
            let writers: Vec<_> = writers.collect();
            let names = writers.into_iter().map(|it| it.join().expect("no panic"));
            names.flatten().collect()
        });
        assert!(confirmed.len() >= WRITES, "{confirmed:?}");
        let config = home.read(CONFIG);
        let is_lost = |name: &&String| !config.contains(&format!("[profile {name}]"));
        let lost: Vec<_> = confirmed.iter().filter(is_lost).collect();
        assert!(lost.is_empty(), "lost {lost:?}");
    }

    #[test]
    fn of_a_name_like_our_temporaries_are_not_ours() {
        let home = home();
        keep(&home, "ana", &made_up_pair(1));
        for folder in [".aws", ".local/share/cloudcred", ".local/share/cloudcred/secrets/aws"] {
            home.write(&format!("{folder}/.cloudcred-notes"), "somebody's");
            home.write(&format!("{folder}/.cloudcred-folder/file"), "somebody's");
        }
        let before = home.files_holding("somebody's");
        // What is young may be in use by another process.
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        for path in &before {
            let file = std::fs::File::options().write(true).open(path).expect("it is there");
            file.set_modified(long_ago).expect("it is ours");
        }
        home.run(&["secret", "use", "ana", "--aws-profile", "cs"]).expect(0);
        home.run(&["secret", "list"]).expect(0);
        assert_eq!(home.files_holding("somebody's"), before);
    }
}
