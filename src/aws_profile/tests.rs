//! What is written, what stays, and what goes, in files of a throw-away folder.

use super::*;

const PROGRAM: &str = "/usr/bin/cloudcred";

struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Home(tempfile::tempdir().expect("a temporary folder"));
        std::fs::write(home.locations().config, config).expect("writable");
        home
    }

    fn locations(&self) -> Locations {
        Locations {
            config: self.0.path().join("config"),
            credentials: self.0.path().join("credentials"),
        }
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.locations().config).expect("there")
    }

    fn env(&self) -> Env {
        let Locations { config, credentials } = self.locations();
        let [config, credentials] = [&config, &credentials].map(|it| it.to_str().expect("UTF-8"));
        Env::for_tests(&[("AWS_CONFIG_FILE", config), ("AWS_SHARED_CREDENTIALS_FILE", credentials)])
    }

    fn write(&self, profile: &AwsProfile, replaces: Option<&AwsProfile>) -> Result<bool> {
        profile.write(&self.locations(), replaces)
    }

    fn existing(&self, wanted: &AwsProfile) -> Option<AwsProfile> {
        wanted.existing(&self.locations()).expect("sound")
    }

    fn forget(&self, name: &str, going: fn(Readers) -> Vec<String>) -> Vec<String> {
        forget(&self.env(), &secret(name), going).expect("writable")
    }
}

fn secret(name: &str) -> SecretName {
    SecretName::new(name).expect("valid")
}

fn profile(name: &str, of: Option<&str>) -> AwsProfile {
    let secret = of.map(secret);
    AwsProfile::new(name, Path::new(PROGRAM), secret.as_ref(), Some("eu-west-1".into()))
        .expect("valid")
}

#[test]
fn a_key_gives_way_to_the_secret_and_nothing_else_does() {
    let of_key = "aws_access_key_id = AKIAOLD\naws_secret_access_key = s\n";
    let config = format!("# mine\n[profile a]\nregion = x ; near\n{of_key}output = json\n");
    let credentials = format!("; theirs\n[b]\n{of_key}# last\n[c]\naws_access_key_id = AKIANEW\n");
    let home = Home::new(&config);
    let locations = home.locations();
    std::fs::write(&locations.credentials, &credentials).expect("writable");
    let [a, b, c] = ["a", "b", "c"].map(|name| profile(name, Some("ana")));
    let take = |profile: &AwsProfile| profile.take_place_of_key(&locations, "AKIAOLD");
    assert!(take(&a).expect("writable"));
    let process = format!("credential_process = {}\n", a.process);
    let changed = config.replace(of_key, "") + &process;
    assert_eq!(home.config(), changed);
    assert!(take(&b).expect("writable"));
    // Once more, and of a key that is another one by now.
    for profile in [&a, &b, &c] {
        assert!(!take(profile).expect("writable"), "{}", profile.name);
    }
    assert!(home.config().starts_with(&changed), "{}", home.config());
    assert!(home.config().contains(&format!("[profile b]\n{process}")));
    let left = std::fs::read_to_string(&locations.credentials).expect("there");
    assert_eq!(left, credentials.replacen(of_key, "", 1));
}

#[test]
fn a_profile_is_written_changed_and_taken_back_without_a_trace() {
    let before = "# mine\n[default]\nregion = x\n\n[profile other]\nk = v";
    let home = Home::new(before);
    let locations = home.locations();
    let first = profile("cs", Some("ana"));
    assert!(home.write(&first, None).expect("free"));
    assert_eq!(home.existing(&first), Some(first.clone()));
    let written = home.config();
    assert!(written.starts_with(before), "{written}");
    assert!(!home.write(&first, None).expect("the same again"));
    let anywhere = AwsProfile { region: None, ..first.clone() };
    assert!(!home.write(&anywhere, None).expect("any region is right"));
    assert_eq!(home.config(), written);

    let second = profile("cs", None);
    let refused = home.write(&second, None).expect_err("not agreed to");
    assert!(refused.message.contains("meanwhile"), "{refused}");
    assert_eq!(home.config(), written);
    assert!(home.write(&second, Some(&first)).expect("ours"));
    second.take_back(&locations, Some(&first)).expect("writable");
    assert_eq!(home.config(), written);
    second.take_back(&locations, None).expect("no longer there");
    assert_eq!(home.config(), written);
    first.take_back(&locations, None).expect("writable");
    assert_eq!(home.config(), before);
}

