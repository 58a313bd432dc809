//! The root key that created the user is taken out of use, and only after the user is proven.

use std::time::Duration;

use crate::support::aws_cli;
use crate::support::home::Home;
use crate::support::moto::{KeyPair, SeededAccount};
use crate::support::process::{Ran, poll};
use crate::support::proxy::{Effect, Proxy, Rule, Which, aws_error};
use crate::{home_at, moto, stored_pair};

const SETUP: &[&str] = &[
    "setup",
    "--yes",
    "--mode",
    "iam-user",
    "--retire-root-key",
    "--store",
    "file",
    "--output",
    "json",
];
const STORED: &str = ".local/share/cloudcred/secrets/aws/cloudstudio-admin.json";

const INDEX: &str = ".local/share/cloudcred/secrets.toml";

/// moto has no root: the user `bootstrap` stands for it, and the proxy calls it so.
struct Scene {
    account: SeededAccount,
    /// Another key of root's.
    other: KeyPair,
    proxy: Proxy,
    home: Home,
}

fn scene() -> Scene {
    let account = moto().seeded_account();
    let other = account.create_access_key("bootstrap");
    let keys = [&account.bootstrap, &other].map(|pair| pair.access_key_id.clone());
    let proxy = Proxy::with_root_keys(moto().address(), &account.id, keys.to_vec());
    with_root(account, other, proxy)
}

fn with_root(account: SeededAccount, other: KeyPair, proxy: Proxy) -> Scene {
    let home = home_at(&proxy.url());
    let pair = &account.bootstrap;
    let credentials = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        pair.access_key_id, pair.secret_access_key
    );
    home.write(".aws/credentials", &credentials);
    Scene { account, other, proxy, home }
}

impl Scene {
    fn root_key(&self) -> &str {
        &self.account.bootstrap.access_key_id
    }

    /// `Active`, `Inactive`, or none.
    fn status(&self) -> Option<String> {
        let root = self.account.user("bootstrap").expect("root does not go");
        let mut keys = root.access_keys.into_iter();
        keys.find(|(id, _)| id == self.root_key()).map(|(_, status)| status)
    }

    #[track_caller]
    fn has_its_admin(&self) {
        let pair = stored_pair(&self.home.read(STORED));
        let user = self.account.user("cloudstudio-admin").expect("it stays");
        assert_eq!(user.access_keys, [(pair.access_key_id, "Active".to_owned())]);
    }
}

fn error_of(ran: &Ran) -> String {
    ran.json()["error"].to_string()
}

fn lines(pair: &KeyPair) -> String {
    format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key)
}

#[test]
fn the_key_is_deactivated_after_the_user_is_proven_and_activated_by_undo() {
    let scene = scene();
    let planned = scene.home.run(&[SETUP, &["--dry-run"]].concat()).expect(0);
    assert!(planned.stdout.contains("deactivate_root_key"), "{planned}");
    assert_eq!(scene.account.changing_calls(), [""; 0]);

    let report = scene.home.run(SETUP).expect(0).json();
    assert_eq!(scene.status().as_deref(), Some("Inactive"));
    scene.has_its_admin();
    assert_eq!(report["root_key"]["status"], "inactive");
    assert_eq!(report["root_key"]["access_key_id"], scene.root_key());
    let steps: Vec<&str> = report["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|step| step["step"].as_str())
        .collect();
    assert_eq!(steps[steps.len() - 3..], ["verify", "deactivate_root_key", "verify"]);
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("the profile `default` still holds"), "{warnings}");

    // The key itself cannot activate it again.
    let ran = scene.home.run(&["undo", "--yes"]).expect(4);
    assert!(ran.stderr.contains("InvalidClientTokenId"), "{ran}");
    assert!(ran.stderr.contains("--key-stdin"), "{ran}");
    let undo = ["undo", "--yes", "--key-stdin"];
    scene.home.run_with_stdin(&undo, &lines(&scene.other)).expect(0);
    assert_eq!(scene.status().as_deref(), Some("Active"));
    assert!(scene.account.user("cloudstudio-admin").is_none());
}

