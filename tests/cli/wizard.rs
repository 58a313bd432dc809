//! The wizard as a person meets it, in a real pseudo-terminal.

use std::thread;

use crate::support::aws_cli;
use crate::support::home::Home;
use crate::support::moto::{ADMINISTRATOR_ACCESS, KeyPair, SeededAccount};
use crate::support::proxy::{Proxy, aws_error};
use crate::support::terminal::{Key, Terminal};
use crate::{home, home_at, moto, stored_pair};

const STORED: &str = ".local/share/cloudcred/secrets/aws/cloudstudio-admin.json";
const ROOT_STORED: &str = ".local/share/cloudcred/secrets/aws/root.json";
const SETUP: &[&str] = &["setup", "--store", "file"];

/// With the account's administrator as the default profile.
fn with_profile(home: Home, pair: &KeyPair) -> Home {
    let text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        pair.access_key_id, pair.secret_access_key
    );
    home.write(".aws/credentials", &text);
    home
}

fn scene() -> (SeededAccount, Home) {
    let account = moto().seeded_account();
    let home = with_profile(home(), &account.bootstrap);
    (account, home)
}

/// Answers everything up to the console password as a newcomer would.
fn up_to_the_password(terminal: &mut Terminal) {
    terminal
        .wait_for("What should CloudStudio use?")
        .wait_for("Use the root user's key")
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("Paste an access key")
        .press(Key::Enter)
        .wait_for("? User name")
        .press(Key::Enter)
        .wait_for("Type one");
}

fn from_the_description_on(terminal: &mut Terminal) {
    terminal.wait_for("? Describe this key").press(Key::Enter);
    terminal.wait_for("? Name of the").press(Key::Enter);
    terminal.wait_for("Go ahead?").type_text("y\r");
}

#[test]
fn a_dry_run_only_tells_of_a_run_that_was_not_finished() {
    let (account, home) = scene();
    let denied = || aws_error(403, "AccessDenied", "no");
    let proxy = Proxy::start(moto().address())
        .rule("TagUser", denied())
        .rule("DeleteAccessKey", denied())
        .rule("DeleteUser", denied());
    let home = home.endpoint(&proxy.url());
    let setup = [SETUP, &["--mode", "iam-user", "--yes"]].concat();
    home.run(&setup).expect(5);
    let home = home.endpoint(&moto().url());
    let before = (account.changing_calls(), home.files());
    let plan = [
        "--mode",
        "iam-user",
        "--dry-run",
        "--profile",
        "default",
        "--user-name",
        "ana",
        "--console-password",
        "none",
        "--key-description",
        "test",
        "--secret",
        "ana",
    ];
    let mut terminal = Terminal::start(&home.command(&[SETUP, &plan].concat()), 80);
    terminal.wait_for("was not finished: `cloudcred resume");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("create IAM user"), "{printed}");
    assert_eq!((account.changing_calls(), home.files()), before);
}

#[test]
fn a_newcomer_gets_a_user_whose_stored_pair_works() {
    let (account, home) = scene();
    let mut terminal = Terminal::start(&home.command(SETUP), 80);
    up_to_the_password(&mut terminal);
    terminal.press(Key::Enter);
    from_the_description_on(&mut terminal);
    terminal.wait_for("CloudStudio secret `cloudstudio-admin` is ready.");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("full access to every AWS service"));

    let pair = stored_pair(&home.read(STORED));
    let user = account.user("cloudstudio-admin").expect("it was created");
    assert_eq!(user.attached_policies, [ADMINISTRATOR_ACCESS]);
    assert!(user.tags[&pair.access_key_id].starts_with("CloudStudio on "));
    assert!(!user.has_login_profile());
    let listed =
        aws_cli::run(&crate::home().credentials(&pair), &["iam", "list-users", "--output", "json"]);
    listed.expect(0);
    assert!(!printed.contains(&pair.secret_access_key));

    // What it prints as "the same without asking" is a command that asks nothing.
    let again = printed
        .lines()
        .find_map(|line| line.split_once("cloudcred setup --yes"))
        .expect("the command is shown")
        .1;
    assert!(again.contains("--user-name cloudstudio-admin"), "{again}");
}

