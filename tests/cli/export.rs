//! `export`: what it prints, real shells take for the same bytes; and nobody sees it unasked.

use std::fs;

use crate::support::home::Home;
use crate::support::moto::KeyPair;
use crate::support::terminal::Terminal;
use crate::{home, keep, made_up_pair};

fn scene() -> Home {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    home.run(&["secret", "use", "ana"]).expect(0);
    home
}

/// Puts the secret where it is kept, past cloudcred: AWS makes none like these.
fn change_from_outside(home: &Home, secret: &str) {
    let id = made_up_pair(1).access_key_id;
    let document = serde_json::json!({"access_key": id, "secret_key": secret});
    home.write(".local/share/cloudcred/secrets/aws/ana.json", &document.to_string());
}

#[test]
fn json_is_one_document_whichever_way_it_is_asked_for() {
    let home = scene();
    let pair = made_up_pair(1);
    for arguments in [
        &["export", "--format", "json"][..],
        &["export", "--output", "json"],
        &["export", "ana", "--output", "json", "--format", "json"],
    ] {
        let document = home.run(arguments).expect(0).json();
        let expected = serde_json::json!({
            "AWS_ACCESS_KEY_ID": pair.access_key_id,
            "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
        });
        assert_eq!(document, expected);
    }
    home.run(&["export", "--output", "json", "--format", "bash"]).expect(2);
    home.run(&["export", "--unset", "--format", "json"]).expect(2);
    home.run(&["export", "ana", "--unset"]).expect(2);
}

#[test]
fn a_format_that_cannot_carry_a_secret_says_so_and_prints_nothing() {
    let home = scene();
    change_from_outside(&home, "100%\"s3cr3t\"$x");
    for format in ["cmd", "dotenv"] {
        let refused = home.run(&["export", "--format", format]).expect(1);
        assert_eq!(refused.stdout, "");
        assert!(refused.stderr.contains("unchanged"), "{refused}");
        assert!(!refused.stderr.contains("s3cr3t"), "{refused}");
    }
    home.run(&["export", "--format", "powershell"]).expect(0);
}

#[test]
fn a_terminal_shows_it_only_with_force() {
    let home = scene();
    let secret = made_up_pair(1).secret_access_key;
    for format in ["bash", "fish", "cmd", "powershell", "dotenv", "json", "github"] {
        let export = ["export", "--format", format];
        let (code, printed) = Terminal::start(&home.command(&export), 100).exit();
        assert_eq!(code, 2, "{printed}");
        assert!(printed.contains("--force"), "{printed}");
        assert!(!printed.contains(&secret), "{printed}");
    }
    let forced = ["export", "--force"];
    let (code, printed) = Terminal::start(&home.command(&forced), 100).exit();
    assert_eq!(code, 0);
    assert!(printed.contains(&secret));
    let harmless = ["export", "--unset"];
    let (code, _) = Terminal::start(&home.command(&harmless), 100).exit();
    assert_eq!(code, 0);
}

#[test]
fn github_is_told_what_to_mask_before_later_steps_get_it() {
    let home = scene();
    let KeyPair { access_key_id, secret_access_key } = made_up_pair(1);
    let outside = home.run(&["export", "--format", "github"]).expect(1);
    assert!(outside.stderr.contains("GITHUB_ENV"), "{outside}");
    assert_eq!(outside.stdout, "");

    let file = home.path().join("github_env");
    let home = home.variable("GITHUB_ENV", file.to_str().expect("UTF-8"));
    let missing = home.run(&["export", "--format", "github"]).expect(1);
    assert!(missing.stderr.contains("a file of this job"), "{missing}");
    assert!(!file.exists(), "others could read it");
    fs::write(&file, "EARLIER=1").expect("writable");
    let home = home
        .variable("AWS_SESSION_TOKEN", "stale")
        .variable("AWS_PROFILE", "other")
        .variable("CI", "true");
    let ran = home.run(&["export", "--format", "github"]).expect(0);
    assert_eq!(
        ran.stdout,
        format!("::add-mask::{access_key_id}\n::add-mask::{secret_access_key}\n")
    );
    assert!(ran.stderr.contains("AWS_PROFILE is set"), "{ran}");
    assert_eq!(
        home.read("github_env"),
        format!(
            "EARLIER=1\nAWS_SESSION_TOKEN=\nAWS_ACCESS_KEY_ID={access_key_id}\nAWS_SECRET_ACCESS_KEY={secret_access_key}\n"
        )
    );

    // A value with lines of its own cannot pass for other variables.
    let before = home.read("github_env");
    change_from_outside(&home, "one\nPATH=/evil\n%");
    let ran = home.run(&["export", "--format", "github"]).expect(0);
    assert!(ran.stdout.ends_with("::add-mask::one%0APATH=/evil%0A%25\n"));
    let after = home.read("github_env");
    let added = after.strip_prefix(&before).expect("only appended");
    let (_, heredoc) = added.split_once("AWS_SECRET_ACCESS_KEY<<").expect("delimited");
    let (delimiter, rest) = heredoc.split_once('\n').expect("lines");
    assert_eq!(rest, format!("one\nPATH=/evil\n%\n{delimiter}\n"));
    assert!(delimiter.len() > 32);
}

#[cfg(target_os = "linux")]
mod shells {
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::OnceLock;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::support::process::{self, Ran};

