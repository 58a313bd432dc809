//! `--aws-profile`: AWS's tools read the secret through a profile, and nothing else in the files moves.

use crate::support::aws_cli;
use crate::support::home::Home;
use crate::support::process::Ran;
use crate::{home, moto, stored_pair};

const SETUP: &[&str] = &[
    "setup",
    "--yes",
    "--mode",
    "iam-user",
    "--user-name",
    "ana",
    "--store",
    "file",
    "--aws-profile",
    "cs",
    "--output",
    "json",
];
const CONFIG: &str = ".aws/config";
const BEFORE: &str =
    "# mine\r\n[default]\r\nregion   = eu-west-1 ; here\r\n\r\n[ profile other ]\r\noutput = json";

fn who(home: Home, profile: &str) -> Ran {
    let tool = home
        .variable("AWS_ACCESS_KEY_ID", "")
        .variable("AWS_SECRET_ACCESS_KEY", "");
    let arguments = [
        "--profile",
        profile,
        "sts",
        "get-caller-identity",
        "--output",
        "json",
    ];
    aws_cli::run(&tool, &arguments)
}

#[test]
fn the_aws_cli_reads_the_secret_through_it_and_undo_leaves_no_trace() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.write(CONFIG, BEFORE);
    let report = home.run(SETUP).expect(0).json();
    assert_eq!(report["aws_profile"], "cs");
    let written = home.read(CONFIG);
    assert!(written.starts_with(BEFORE), "{written}");
    let program = env!("CARGO_BIN_EXE_cloudcred");
    assert!(
        written.contains(&format!(
            "\r\ncredential_process = {program} credential-process ana\r\n"
        )),
        "{written}"
    );
    assert!(written.contains("\r\nregion = us-east-1"), "{written}");
    assert_eq!(
        home.files_holding(
            stored_pair(&home.read(".local/share/cloudcred/secrets/aws/ana.json"))
                .secret_access_key
        )
        .len(),
        1
    );

    let again = [SETUP, &["--if-exists", "reuse"]].concat();
    assert_eq!(home.run(&again).expect(0).json()["changed"], false);
    assert_eq!(home.read(CONFIG), written);

    home.run(&["undo", "--yes"]).expect(0);
    assert_eq!(home.read(CONFIG), BEFORE);
    home.run(SETUP).expect(0);
    let ran = who(home, "cs").expect(0).json();
    assert_eq!(ran["Arn"], format!("arn:aws:iam::{}:user/ana", account.id));
}

#[test]
fn a_program_in_a_folder_with_a_space_is_found() {
    let account = moto().seeded_account();
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let program = folder.path().join("my tools $x");
    std::fs::create_dir(&program).expect("a new folder");
    let program = program.join(if cfg!(windows) {
        "cloudcred.exe"
    } else {
        "cloudcred"
    });
    std::fs::copy(env!("CARGO_BIN_EXE_cloudcred"), &program).expect("a copy");
    let home = Home::new(&program)
        .endpoint(&moto().url())
        .credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    // The SDK for Rust starts it with a shell, the AWS CLI without one.
    let checked = home
        .run(&["check", "--profile", "cs", "--output", "json"])
        .expect(0);
    assert_eq!(checked.json()["profiles"][0]["kind"], "credential_process");
    who(home, "cs").expect(0);
}

#[test]
fn somebody_elses_profile_stops_it_before_anything_is_made() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    for (config, profile) in [
        ("[profile cs]\nregion = x\n", "cs"),
        ("[ profile cs ]\nregion = x\n", "cs"),
        ("[profile \"cs\"]\nregion = x\n", "cs"),
        ("[default]\nregion = x\n", "default"),
        ("[profile a]\nregion = x\nregion = y\n", "cs"),
        ("nonsense\n", "cs"),
    ] {
        home.write(CONFIG, config);
        let mut arguments = SETUP.to_vec();
        arguments[9] = profile;
        let ran = home.run(&arguments).expect(1);
        assert!(ran.stdout.contains("line"), "{ran}");
        assert_eq!(home.read(CONFIG), config);
    }
    assert_eq!(account.changing_calls(), [""; 0]);
    let mut wrong = SETUP.to_vec();
    wrong[9] = "a b";
    home.run(&wrong).expect(2);
    home.run(&["setup", "--store", "stdout", "--aws-profile", "cs"])
        .expect(2);
}