#[test]
fn a_password_is_typed_twice_and_never_shown_on_a_narrow_terminal() {
    let (account, home) = scene();
    let mut terminal = Terminal::start(&home.command(SETUP), 40);
    up_to_the_password(&mut terminal);
    terminal
        .press(Key::Up)
        .press(Key::Enter)
        .wait_for("? Console password (not shown)")
        .type_text("Correct-Horse-7!\n")
        .wait_for("? The same again")
        .type_text("Correct-Horse-8!\n")
        .wait_for("the passwords do not match")
        .type_text("Correct-Horse-7!\n");
    // The second of two questions with the same words: wait for what it is drawn with.
    terminal.type_text("Correct-Horse-7!\n");
    from_the_description_on(&mut terminal);
    terminal.wait_for("is ready.");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    assert!(!printed.contains("Correct-Horse"), "{printed}");
    let user = account.user("cloudstudio-admin").expect("it was created");
    assert_eq!(user.console_password.as_deref(), Some("Correct-Horse-7!"));
}

#[test]
fn what_works_can_stay_in_place() {
    let (account, home) = scene();
    let mut terminal = Terminal::start(&home.command(&["setup"]), 80);
    terminal
        .wait_for("Keep `default` as it is")
        .wait_for("Use the root")
        .press(Key::Enter)
        .wait_for("stays as it is");
    assert_eq!(terminal.exit().0, 0);
    assert_eq!(account.changing_calls(), [""; 0]);
    assert_eq!(home.files(), [home.path().join(".aws/credentials")]);
}

/// Plays the wizard up to its `question`-th question; false when there are not that many.
fn play_to(terminal: &mut Terminal, question: usize) -> bool {
    type Answer = fn(&mut Terminal);
    let enter: Answer = |terminal| {
        terminal.press(Key::Enter);
    };
    let script: &[(&str, Answer)] = &[
        ("Use the root user's key", |terminal| {
            terminal.press(Key::Down).press(Key::Enter);
        }),
        ("Paste an access key", |terminal| {
            terminal.press(Key::Down).press(Key::Down).press(Key::Enter);
        }),
        ("both halves (not shown)", |_| ()),
        ("? User name", enter),
        ("Type one", |terminal| {
            terminal.press(Key::Up).press(Key::Enter);
        }),
        ("? Console password (not shown)", |terminal| {
            terminal.type_text("Correct-Horse-7!\n");
        }),
        ("? The same again", |terminal| {
            terminal.type_text("Correct-Horse-7!\n");
        }),
        ("? Describe this key", enter),
        ("? Name of the", enter),
        ("? Keep the secret in", |terminal| {
            terminal.wait_for("stop here").press(Key::Enter);
        }),
        ("? Go ahead?", |_| ()),
    ];
    for (index, (shown, answer)) in script.iter().enumerate() {
        if index == question {
            terminal.wait_for(shown);
            return true;
        }
        // The paste is skipped where a later question is the one: the profile creates the user.
        let skipped = index == 2;
        if skipped {
            continue;
        }
        terminal.wait_for(shown);
        if index == 1 && question != 2 {
            terminal.press(Key::Enter);
        } else {
            answer(terminal);
        }
    }
    false
}

