//! `login`: from a browser sign-in to a session that AWS's tools use, and what keeps it from that.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use crate::support::aws_cli;
use crate::support::home::Home;
use crate::support::moto::SeededAccount;
use crate::support::process::{Ran, Running};
use crate::support::proxy::{Proxy, aws_error};
use crate::support::signin::{self, SignInServer, sign_in, visit};
use crate::{home, home_at, moto, stored_pair};

const LOGIN: &[&str] = &["login", "--no-browser", "--output", "json"];

fn scene() -> (SeededAccount, SignInServer, Home) {
    let account = moto().seeded_account();
    let server = SignInServer::start(&account);
    let home = home().variable("AWS_ENDPOINT_URL_SIGNIN", &server.url());
    (account, server, home)
}

/// Starts a sign-in; returns it with the address that it prints.
fn start(home: &Home, arguments: &[&str]) -> (Running, String) {
    let mut running = Running::start(home.command(arguments));
    let address = running.line("/v1/authorize?");
    (running, address)
}

/// Signs in without anything going wrong.
#[track_caller]
fn log_in(home: &Home, more: &[&str]) -> Ran {
    let (running, address) = start(home, &[LOGIN, more].concat());
    let page = visit(&sign_in(&address));
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("return to the terminal"), "{}", page.body);
    running.end().expect(0)
}

/// One line that says what happened, one that says what to do; and nothing was written.
#[track_caller]
fn failed(ran: Ran, code: i32, what: &str, hint: &str, home: &Home) {
    let ran = ran.expect(code);
    let error = &ran.json()["error"];
    let said = |part: &str| error[part].as_str().unwrap_or_default().to_owned();
    assert!(said("message").contains(what), "{ran}");
    assert!(said("hint").contains(hint), "{ran}");
    assert!(!ran.stderr.contains("stack backtrace"), "{ran}");
    assert_eq!(home.files(), [""; 0].map(std::path::PathBuf::from));
}

fn cache_of(home: &Home) -> std::path::PathBuf {
    let mut files = home.files();
    files.retain(|path| path.parent().is_some_and(|folder| folder.ends_with("login/cache")));
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn a_session_is_written_as_awss_tools_read_it() {
    let (account, server, home) = scene();
    let ran = log_in(&home, &["-vv"]);
    let report = ran.json();
    let arn = server.login_session();
    assert_eq!(report["profile"], "default");
    assert_eq!(report["login_session"], arn.as_str());
    assert_eq!(report["account_id"], account.id.as_str());
    let config = home.read(".aws/config");
    assert!(config.contains(&format!("[default]\nlogin_session = {arn}\n")), "{config}");

    let cache = cache_of(&home);
    #[cfg(unix)]
    for file in [&cache, &home.path().join(".aws/config")] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    for secret in server.secrets() {
        assert!(!format!("{ran}").contains(&secret), "{ran}");
        let holding = home.files_holding(&secret);
        assert!(holding.is_empty() || holding == [cache.clone()], "{holding:?}");
    }

    let written = |secret: &String| !home.files_holding(secret).is_empty();
    assert!(server.secrets().iter().any(written), "the cache holds tokens");

    // Both read it; keys that are about to end are renewed, with a new refresh token each time.
    assert_eq!(existing(&home, "default")["arn"], arn.as_str());
    assert_eq!(by_aws_cli(&home)["Arn"], arn.as_str());
    assert_eq!(server.renewals(), 0);
    server.set_lifetime(60);
    log_in(&home, &[]);
    assert_eq!(existing(&home, "default")["arn"], arn.as_str());
    assert_eq!(server.renewals(), 1, "by aws-config");
    assert_eq!(by_aws_cli(&home)["Arn"], arn.as_str());
    assert!(server.renewals() > 1, "by botocore");
    assert_eq!(existing(&home, "default")["arn"], arn.as_str());
    // Terraform passes over it, so it is no configuration to leave in place.
    let refused = home.run(&["setup", "--mode", "existing", "--no-input"]).expect(3);
    assert!(refused.stderr.contains("login_session"), "{refused}");
}

/// What the profile is by now.
fn existing(home: &Home, profile: &str) -> serde_json::Value {
    let named = ["--output", "json", "--profile", profile];
    home.run(&[&["check"], &named[..]].concat()).expect(0).json()["profiles"][0].clone()
}

fn by_aws_cli(home: &Home) -> serde_json::Value {
    aws_cli::run(home, &["sts", "get-caller-identity", "--output", "json"]).expect(0).json()
}

#[test]
fn a_named_profile_keeps_what_else_it_says() {
    let (_, server, home) = scene();
    let before = "# mine\n[profile work]\nregion = eu-west-1 ; near\noutput = json\n";
    home.write(".aws/config", before);
    log_in(&home, &["--profile", "work"]);
    let config = home.read(".aws/config");
    let arn = server.login_session();
    assert_eq!(config, format!("{before}login_session = {arn}\n"));

    // Somebody else's session takes its place with consent only.
    server.set_person("bob");
    let (running, address) = start(&home, &[LOGIN, &["--profile", "work"]].concat());
    visit(&sign_in(&address));
    let ran = running.end().expect(3);
    assert!(ran.stdout.contains("--yes") && ran.stdout.contains(&arn), "{ran}");
    assert_eq!(home.read(".aws/config"), config);
    cache_of(&home);
    log_in(&home, &["--profile", "work", "--yes"]);
    assert_eq!(home.read(".aws/config"), config.replace(&arn, &server.login_session()));
}

#[test]
fn a_profile_with_other_credentials_is_refused_before_anything_is_opened() {
    let (account, server, home) = scene();
    let text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = x\n",
        account.bootstrap.access_key_id
    );
    home.write(".aws/credentials", &text);
    for arguments in [LOGIN, &[LOGIN, &["--profile", "default"]].concat()] {
        let ran = home.run(arguments).expect(1);
        assert!(ran.stdout.contains("an access key (aws_access_key_id)"), "{ran}");
        assert!(ran.stdout.contains("--profile"), "{ran}");
    }
    assert_eq!(server.pages(), 0);
    assert_eq!(home.files(), [home.path().join(".aws/credentials")]);
    assert_eq!(home.read(".aws/credentials"), text);
}