#[test]
fn the_default_profile_is_taken_where_there_is_none() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let mut arguments = SETUP.to_vec();
    arguments[9] = "default";
    home.run(&arguments).expect(0);
    assert!(home.read(CONFIG).contains("[default]"));
    who(home, "default").expect(0);
}

#[cfg(unix)]
#[test]
fn links_modes_and_folders_stay_as_they_are() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let mode = |path: &str| {
        let metadata = std::fs::metadata(home.path().join(path)).expect("there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode(".aws"), mode(CONFIG)), (0o700, 0o600));
    home.run(&["undo", "--yes"]).expect(0);

    // A dotfile manager's link, first to a file that is not there yet.
    let link = home.path().join(CONFIG);
    std::fs::remove_file(&link).expect("empty by now");
    std::fs::create_dir(home.path().join("dotfiles")).expect("a new folder");
    symlink("../dotfiles/aws", &link).expect("a new link");
    home.run(SETUP).expect(0);
    let real = home.path().join("dotfiles/aws");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).expect("ours");
    home.run(&["undo", "--yes"]).expect(0);
    home.run(SETUP).expect(0);
    assert!(link.is_symlink());
    assert_eq!(mode("dotfiles/aws"), 0o640);
    assert!(home.read("dotfiles/aws").contains("[profile cs]"));
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_anything_is_made() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.write(".aws", "");
    let ran = home.run(SETUP).expect(1);
    assert!(ran.stdout.contains(".aws"), "{ran}");
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[test]
fn a_profile_reads_whichever_secret_is_current_and_goes_with_it() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.write(CONFIG, BEFORE);
    let setup = |user: &str| {
        let words = ["setup", "--yes", "--mode", "iam-user", "--store", "file"];
        let user = ["--no-current", "--user-name", user];
        home.run(&[&words[..], &user].concat()).expect(0);
    };
    let use_it = |secret: &str, profile: &str, code| {
        let words = [
            "secret",
            "use",
            secret,
            "--aws-profile",
            profile,
            "--output",
            "json",
        ];
        home.run(&words).expect(code)
    };
    setup("ana");
    setup("bob");
    let taken = use_it("ana", "other", 1);
    assert!(taken.stdout.contains("config, line 5"), "{taken}");
    let list = home
        .run(&["secret", "list", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(list["secrets"][0]["current"], false, "nothing was changed");

    let used = use_it("ana", "cloudstudio", 0).json();
    assert_eq!(used["aws_profile"], "cloudstudio");
    let written = home.read(CONFIG);
    assert!(written.starts_with(BEFORE), "{written}");
    home.run(&["secret", "use", "bob"]).expect(0);
    assert_eq!(home.read(CONFIG), written);
    let remove = |name: &str| home.run(&["secret", "remove", name, "--yes"]).expect(0);
    remove("ana");
    assert_eq!(home.read(CONFIG), written);
    let removed = remove("bob");
    assert!(removed.stdout.contains("cloudstudio"), "{removed}");
    assert_eq!(home.read(CONFIG), BEFORE);
    setup("eve");
    use_it("eve", "cloudstudio", 0);
    let arn = who(home, "cloudstudio").expect(0).json()["Arn"].to_string();
    assert!(arn.contains("user/eve"), "{arn}");
}

#[test]
fn a_profile_follows_its_secret_to_another_name() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    home.run(&["secret", "rename", "ana", "eve"]).expect(0);
    assert!(home.read(CONFIG).contains("credential-process eve\n"));
    home.run(&["secret", "remove", "eve", "--yes"]).expect(0);
    assert_eq!(home.read(CONFIG), "");
}