#[test]
fn ctrl_c_ends_every_question_with_130_and_the_end_of_input_with_3() {
    let (account, home) = scene();
    let home = &home;
    thread::scope(|scope| {
        for (key, code) in [(Key::CtrlC, 130), (Key::CtrlD, 3)] {
            scope.spawn(move || {
                let mut question = 0;
                loop {
                    let mut terminal = Terminal::start(&home.command(&["setup"]), 80);
                    if !play_to(&mut terminal, question) {
                        break;
                    }
                    terminal.press(key);
                    let (ended, printed) = terminal.exit();
                    assert_eq!(ended, code, "question {question}: {printed}");
                    assert!(!printed.contains("stack backtrace"), "{printed}");
                    question += 1;
                }
                assert_eq!(question, 11, "every question was met");
            });
        }
    });
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[test]
fn a_closed_window_changes_nothing() {
    let (account, home) = scene();
    let mut terminal = Terminal::start(&home.command(SETUP), 80);
    terminal.wait_for("What should CloudStudio use?").close();
    assert_ne!(terminal.exit().0, 0);
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[test]
fn a_root_key_is_pasted_hidden_after_the_risk_was_acknowledged() {
    let account = moto().seeded_account();
    let proxy = Proxy::as_root(moto().address(), &account.id);
    let home = home_at(&proxy.url());
    let mut terminal = Terminal::start(&home.command(&["setup", "--store", "file"]), 80);
    terminal
        .wait_for("Use the root user's key")
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("can lock you out")
        .wait_for("? Type `use root`")
        .type_text("yes\n")
        .wait_for("or end with Ctrl-C")
        .type_text("use root\n")
        .wait_for("step by step")
        .press(Key::Enter)
        .wait_for("The root user's access key, both halves");
    let KeyPair { access_key_id, secret_access_key } = &account.bootstrap;
    terminal.type_text(&format!(
        "  {{\n \"access_key\": \"{access_key_id}\",\n \"secret_key\": \"{secret_access_key}\"\n}}\n"
    ));
    terminal.wait_for("? Name of the").press(Key::Enter);
    terminal.wait_for("Go ahead?").type_text("y\r");
    terminal.wait_for("`root` is ready");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    assert!(!printed.contains(secret_access_key.as_str()), "{printed}");
    let stored = stored_pair(&home.read(ROOT_STORED));
    assert_eq!(&stored.secret_access_key, secret_access_key);
}

#[test]
fn a_working_root_key_is_used_to_create_the_user_instead() {
    let account = moto().seeded_account();
    let proxy = Proxy::as_root(moto().address(), &account.id);
    let home = with_profile(home_at(&proxy.url()), &account.bootstrap);
    let mut terminal = Terminal::start(&home.command(SETUP), 80);
    // A root key is never offered to stay in place.
    terminal.wait_for("Use the root user's key");
    assert!(!terminal.screen().contains("Keep `default`"));
    terminal
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("profile `default` is the root user's and works")
        .wait_for("anyway")
        .press(Key::Enter);
    terminal.wait_for("? User name").press(Key::CtrlC);
    assert_eq!(terminal.exit().0, 130);
}

#[test]
fn a_pair_is_typed_half_by_half_or_pasted_in_other_forms() {
    let account = moto().seeded_account();
    let KeyPair { access_key_id: id, secret_access_key: secret } = &account.bootstrap;
    let forms = [
        format!("{secret}\n{id}\n"),
        format!("Access key ID,Secret access key\r\n{id},{secret}\r\n"),
        format!("{id}\n{secret}\n"),
    ];
    let home = home();
    for form in forms {
        let mut terminal = Terminal::start(&home.command(SETUP), 80);
        terminal
            .wait_for("Create an IAM user")
            .wait_for("Use the root")
            .press(Key::Enter)
            .wait_for("Paste an access key")
            .press(Key::Down)
            .press(Key::Enter)
            .wait_for("both halves (not shown)")
            .type_text(&form);
        if form.starts_with(secret.as_str()) {
            terminal.wait_for("swapped");
        }
        terminal.wait_for("? User name").press(Key::CtrlC);
        let (code, printed) = terminal.exit();
        assert_eq!(code, 130, "{printed}");
        assert!(!printed.contains(secret.as_str()), "{printed}");
    }
}

#[test]
fn an_existing_user_and_a_taken_name_are_asked_about() {
    let (account, home) = scene();
    account.create_user("cloudstudio-admin");
    let old = r#"{"access_key":"AKIAIOSFODNN7EXAMPLE","secret_key":"old"}"#;
    home.write(STORED, old);
    let run = |finish: &dyn Fn(&mut Terminal)| {
        let mut terminal = Terminal::start(&home.command(SETUP), 80);
        up_to_the_password(&mut terminal);
        terminal.press(Key::Enter);
        terminal.wait_for("? Describe this key").press(Key::Enter);
        terminal.wait_for("? Name of the").press(Key::Enter);
        terminal
            .wait_for("The IAM user `cloudstudio-admin` exists already")
            .wait_for("Use this user")
            .press(Key::Down)
            .press(Key::Enter)
            .wait_for("There is a secret `cloudstudio-admin` already")
            .wait_for("Replace it")
            .press(Key::Down)
            .press(Key::Enter)
            .wait_for("Go ahead?");
        finish(&mut terminal);
        terminal.exit()
    };
    let (code, _) = run(&|terminal| {
        terminal.press(Key::Enter);
    });
    assert_eq!(code, 130, "no is the default");
    assert_eq!(home.read(STORED), old);
    assert_eq!(account.changing_calls(), [""; 0]);

    let (code, printed) = run(&|terminal| {
        terminal.type_text("y\r").wait_for("is ready");
    });
    assert_eq!(code, 0, "{printed}");
    let user = account.user("cloudstudio-admin").expect("it was there");
    let pair = stored_pair(&home.read(STORED));
    assert_eq!(user.access_keys[0].0, pair.access_key_id);
    assert!(home.files_holding("\"old\"").is_empty(), "it was set aside until the end only");
}

#[test]
fn the_rest_of_a_paste_is_shown_nowhere_and_answers_nothing() {
    let account = moto().seeded_account();
    let KeyPair { access_key_id: id, secret_access_key: secret } = &account.bootstrap;
    let home = home();
    let mut terminal = Terminal::start(&home.command(SETUP), 80);
    terminal
        .wait_for("Use the root")
        .press(Key::Enter)
        .wait_for("Paste an access key")
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("both halves (not shown)")
        .type_text(&format!(
            "[default]\nregion = eu-west-1\naws_access_key_id = {id}\n\
             aws_secret_access_key = {secret}\n\n[other]\naws_access_key_id = AKIAOTHER\n\
             aws_secret_access_key = another-secret\n"
        ))
        .wait_for("? User name")
        .type_text("ana\n")
        .wait_for("? Console password")
        .press(Key::CtrlC);
    let (code, printed) = terminal.exit();
    assert_eq!(code, 130, "{printed}");
    assert!(printed.contains("ana"), "{printed}");
    assert!(!printed.contains(secret.as_str()), "{printed}");
    assert!(!printed.contains("another-secret"), "{printed}");
}

#[test]
fn a_key_for_standard_input_is_asked_for_hidden_at_a_terminal() {
    let account = moto().seeded_account();
    let secret = &account.bootstrap.secret_access_key;
    let home = home();
    let arguments = [SETUP, &["--mode", "iam-user", "--key-stdin"]].concat();
    let mut terminal = Terminal::start(&home.command(&arguments), 80);
    terminal
        .wait_for("both halves (not shown)")
        .type_text(&format!("{} {secret}\n", account.bootstrap.access_key_id))
        .wait_for("? User name")
        .press(Key::CtrlC);
    let (code, printed) = terminal.exit();
    assert_eq!(code, 130, "{printed}");
    assert!(!printed.contains(secret.as_str()), "{printed}");
}

#[test]
fn the_console_is_explained_and_its_key_kept() {
    let account = moto().seeded_account();
    account.create_user("made-by-hand");
    account.attach_policy("made-by-hand", ADMINISTRATOR_ACCESS);
    let pair = account.create_access_key("made-by-hand");
    let home = home();
    // A browser that only notes what it was asked to open.
    home.write("browser.sh", "echo \"$1\" >> opened\n");
    let home = home.variable("BROWSER", "sh browser.sh");
    let mut terminal = Terminal::start(&home.command(SETUP), 80);
    terminal
        .wait_for("Use the root")
        .press(Key::Enter)
        .wait_for("Make one in the AWS console")
        .press(Key::Down)
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("The root user's")
        .press(Key::Enter)
        .wait_for("https://console.aws.amazon.com/iam/home#/users/create")
        .wait_for("What next?")
        .press(Key::Enter)
        .wait_for("Open the page that creates a user\n")
        .wait_for("What next?")
        .press(Key::Up)
        .press(Key::Up)
        .press(Key::Enter)
        .wait_for("The new user's access key")
        .type_text(&format!("{}\n{}\n", pair.access_key_id, &pair.secret_access_key[..30]))
        .wait_for("30 of 40")
        .type_text(&format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key))
        .wait_for("The key works")
        .wait_for("user/made-by-hand")
        .wait_for("? Name of the")
        .press(Key::Enter)
        .wait_for("Go ahead?")
        .type_text("y\r")
        .wait_for("`made-by-hand` is ready.");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    assert!(!printed.contains(&pair.secret_access_key), "{printed}");
    let opened = home.read("opened");
    assert_eq!(opened, "https://console.aws.amazon.com/iam/home#/users/create\n");
    let stored = stored_pair(&home.read(".local/share/cloudcred/secrets/aws/made-by-hand.json"));
    assert_eq!(stored.secret_access_key, pair.secret_access_key);
}