#[test]
fn an_answer_of_another_sign_in_gets_an_error_page_and_ours_is_still_waited_for() {
    let (_, _, home) = scene();
    let (running, address) = start(&home, LOGIN);
    let (other, other_address) = start(&home, LOGIN);
    let ours = sign_in(&address);
    let (callback, _) = ours.split_once('?').expect("a query");
    let theirs = sign_in(&other_address);
    let (other_callback, query) = theirs.split_once('?').expect("a query");
    for query in [query, "code=x", "error=access_denied", "state=&code=x"] {
        let page = visit(&format!("{callback}?{query}"));
        assert_eq!(page.status, 400, "{query}");
        assert!(page.body.contains("not the sign-in"), "{}", page.body);
    }

    let page = visit(&format!("{other_callback}/elsewhere?{query}"));
    assert_eq!(page.status, 404);
    let state = query.split('&').next().expect("the state");
    let page = visit(&format!("{other_callback}?{state}&error=access_denied"));
    assert!(page.body.contains("This did not work"), "{}", page.body);
    failed(other.end(), 4, "access_denied", "SignInLocalDevelopmentAccess", &home);

    visit(&ours);
    running.end().expect(0);
}

#[test]
fn a_code_is_good_once_and_a_second_callback_finds_nobody() {
    let (_, _, home) = scene();
    let (running, address) = start(&home, LOGIN);
    let location = sign_in(&address);
    visit(&location);
    running.end().expect(0);
    let cached = std::fs::read(cache_of(&home)).expect("written");
    let at = location.find("127.0.0.1").expect("on this machine");
    let callback = &location[at..][..location[at..].find('/').expect("a path")];
    assert!(TcpStream::connect(callback).is_err(), "nobody listens");

    let (running, address) = start(&home, LOGIN);
    let fresh = sign_in(&address);
    let code = |text: &str| text.split_once("&code=").expect("a code").1.to_owned();
    visit(&fresh.replace(&code(&fresh), &code(&location)));
    let ran = running.end().expect(4);
    assert!(ran.stdout.contains("AUTHCODE_EXPIRED"), "{ran}");
    assert!(ran.stdout.contains("used already"), "{ran}");
    assert_eq!(std::fs::read(cache_of(&home)).expect("there"), cached);
}

#[test]
fn a_refused_exchange_leaves_nothing_and_quotes_nothing() {
    let (_, server, home) = scene();
    server.refuse("INSUFFICIENT_PERMISSIONS");
    let (running, address) = start(&home, &[LOGIN, &["-vv"]].concat());
    visit(&sign_in(&address));
    let ran = running.end();
    for secret in server.secrets() {
        assert!(!format!("{ran}").contains(&secret), "{ran}");
    }
    failed(ran, 4, "INSUFFICIENT_PERMISSIONS", "SignInLocalDevelopmentAccess", &home);
}

