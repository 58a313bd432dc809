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
    let tool = home.variable("AWS_ACCESS_KEY_ID", "").variable("AWS_SECRET_ACCESS_KEY", "");
    let arguments = ["--profile", profile, "sts", "get-caller-identity", "--output", "json"];
    aws_cli::run(&tool, &arguments)
}

#[test]
fn a_bare_name_as_aws_config_file_lies_in_the_current_folder() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap).variable("AWS_CONFIG_FILE", "config");
    home.run(SETUP).expect(0);
    assert!(home.read("config").contains("[profile cs]"));
    home.run(&["undo", "--yes"]).expect(0);
    assert_eq!(home.read("config"), "");
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
        written.contains(&format!("\r\ncredential_process = {program} credential-process ana\r\n")),
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
    let program = program.join(if cfg!(windows) { "cloudcred.exe" } else { "cloudcred" });
    std::fs::copy(env!("CARGO_BIN_EXE_cloudcred"), &program).expect("a copy");
    let home = Home::new(&program).endpoint(&moto().url()).credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    // The SDK for Rust starts it with a shell, the AWS CLI without one.
    let checked = home.run(&["check", "--profile", "cs", "--output", "json"]).expect(0);
    assert_eq!(checked.json()["profiles"][0]["kind"], "credential_process");
    who(home, "cs").expect(0);
}

#[test]
fn somebody_elses_profile_stops_it_before_anything_is_made() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let mixed = "[default]\n[profile cs]\ncredential_process = /x/cloudcred credential-process ana\nrole_arn = arn\n";
    for (config, profile, line) in [
        ("[profile cs]\nregion = x\n", "cs", 1),
        ("# mine\n[ profile cs ]\nregion = x\n", "cs", 2),
        ("\n\n[profile \"cs\"]\nregion = x\n", "cs", 3),
        ("[default]\nregion = x\n", "default", 1),
        ("[profile a]\nregion = x\nregion = y\n", "cs", 3),
        (mixed, "cs", 2),
        ("nonsense\n", "cs", 1),
    ] {
        home.write(CONFIG, config);
        let mut arguments = SETUP.to_vec();
        arguments[9] = profile;
        let ran = home.run(&arguments).expect(1);
        let message = ran.json()["error"]["message"].to_string();
        let (path, place) = message.split_once("config").expect("the path");
        let folder = home.path().join(".aws").display().to_string();
        let folder = folder.replace('\\', "\\\\");
        assert!(path.contains(&folder), "{ran}");
        let told = place.split(['\"', ':']).find(|it| it.contains("line"));
        let told = told.map(|it| it.trim_start_matches([',', ' ']));
        assert_eq!(told, Some(format!("line {line}").as_str()), "{ran}");
        assert_eq!(home.read(CONFIG), config);
    }
    assert_eq!(account.changing_calls(), [""; 0]);
    let mut wrong = SETUP.to_vec();
    wrong[9] = "a b";
    home.run(&wrong).expect(2);
    home.run(&["setup", "--store", "stdout", "--aws-profile", "cs"]).expect(2);
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
        let words = ["secret", "use", secret, "--aws-profile", profile, "--output", "json"];
        home.run(&words).expect(code)
    };
    setup("ana");
    setup("bob");
    let taken = use_it("ana", "other", 1);
    assert!(taken.stdout.contains("config, line 5"), "{taken}");
    let list = home.run(&["secret", "list", "--output", "json"]).expect(0).json();
    assert_eq!(list["secrets"][0]["current"], false, "nothing was changed");

    let used = use_it("ana", "cloudstudio", 0).json();
    assert_eq!(used["aws_profile"], "cloudstudio");
    let written = home.read(CONFIG);
    assert!(written.starts_with(BEFORE), "{written}");
    home.run(&["secret", "use", "bob"]).expect(0);
    assert_eq!(home.read(CONFIG), written);
    let remove = |name: &str| home.run(&["secret", "remove", name, "--yes"]).expect(0);
    setup("joe");
    home.run(&["secret", "use", "joe"]).expect(0);
    let removed = remove("joe").stdout;
    assert!(removed.contains("through the AWS profile cloudstudio"), "{removed}");
    assert!(removed.contains("`cloudcred secret use NAME`"), "{removed}");
    assert_eq!(home.read(CONFIG), written, "another secret can be current");
    home.run(&["secret", "use", "bob"]).expect(0);
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

