//! The sandbox: any cloudcred command against an IAM server of its own, in a throw-away home.
//! Nothing real is read or changed.

// The harness is shared with the tests; neither uses all of it.
#[allow(dead_code)]
#[allow(clippy::disallowed_methods)] // the rule is the program's; a harness has no Env
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::Command;

use support::home::Home;
use support::moto::{ADMINISTRATOR_ACCESS, Moto};
use support::process;

const ACCOUNT: &str = "111122223333";

#[allow(clippy::print_stderr, clippy::disallowed_methods)] // a program of its own
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        eprintln!(
            "usage: cargo run --example sandbox -- setup    (or any other cloudcred command)"
        );
        return 2.into();
    }
    let program = build();
    let moto = Moto::start();
    let account = moto.account(ACCOUNT);
    account.create_user("ana");
    account.attach_policy("ana", ADMINISTRATOR_ACCESS);
    let key = account.create_access_key("ana");
    let ana = account.user("ana").expect("just created");
    account.create_role("ci", &ana.arn, ADMINISTRATOR_ACCESS);
    let home = Home::new(program).endpoint(&moto.url());
    home.write(
        ".aws/credentials",
        &format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n\n\
             [old]\naws_access_key_id = AKIAOLDOLDOLDOLDOLD0\n\
             aws_secret_access_key = {}\n",
            key.access_key_id,
            key.secret_access_key,
            "x".repeat(40)
        ),
    );
    home.write(
        ".aws/config",
        &format!(
            "[default]\nregion = us-east-1\n\n\
             [profile ci]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/ci\nsource_profile = default\n\n\
             [profile client-x]\nsso_session = client\nsso_account_id = {ACCOUNT}\nsso_role_name = Admin\n\n\
             [sso-session client]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n"
        ),
    );
    eprintln!(
        "Sandbox: an IAM server on this machine and a home folder that is thrown away.\n\
         Nothing real is touched: no AWS account, none of your files.\n"
    );
    // Ctrl-C is the program's to answer; it reaches both, and only the program may end by it.
    ctrlc::set_handler(|| {}).expect("no other handler is set");
    let status = home
        .command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        .status();
    let code = status.map_or(1, process::exit_code);

    eprintln!("\nWhat IAM now holds, in account {ACCOUNT}:");
    for (name, user) in account.users() {
        let password = if user.has_login_profile() {
            "with"
        } else {
            "without"
        };
        eprintln!("  user {name}, {password} a console password");
        user.attached_policies
            .iter()
            .for_each(|policy| eprintln!("    policy  {policy}"));
        user.access_keys
            .iter()
            .for_each(|(id, status)| eprintln!("    key     {id} {status}"));
        user.tags
            .iter()
            .for_each(|(key, value)| eprintln!("    tag     {key} = {value}"));
    }
    eprintln!("What the throw-away home held:");
    for file in home.files() {
        let relative = file.strip_prefix(home.path()).unwrap_or(&file);
        eprintln!("  {}", relative.display());
    }
    u8::try_from(code).unwrap_or(1).into()
}

/// The real program, built beside this example. cargo is quiet where there is nothing to do.
#[allow(clippy::disallowed_methods)] // a program of its own
fn build() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program is known");
    let folder = own
        .ancestors()
        .nth(2)
        .expect("an example lies two folders deep")
        .to_owned();
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--quiet", "--bin", "cloudcred"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command
        .status()
        .expect("cargo started this example, so it can be started");
    assert!(
        status.success(),
        "cargo could not build cloudcred; its message is above"
    );
    folder.join(format!("cloudcred{}", std::env::consts::EXE_SUFFIX))
}