#[test]
fn a_refusal_leaves_the_user_ready_and_the_key_as_it_was() {
    let scene = scene();
    scene.proxy.add(Rule {
        action: "UpdateAccessKey",
        effect: aws_error(403, "AccessDenied", "no"),
        times: None,
        which: Which::All,
    });
    let with_password = [SETUP, &["--console-password", "generate"]].concat();
    let ran = scene.home.run(&with_password).expect(5);
    let user = scene.account.user("cloudstudio-admin").expect("it stays");
    let password = user.console_password.expect("it was set");
    assert_eq!(ran.json()["report"]["console_password"], password.as_str());
    assert_eq!(ran.json()["report"]["changed"], true);
    assert!(!ran.stderr.contains(&password), "{ran}");
    assert!(error_of(&ran).contains("is ready, but its root key was not retired"));
    assert!(error_of(&ran).contains("security_credentials"), "{ran}");
    assert_eq!(scene.status().as_deref(), Some("Active"));
    scene.has_its_admin();
}

#[test]
fn a_refusal_is_told_beside_what_was_made_to_people_too() {
    let scene = scene();
    scene.proxy.add(Rule {
        action: "UpdateAccessKey",
        effect: aws_error(403, "AccessDenied", "no"),
        times: None,
        which: Which::All,
    });
    let text = &SETUP[..SETUP.len() - 2];
    let ran = scene.home.run(&[text, &["--console-password", "generate"]].concat()).expect(5);
    let user = scene.account.user("cloudstudio-admin").expect("it stays");
    let password = user.console_password.expect("it was set");
    assert!(ran.stdout.contains(&password), "{ran}");
    assert!(!ran.stderr.contains(&password), "{ran}");
    assert!(ran.stderr.contains("its root key was not retired"), "{ran}");
}

#[test]
fn a_lost_answer_to_the_deactivation_is_understood() {
    let scene = scene();
    scene.proxy.add(Rule {
        action: "UpdateAccessKey",
        effect: Effect::DropReply,
        times: Some(1),
        which: Which::All,
    });
    scene.home.run(SETUP).expect(0);
    assert_eq!(scene.status().as_deref(), Some("Inactive"));
    assert_eq!(scene.proxy.calls("UpdateAccessKey"), 2);
}

#[test]
fn a_user_that_fails_its_second_proof_is_told_with_the_key_that_is_inactive() {
    let scene = scene();
    scene.proxy.add(Rule {
        action: "UpdateAccessKey",
        effect: Effect::Delay(Duration::from_millis(700)),
        times: Some(1),
        which: Which::All,
    });
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| scene.home.run(SETUP));
        let asked = || (scene.proxy.calls("UpdateAccessKey") > 0).then_some(());
        poll(Duration::from_secs(120), asked).expect("the key is being deactivated");
        scene.proxy.add(Rule {
            action: "GetUser",
            effect: aws_error(403, "SignatureDoesNotMatch", "no"),
            times: None,
            which: Which::All,
        });
        run.join().expect("no panic")
    });
    let ran = ran.expect(5);
    let error = error_of(&ran);
    assert!(error.contains("SignatureDoesNotMatch"), "{ran}");
    let left = format!("the inactive root key {}", scene.root_key());
    assert!(error.contains(&left), "{ran}");
    assert!(error.contains("in the console, as root"), "{ran}");
    scene.has_its_admin();
}