#[test]
fn a_session_that_sts_refuses_is_not_written() {
    let account = moto().seeded_account();
    let server = SignInServer::start(&account);
    let denied = aws_error(403, "InvalidClientTokenId", "no");
    let proxy = Proxy::start(moto().address()).rule("GetCallerIdentity", denied);
    let home = home_at(&proxy.url()).variable("AWS_ENDPOINT_URL_SIGNIN", &server.url());
    let (running, address) = start(&home, LOGIN);
    visit(&sign_in(&address));
    failed(running.end(), 4, "InvalidClientTokenId", "", &home);
}

#[test]
fn a_port_in_use_and_a_browser_that_does_not_start_are_told() {
    let (_, server, home) = scene();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let arguments = [LOGIN, &["--redirect-port", &port]].concat();
    failed(home.run(&arguments), 1, &port, "--redirect-port", &home);
    assert_eq!(server.pages(), 0);

    let home = home.variable("BROWSER", "/no/such/browser");
    let mut running = Running::start(home.command(&["login"]));
    running.line("/no/such/browser");
    let address = running.line("/v1/authorize?");
    visit(&sign_in(&address));
    running.end().expect(0);
}

#[test]
fn a_slow_or_closed_browser_is_waited_for() {
    let (_, _, home) = scene();
    let (running, address) = start(&home, LOGIN);
    let location = sign_in(&address);
    let at = location.find("127.0.0.1").expect("on this machine");
    let callback = &location[at..][..location[at..].find('/').expect("a path")];
    let connect = || TcpStream::connect(callback).expect("it listens");
    let silent = connect();
    drop(connect());
    let mut half = connect();
    half.write_all(b"GET /oauth/call").expect("taken");
    drop(half);
    visit(&location);
    running.end().expect(0);
    drop(silent);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_wait_with_nothing_written() {
    use rustix::process::{Pid, Signal, kill_process};
    let (_, _, home) = scene();
    let (running, _) = start(&home, LOGIN);
    kill_process(Pid::from_child(running.child()), Signal::INT).expect("it runs");
    failed(running.end(), 130, "cancelled", "nothing was changed", &home);
}

#[test]
fn a_code_from_another_machine_is_read_from_standard_input() {
    let (_, server, home) = scene();
    let remote = ["login", "--remote", "--output", "json"];
    let (mut running, address) = start(&home, &remote);
    let shown = visit(&sign_in(&address)).body;
    running.write(&format!("\n  {shown}\n"));
    let ran = running.end().expect(0);
    assert_eq!(ran.json()["login_session"], server.login_session().as_str());
    assert!(!format!("{ran}").contains(&shown), "{ran}");

    let home = crate::home().variable("AWS_ENDPOINT_URL_SIGNIN", &server.url());
    for (input, code, what) in [("not a code\n", 1, "not the code"), ("", 3, "input ended")] {
        let (mut running, _) = start(&home, &remote);
        running.write(input);
        failed(running.end(), code, what, "", &home);
    }
    // Of another sign-in.
    let (mut running, _) = start(&home, &remote);
    running.write(&shown);
    failed(running.end(), 1, "belongs to another sign-in", "", &home);
}

#[test]
fn a_profile_that_gets_keys_meanwhile_is_not_changed() {
    let (_, _, home) = scene();
    let (running, address) = start(&home, LOGIN);
    let location = sign_in(&address);
    home.write(".aws/credentials", "[default]\naws_access_key_id = AKIA\n");
    visit(&location);
    let ran = running.end().expect(1);
    assert!(ran.stdout.contains("holds other credentials already"), "{ran}");
    assert_eq!(home.files(), [home.path().join(".aws/credentials")]);
}

#[test]
fn a_profile_that_aws_reads_in_quotes_is_not_hidden_behind_another_section() {
    let (account, server, home) = scene();
    let text = format!(
        "[profile \"work\"]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = us-east-1\n",
        account.bootstrap.access_key_id, account.bootstrap.secret_access_key
    );
    home.write(".aws/config", &text);
    let arguments = ["--profile", "work", "sts", "get-caller-identity", "--output", "json"];
    aws_cli::run(&home, &arguments).expect(0);
    let ran = home.run(&[LOGIN, &["--profile", "work"]].concat()).expect(1);
    assert!(ran.stdout.contains("in quotes, on line 1"), "{ran}");
    assert_eq!(server.pages(), 0);
    assert_eq!(home.read(".aws/config"), text);
    aws_cli::run(&home, &arguments).expect(0);
}

#[cfg(unix)]
#[test]
fn what_the_profile_gets_during_the_question_is_not_overwritten() {
    use crate::support::terminal::Terminal;
    let (_, server, home) = scene();
    log_in(&home, &[]);
    server.set_person("bob");
    let browser = signin::browser(&home);
    let home = home.variable("BROWSER", &browser);
    for (now, what) in [
        ("[default]\ncredential_process = x\n", "holds other credentials"),
        ("[default]\nlogin_session = arn:aws:iam::1:user/eve\n", "was changed meanwhile"),
    ] {
        let cached = std::fs::read(cache_of(&home)).expect("written");
        let before = home.read(".aws/config");
        let mut terminal = Terminal::start(&home.command(&["login"]), 200);
        terminal.wait_for("Change it to");
        home.write(".aws/config", now);
        terminal.type_text("y\r").wait_for(what);
        let (code, printed) = terminal.exit();
        assert_eq!(code, 1, "{printed}");
        assert_eq!(home.read(".aws/config"), now);
        assert_eq!(std::fs::read(cache_of(&home)).expect("there"), cached);
        home.write(".aws/config", &before);
    }
}

#[cfg(unix)]
#[test]
fn a_terminal_whose_questions_nobody_sees_is_no_place_to_type_a_code() {
    use crate::support::terminal::Terminal;
    let (_, server, home) = scene();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "exec \"$0\" login --remote 2>said"]);
    shell.arg(env!("CARGO_BIN_EXE_cloudcred"));
    home.clean(&mut shell);
    let (code, printed) = Terminal::start(&shell, 100).exit();
    assert_eq!(code, 3, "{printed}");
    let said = home.read("said");
    assert!(said.contains("--remote < FILE"), "{said}");
    assert!(!said.contains("/v1/authorize?"), "{said}");
    assert_eq!(server.pages(), 0);
}