    const LIMIT: Duration = Duration::from_secs(120);
    fn run_shell(home: &Home, shell: &str, script: &str) -> Ran {
        let mut command = Command::new(shell);
        command.args(["-c", script]);
        home.clean(&mut command);
        let program = PathBuf::from(env!("CARGO_BIN_EXE_cloudcred"));
        let folder = program.parent().expect("a folder").display();
        let path = std::env::var("PATH").expect("PATH is set");
        command.env("PATH", format!("{folder}:{path}"));
        process::run(command, None, LIMIT)
    }

    /// Secrets of every kind, the same in each run: an xorshift generator needs no seed from outside.
    struct Secrets(u64);

    impl Secrets {
        fn number(&mut self, below: u32) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as u32 % below
        }

        fn character(&mut self, kind: u32) -> char {
            const QUOTES: &[u8] = b"'\"\\`$!%^&|<>()[]{}*?#~;=: \n\r\t-";
            loop {
                let point = match kind {
                    0 => 0x20 + self.number(0x5f),
                    1 => u32::from(QUOTES[self.number(QUOTES.len() as u32) as usize]),
                    2 => 1 + self.number(0x2fff),
                    _ => 1 + self.number(0x10_fffe),
                };
                if let Some(character) = char::from_u32(point) {
                    return character;
                }
            }
        }

        fn next(&mut self) -> String {
            let kind = self.number(4);
            let length = 1 + self.number(64);
            (0..length).map(|_| self.character(kind)).collect()
        }
    }

    /// Some secrets, and a script for each format that exports and prints one after the other.
    struct Scripts {
        secrets: Vec<String>,
        bash: String,
        fish: String,
    }

    fn thousand_secrets() -> &'static [Scripts] {
        const WORKERS: usize = 4;
        static SCRIPTS: OnceLock<Vec<Scripts>> = OnceLock::new();
        SCRIPTS.get_or_init(|| {
            let mut generator = Secrets(0x2545_f491_4f6c_dd1d);
            let secrets: Vec<String> = (0..1000).map(|_| generator.next()).collect();
            thread::scope(|scope| {
                let shares = secrets.chunks(secrets.len().div_ceil(WORKERS));
                let workers: Vec<_> = shares.map(|share| scope.spawn(|| scripts(share))).collect();
                let done = workers.into_iter().map(|it| it.join().expect("no panic"));
                done.collect()
            })
        })
    }

    fn scripts(secrets: &[String]) -> Scripts {
        let home = scene();
        let mut scripts =
            Scripts { secrets: secrets.to_vec(), bash: String::new(), fish: String::new() };
        for secret in secrets {
            change_from_outside(&home, secret);
            for (format, script) in [("bash", &mut scripts.bash), ("fish", &mut scripts.fish)] {
                let printed = home.run(&["export", "--format", format]).expect(0);
                script.push_str(&printed.stdout);
                script.push_str("printenv -0 AWS_SECRET_ACCESS_KEY\n");
            }
        }
        scripts
    }

    fn gets_a_thousand_secrets_unchanged(shell: &str) {
        let home = home();
        for scripts in thousand_secrets() {
            let script = if shell == "fish" { &scripts.fish } else { &scripts.bash };
            home.write("script", script);
            let mut command = Command::new(shell);
            command.arg(home.path().join("script"));
            home.clean(&mut command);
            let ran = process::run(command, None, LIMIT).expect(0);
            let got: Vec<&str> = ran.stdout.split_terminator('\0').collect();
            assert_eq!(got, scripts.secrets, "{}", ran.stderr);
        }
    }

    fn takes_it_as_people_type_it_and_forgets_what_conflicts(shell: &str) {
        let home = scene().variable("AWS_SESSION_TOKEN", "stale").variable("AWS_PROFILE", "other");
        let secret = "it's \"$(touch x)\" `y` \\ !z\n\u{2019} ü";
        change_from_outside(&home, secret);
        let (load, unset) = if shell == "fish" {
            (
                "cloudcred export --format fish | source",
                "cloudcred export --unset --format fish | source",
            )
        } else {
            ("eval \"$(cloudcred export --format bash)\"", "eval \"$(cloudcred export --unset)\"")
        };
        let script = format!(
            "{load}\nprintenv -0 AWS_SECRET_ACCESS_KEY\nenv | grep -c '^AWS_.*\\(TOKEN\\|PROFILE\\)'\n{unset}\nenv | grep -c '^AWS_.*KEY'\ntrue"
        );
        let ran = run_shell(&home, shell, &script).expect(0);
        assert_eq!(ran.stdout, format!("{secret}\00\n0\n"), "{ran}");
        assert!(!home.path().join("x").exists(), "the shell ran it");
    }

    macro_rules! tests_of {
        ($shell:ident, $part:ident) => {
            mod $shell {
                #[test($part)]
                fn gets_a_thousand_secrets_unchanged() {
                    super::gets_a_thousand_secrets_unchanged(stringify!($shell));
                }

                #[test($part)]
                fn takes_it_as_people_type_it_and_forgets_what_conflicts() {
                    let shell = stringify!($shell);
                    super::takes_it_as_people_type_it_and_forgets_what_conflicts(shell);
                }
            }
        };
    }

    tests_of!(bash, Bash);
    tests_of!(dash, Dash);
    tests_of!(zsh, Zsh);
    tests_of!(fish, Fish);
}