/// Keys and files alone, without AWS.
#[cfg(unix)]
mod here {
    use super::*;
    use crate::support::terminal::Terminal;
    use crate::{keep, made_up_pair};

    const JSON: &[&str] = &["--output", "json"];

    fn scene() -> Home {
        let home = home();
        for (number, name) in (1..).zip(["ana", "bob"]) {
            keep(&home, name, &made_up_pair(number));
        }
        home
    }

    fn use_ana(home: &Home, flags: &[&str], code: i32) -> Ran {
        let words = ["secret", "use", "ana", "--aws-profile", "cs"];
        home.run(&[&words[..], JSON, flags].concat()).expect(code)
    }

    #[test]
    fn a_profile_of_ours_changes_only_with_consent_and_says_so() {
        let home = scene();
        assert_eq!(use_ana(&home, &[], 0).json()["changed"], true);
        assert_eq!(use_ana(&home, &[], 0).json()["changed"], false);
        let written = home.read(CONFIG);

        let refused = use_ana(&home, &["--region", "eu-west-1"], 3);
        assert!(refused.stdout.contains("--yes"), "{refused}");
        assert!(refused.stdout.contains("in us-east-1. Change it"), "{refused}");
        assert_eq!(home.read(CONFIG), written);
        let changed = use_ana(&home, &["--region", "eu-west-1", "--yes"], 0).json();
        assert_eq!(changed["changed"], true);
        assert_eq!(home.read(CONFIG), written.replace("us-east-1", "eu-west-1"));

        let to_bob = written.replace("credential-process\n", "credential-process bob\n");
        assert_ne!(to_bob, written);
        home.write(CONFIG, &to_bob);
        let words = ["secret", "use", "ana", "--aws-profile", "cs"];
        let mut terminal = Terminal::start(&home.command(&words), 300);
        terminal.wait_for("Change it to");
        terminal.type_text("n\r");
        let (code, _) = terminal.exit();
        assert_eq!(code, 130);
        assert_eq!(home.read(CONFIG), to_bob);
        home.write(CONFIG, &written);
        use_ana(&home.variable("AWS_REGION", ""), &[], 0);
    }

    #[test]
    fn a_profile_that_is_partly_ours_is_neither_changed_nor_removed() {
        let home = scene();
        let program = env!("CARGO_BIN_EXE_cloudcred");
        let mine = format!(
            "[profile cs]\nregion = us-east-1\n# by hand\ncredential_process = {program} credential-process ana\nrole_arn = arn\nsource_profile = default\n"
        );
        home.write(CONFIG, &mine);
        let taken = use_ana(&home, &["--yes"], 1);
        assert!(taken.stdout.contains("config, line 1"), "{taken}");
        assert_eq!(home.read(CONFIG), mine);
        let words = ["secret", "remove", "ana"];
        let mut terminal = Terminal::start(&home.command(&words), 300);
        terminal.wait_for("the AWS profile that reads it (cs)");
        terminal.type_text("n\r");
        assert_eq!(terminal.exit().0, 130);
        assert_eq!(home.read(CONFIG), mine);
        home.run(&["secret", "remove", "ana", "--yes"]).expect(0);
        let line = format!("credential_process = {program} credential-process ana\n");
        assert_eq!(home.read(CONFIG), mine.replace(&line, ""));
    }