#[test]
fn the_cache_is_never_a_folder_that_only_some_tools_find() {
    let (_, server, home) = scene();
    let home = home.variable("AWS_LOGIN_CACHE_DIRECTORY", "~/cache");
    failed(home.run(LOGIN), 1, "`~` literally", "whole path", &home);
    assert_eq!(server.pages(), 0);
}

#[test]
fn what_a_kill_left_in_the_cache_goes_with_the_next_sign_in() {
    let (_, _, home) = scene();
    let left = ".aws/login/cache/.cloudcred-AbCdEf123456.tmp";
    let young = ".aws/login/cache/.cloudcred-FeDcBa654321.tmp";
    for file in [left, young] {
        home.write(file, "a token");
    }
    let an_hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    std::fs::File::options()
        .write(true)
        .open(home.path().join(left))
        .and_then(|file| file.set_modified(an_hour_ago))
        .expect("ours");
    log_in(&home, &[]);
    assert!(!home.path().join(left).exists());
    assert!(home.path().join(young).exists(), "it may be in use");
}

#[cfg(unix)]
#[test]
fn a_pasted_code_is_not_shown() {
    use crate::support::terminal::Terminal;
    let (_, server, home) = scene();
    let mut terminal = Terminal::start(&home.command(&["login", "--remote"]), 1000);
    terminal.wait_for("not shown here");
    let screen = terminal.screen();
    let address = screen.lines().find(|line| line.contains("/v1/authorize?"));
    let shown = visit(&sign_in(address.expect("printed"))).body;
    assert!(shown.len() > 4096, "longer than a terminal's line");
    terminal.type_text(&format!("x\u{7f}{shown}\n")).wait_for("Signed in");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    assert!(!printed.contains(&shown[..40]), "{printed}");
    for secret in server.secrets() {
        assert!(!printed.contains(&secret), "{printed}");
    }
}

const STORED: &str = ".local/share/cloudcred/secrets/aws/cloudstudio-admin.json";

/// The pair works, and what led to it is written nowhere: no profile, no cache.
#[track_caller]
fn ends_with_a_pair(account: &SeededAccount, server: &SignInServer, home: &Home, printed: &str) {
    let pair = stored_pair(&home.read(STORED));
    let user = account.user("cloudstudio-admin").expect("it was created");
    assert_eq!(user.access_keys[0].0, pair.access_key_id);
    let cli = crate::home().credentials(&pair);
    aws_cli::run(&cli, &["iam", "list-users"]).expect(0);
    assert!(!home.path().join(".aws").exists());
    for secret in server.secrets().iter().chain([&pair.secret_access_key]) {
        assert!(!printed.contains(secret), "{printed}");
        let mut holding = home.files_holding(secret);
        holding.retain(|file| *file != home.path().join(STORED));
        assert!(holding.is_empty(), "{holding:?}");
    }
}