#[test]
fn what_cannot_be_retired_is_refused_before_anything_is_made() {
    let scene = scene();
    let reader = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    scene.home.run(&[SETUP, &["--policy-arn", reader]].concat()).expect(2);
    let home = home_at(&moto().url()).credentials(&scene.account.bootstrap);
    let ran = home.run(SETUP).expect(2);
    assert!(error_of(&ran).contains("not created with a root key"), "{ran}");
    assert_eq!(scene.account.changing_calls(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn the_key_is_deleted_when_root_says_so_once_more() {
    use crate::support::signin::{SignInServer, browser};
    use crate::support::terminal::{Key, Terminal};
    let account = moto().seeded_account();
    let other = account.create_access_key("bootstrap");
    // Also the session of the browser is root's.
    let proxy = Proxy::as_root(moto().address(), &account.id);
    let mut scene = with_root(account, other, proxy);
    let server = SignInServer::start(&scene.account);
    let browser = browser(&scene.home);
    scene.home =
        scene.home.variable("AWS_ENDPOINT_URL_SIGNIN", &server.url()).variable("BROWSER", &browser);
    let command = scene.home.command(&["setup", "--store", "file"]);
    let mut terminal = Terminal::start(&command, 100);
    terminal
        .wait_for("Use the root user's key")
        .press(Key::Enter)
        .wait_for("Make one in the AWS console")
        .press(Key::Enter)
        .wait_for("? User name")
        .press(Key::Enter)
        .wait_for("Type one")
        .press(Key::Enter)
        .wait_for("? Describe this key")
        .press(Key::Enter)
        .wait_for("What should become of the root key")
        .wait_for("Leave it as it is")
        .press(Key::Enter)
        .wait_for("? Name of the")
        .press(Key::Enter)
        .wait_for("retire the root key")
        .wait_for("Go ahead?")
        .type_text("y\r")
        .wait_for("is inactive now. What becomes of it?")
        .wait_for("Delete it for good");
    assert_eq!(scene.status().as_deref(), Some("Inactive"));
    terminal
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("Let the profile `default` read the secret?");
    assert!(!scene.home.path().join(".aws/config").exists(), "the sign-in leaves nothing");
    assert!(!scene.home.path().join(".aws/login").exists());
    terminal.type_text("y\r").wait_for("is deleted");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    assert_eq!(scene.status(), None);
    scene.has_its_admin();
    // Whoever used the root key by that profile is the new user now, and nobody holds the key.
    let home = &scene.home;
    assert!(!printed.contains("still holds the root key"), "{printed}");
    assert_eq!(home.read(".aws/credentials"), "[default]\n");
    let config = home.read(".aws/config");
    assert!(config.contains("[default]\ncredential_process = "), "{config}");
    let secret = &scene.account.bootstrap.secret_access_key;
    assert!(home.files_holding(secret).is_empty());
    let whoami = ["sts", "get-caller-identity", "--output", "json"];
    let direct = home_at(&moto().url());
    for file in [".aws/config", ".aws/credentials", INDEX, STORED] {
        direct.write(file, &home.read(file));
    }
    let who = aws_cli::run(&direct, &whoami).expect(0).json();
    assert_eq!(who["Arn"], scene.account.user_arn("cloudstudio-admin").as_str());
    let ran = scene.home.run(&["undo", "--yes"]).expect(1);
    assert!(ran.stderr.contains("nothing brings it back"), "{ran}");
}

#[cfg(target_os = "linux")]
#[test(CCompiler)]
fn a_kill_at_every_write_of_the_retirement_is_resumed() {
    use crate::support::fsync_fault::{counted, killed_at};
    // The user is there, so that all writes are the retirement's.
    let ready = || {
        let scene = scene();
        let made: Vec<&str> =
            SETUP.iter().copied().filter(|flag| *flag != "--retire-root-key").collect();
        scene.home.run(&made).expect(0);
        scene
    };
    let retire = [SETUP, &["--if-exists", "reuse"]].concat();
    let scene = ready();
    let file = scene.home.path().join("count");
    let home = counted(scene.home, &file);
    home.run(&retire).expect(0);
    let writes = std::fs::metadata(&file).expect("it was counted").len();
    assert!(writes > 5, "only {writes} writes");
    crate::each(usize::try_from(writes).expect("a few"), |at| {
        let mut scene = ready();
        scene.home = killed_at(scene.home, at);
        scene.home.run(&retire).expect(128 + 9);
        scene.home = scene.home.variable("FSYNC_FAULT", "");
        let resume = ["resume", "--yes", "--key-stdin", "--output", "json"];
        let ran = scene.home.run_with_stdin(&resume, &lines(&scene.other)).expect(0);
        let status = scene.status();
        // Before the journal says so, nothing was begun.
        let begun = !ran.stdout.contains("\"run\":null");
        assert!(status.as_deref() == Some("Inactive") || !begun, "killed at write {at}: {ran}");
        scene.has_its_admin();
    });
}