    #[cfg(target_os = "linux")]
    #[test(CCompiler)]
    fn a_profile_or_an_index_that_cannot_be_written_leaves_both_as_they_were() {
        // The index and its folder, then the profile's file and its folder.
        for (write, path) in [(1, "secrets.toml"), (2, "secrets.toml"), (3, CONFIG), (4, CONFIG)] {
            let home = scene();
            home.run(&["secret", "use", "bob"]).expect(0);
            home.write(CONFIG, BEFORE);
            let home = crate::support::fsync_fault::full_once(home, write);
            let failed = use_ana(&home, &[], 1);
            assert!(failed.stdout.contains(path), "{write}: {failed}");
            assert_eq!(home.read(CONFIG), BEFORE, "{write}");
            let home = home.variable("FSYNC_FAULT", "");
            let bob = home.run(&["export", "--output", "json"]).expect(0).json();
            let id = made_up_pair(2).access_key_id;
            assert_eq!(bob["AWS_ACCESS_KEY_ID"], id.as_str(), "{write}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test(CCompiler)]
    fn a_secret_that_is_removed_by_half_says_so_and_the_same_again_finishes() {
        let home = scene();
        let program = env!("CARGO_BIN_EXE_cloudcred");
        let config =
            format!("[profile cs]\ncredential_process = {program} credential-process ana\n");
        home.write(CONFIG, &config);
        // The third is that of the secret's folder, behind the profile's file and folder.
        let home = crate::support::fsync_fault::full_once(home, 3);
        let remove = ["secret", "remove", "ana", "--yes"];
        let half = home.run(&remove).expect(5);
        assert!(half.stderr.contains("is removed (cs)"), "{half}");
        assert_eq!(home.read(CONFIG), "");
        let home = home.variable("FSYNC_FAULT", "");
        home.run(&remove).expect(0);
        home.run(&remove).expect(1);
    }

    #[test]
    fn a_renamed_program_knows_its_profiles_again_and_writes_the_path_it_was_called_by() {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let (real, link) =
            (folder.path().join("versions/1.0/cloudcred-1.0-linux"), folder.path().join("cc"));
        std::fs::create_dir_all(real.parent().expect("a folder")).expect("a new folder");
        std::fs::copy(env!("CARGO_BIN_EXE_cloudcred"), &real).expect("a copy");
        std::os::unix::fs::symlink(&real, &link).expect("a new link");
        for program in [&real, &link] {
            let home = Home::new(program);
            keep(&home, "ana", &made_up_pair(1));
            use_ana(&home, &[], 0);
            let line = format!("= {} credential-process\n", program.display());
            assert!(home.read(CONFIG).contains(&line), "{}", home.read(CONFIG));
            assert_eq!(use_ana(&home, &[], 0).json()["changed"], false);
            use_ana(&home, &["--yes", "--region", "eu-west-1"], 0);
            home.run(&["secret", "remove", "ana", "--yes"]).expect(0);
            assert_eq!(home.read(CONFIG), "");
        }
    }

    #[test]
    fn a_region_that_is_none_reaches_no_file() {
        let home = scene();
        let evil = "x\n[profile evil]\ncredential_process = touch pwned";
        use_ana(&home, &["--region", evil], 2);
        let refused = use_ana(&home, &["--region", "eu west"], 2);
        assert!(refused.stdout.contains("--region"), "{refused}");
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            let home = scene().variable("AWS_REGION", "").variable(name, evil);
            let refused = use_ana(&home, &[], 1);
            assert!(refused.stdout.contains(name), "{refused}");
            assert!(!home.path().join(CONFIG).exists());
            let refused = home.run(&["check"]).expect(1);
            assert!(refused.stderr.contains(name), "{refused}");
        }
    }
}

#[test]
fn undo_says_which_profiles_read_a_secret_that_is_gone() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    home.run(&["secret", "use", "ana", "--aws-profile", "mine"]).expect(0);
    let undone = home.run(&["undo", "--yes"]).expect(0);
    assert!(undone.stderr.contains("a secret that is gone: mine"), "{undone}");
    assert!(!home.read(CONFIG).contains("[profile cs]"));
}