#[test]
fn one_command_leads_from_an_empty_home_to_a_stored_pair() {
    let (account, server, home) = scene();
    let setup = ["setup", "--login", "--no-browser", "--yes", "--store", "file"];
    let arguments = [&setup[..], &["--output", "json", "-vv"]].concat();
    let (running, address) = start(&home, &arguments);
    visit(&sign_in(&address));
    let ran = running.end().expect(0);
    let report = ran.json();
    assert_eq!(report["verified"], true);
    assert_eq!(report["mode"], "iam-user");
    ends_with_a_pair(&account, &server, &home, &format!("{ran}"));

    // The session is gone with the process: taking it back asks for credentials.
    let ran = home.run(&["undo", "--yes"]).expect(3);
    assert!(ran.stderr.contains("--key-stdin"), "{ran}");
    log_in(&home, &[]);
    home.run(&["undo", "--yes"]).expect(0);
    assert!(account.user("cloudstudio-admin").is_none());
}

#[test]
fn a_sign_in_that_is_given_up_makes_nothing() {
    let (account, server, home) = scene();
    server.refuse("TOKEN_EXPIRED");
    let arguments = ["setup", "--login", "--no-browser", "--yes", "--output", "json"];
    let (running, address) = start(&home, &arguments);
    visit(&sign_in(&address));
    failed(running.end(), 4, "TOKEN_EXPIRED", "", &home);
    assert_eq!(account.changing_calls(), [""; 0]);
    for other in ["--key-stdin", "--mode=existing"] {
        home.run(&["setup", "--login", other]).expect(2);
    }
    // What could not be answered afterwards is told before anybody signs in.
    for (arguments, flag) in [
        (&["setup", "--login"][..], "--yes"),
        (&["setup", "--login", "--yes", "--mode", "root"], "--acknowledge-root-risk"),
    ] {
        let ran = home.run(arguments).expect(3);
        assert!(ran.stderr.contains(flag), "{ran}");
    }
    assert_eq!(server.pages(), 1);
}

#[test]
fn the_page_and_the_cache_are_where_the_region_and_the_variable_say() {
    for (region, host) in [
        ("eu-west-1", "eu-west-1.signin.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.signin.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.signin.amazonaws-us-gov.com"),
        ("eusc-de-east-1", "eusc-de-east-1.signin.amazonaws-eusc.eu"),
    ] {
        // Nothing is asked of the network before the code is there.
        let home = Home::new(env!("CARGO_BIN_EXE_cloudcred"));
        let ran = home.run(&["login", "--remote", "--region", region]).expect(3);
        let page = format!("https://{host}/v1/authorize?");
        let redirect = format!("redirect_uri=https%3A%2F%2F{host}%2Fv1%2Fsessions%2Fconfirmation");
        assert!(ran.stderr.contains(&page) && ran.stderr.contains(&redirect), "{ran}");
    }

    let (_, server, home) = scene();
    let folder = home.path().join("elsewhere").join("deep");
    let home = home.variable("AWS_LOGIN_CACHE_DIRECTORY", folder.to_str().expect("UTF-8"));
    log_in(&home, &["--profile", "me"]);
    assert!(!home.path().join(".aws/login").exists());
    assert_eq!(std::fs::read_dir(&folder).expect("made").count(), 1);
    assert_eq!(existing(&home, "me")["arn"], server.login_session().as_str());
}

#[cfg(unix)]
#[test]
fn the_wizard_offers_the_browser_where_nothing_else_works() {
    use crate::support::terminal::{Key, Terminal};
    let (account, server, home) = scene();
    let browser = signin::browser(&home);
    let home = home.variable("BROWSER", &browser);
    let mut terminal = Terminal::start(&home.command(&["setup", "--store", "file"]), 100);
    terminal.wait_for("Use the root user's key").press(Key::Enter);
    terminal.wait_for("Paste an access key").press(Key::Enter);
    terminal.wait_for("? User name").press(Key::Enter);
    terminal.wait_for("Type one").press(Key::Enter);
    terminal.wait_for("? Describe this key").press(Key::Enter);
    terminal.wait_for("? Name of the").press(Key::Enter);
    terminal.wait_for("Go ahead?").type_text("y\r");
    terminal.wait_for("is ready.");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    ends_with_a_pair(&account, &server, &home, &printed);
}

#[test]
fn the_browser_that_a_variable_names_is_opened() {
    let (_, server, home) = scene();
    let browser = signin::browser(&home);
    let home = home.variable("BROWSER", &browser);
    let ran = home.run(&["login"]).expect(0);
    assert!(ran.stdout.contains("Signed in: profile `default`"), "{ran}");
    assert_eq!(server.pages(), 1);
}