#[test]
fn somebody_elses_profile_is_never_touched() {
    let mixed = format!(
        "[profile cs]\ncredential_process = {PROGRAM} credential-process ana\nregion = eu-west-1\n\
         role_arn = arn:aws:iam::111122223333:role/x\nsource_profile = default\n"
    );
    for config in [
        "[profile cs]\nregion = x\n",
        "[profile \"cs\"]\n",
        "[ profile cs ]\ncredential_process = other\n",
        &mixed,
    ] {
        let home = Home::new(config);
        let ours = profile("cs", Some("ana"));
        ours.existing(&home.locations()).expect_err("taken");
        for replaces in [None, Some(&ours)] {
            let refused = home.write(&profile("cs", None), replaces);
            assert!(refused.expect_err("taken").message.contains("line 1"));
            assert_eq!(home.config(), config);
        }
    }
    let home = Home::new("");
    std::fs::write(home.locations().credentials, "[cs]\n").expect("writable");
    let refused = home.write(&profile("cs", None), None).expect_err("taken");
    assert!(refused.message.contains("credentials, line 1"), "{refused}");
    let home = Home::new("[profile a]\nbroken\n");
    let refused = home.write(&profile("cs", None), None).expect_err("broken");
    assert!(refused.message.contains("line 2"), "{refused}");
}

#[test]
fn what_reads_a_removed_secret_goes_with_it() {
    let before = "[profile other]\ncredential_process = /usr/bin/other credential-process ana\n";
    let home = Home::new(before);
    for profile in
        [profile("one", Some("ana")), profile("two", Some("bob")), profile("three", None)]
    {
        home.write(&profile, None).expect("free");
    }
    let of_bob = readers(&home.env(), &secret("bob")).expect("readable");
    assert_eq!(of_bob.by_its_name, ["two"]);
    assert_eq!(of_bob.as_current, ["three"]);
    let (ana, eve) = (secret("ana"), secret("eve"));
    follow(&home.env(), &ana, &eve).expect("writable");
    let followed = profile("one", Some("eve"));
    assert_eq!(home.existing(&followed), Some(followed));
    assert_eq!(home.forget("EVE", |it| it.by_its_name), ["one"]);
    assert_eq!(home.forget("bob", |it| [it.by_its_name, it.as_current].concat()), ["two", "three"]);
    assert_eq!(home.config(), before);
}

#[test]
fn keys_and_comments_that_somebody_added_to_ours_stay() {
    let home = Home::new("");
    let locations = home.locations();
    let ours = profile("cs", None);
    home.write(&ours, None).expect("free");
    let text = home.config() + "output = json\n";
    std::fs::write(&locations.config, &text).expect("writable");
    ours.take_back(&locations, None).expect("writable");
    assert!(home.config().contains("output = json"));
    assert!(!home.config().contains("credential_process"));

    let config = format!(
        "[profile mine]\nrole_arn = arn\ncredential_process = {PROGRAM} credential-process ana\n  # about it\n# and more\noutput = json\n"
    );
    let home = Home::new(&config);
    assert_eq!(home.forget("ana", |it| it.by_its_name), ["mine"]);
    assert_eq!(
        home.config(),
        "[profile mine]\nrole_arn = arn\n# about it\n# and more\noutput = json\n"
    );
}

#[test]
fn a_region_that_is_none_is_refused() {
    for region in ["x\n[profile evil]", "a b", "", "a # b", "ü"] {
        let refused = AwsProfile::new("cs", Path::new(PROGRAM), None, Some(region.to_owned()));
        assert!(refused.is_err(), "{region:?}");
    }
}

#[cfg(unix)]
#[test]
fn paths_are_quoted_for_shells_and_for_botocore_alike() {
    let cases = [
        ("/usr/bin/cloudcred", Some("/usr/bin/cloudcred")),
        ("/home/José/bin/cloudcred", Some("/home/José/bin/cloudcred")),
        ("/a b/cloudcred", Some("\"/a b/cloudcred\"")),
        ("/it's/cloudcred", Some("\"/it's/cloudcred\"")),
        ("/$HOME/cloudcred", Some("'/$HOME/cloudcred'")),
        ("/a`b \\c/cloudcred", Some("'/a`b \\c/cloudcred'")),
        ("/it's $5/cloudcred", None),
        ("/a #b/cloudcred", None),
        ("/a\nb/cloudcred", None),
    ];
    for (path, expected) in cases {
        assert_eq!(quoted(Path::new(path)).ok().as_deref(), expected, "{path}");
    }
}

#[test]
fn a_process_of_ours_is_recognised_wherever_the_program_lay() {
    let own = "\"/opt/my tools/cloudcred-1.0-linux\"";
    for ours in [
        "/usr/bin/cloudcred credential-process ana",
        "\"/a b/cloudcred\" credential-process ana",
        "\"C:\\Program Files\\CloudCred.EXE\" credential-process ana",
        "\"/opt/my tools/cloudcred-1.0-linux\" credential-process ana",
    ] {
        let call = Call::ours(ours, own).expect(ours);
        assert_eq!(call.secret, Some("ana"), "{ours}");
    }
    let current = Call::read("/x/cloudcred credential-process").expect("of our form");
    assert_eq!(current.secret, None);
    let eve = SecretName::new("eve").expect("valid");
    assert_eq!(calling(current.program, Some(&eve)), "/x/cloudcred credential-process eve");
    for other in [
        "/usr/bin/other credential-process ana",
        "/opt/cloudcred-1.0-linux credential-process ana",
        "cloudcred export ana",
        "/x/cloudcredcredential-process",
        "",
    ] {
        assert!(Call::ours(other, own).is_none(), "{other}");
    }
}
