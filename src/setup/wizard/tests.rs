//! Who asks what: each test is a strict script, in which an unexpected question fails.

use std::cell::RefCell;

use super::*;
use crate::aws::account::PasswordPolicy;
use crate::aws::credential::{Credential, Source};
use crate::aws::mfa::MfaRole;
use crate::aws::partition::Partition;
use crate::cli::{IfExists, ModeChoice, PasswordChoice, Setup, StoreChoice};
use crate::error::{Error, Kind, Result};
use crate::prompt::script::Answer::{Default as Enter, Password, Paste, Pick, Type};
use crate::prompt::script::Script;
use crate::prompt::{Prompt, Unattended};
use crate::secret::KeyPair;
use crate::setup::request::{IamUserRequest, Request};
use crate::store::StoreKind;
use crate::store::index::Index;

const ANA: &str = "arn:aws:iam::111122223333:user/ana";
const ROOT: &str = "arn:aws:iam::111122223333:root";

fn profile(name: &str, arn: &str) -> Credential {
    Credential::for_tests(Source::Profile(name.into()), arn)
}

fn pair(id: &str) -> KeyPair {
    KeyPair::new(id, "secret".into())
}

struct Machine {
    credentials: Vec<Credential>,
    attended: bool,
    keyring: bool,
    opened: RefCell<Vec<String>>,
    mfa_roles: Vec<MfaRole>,
    refused_by_tools: bool,
}

impl Machine {
    fn with(credentials: Vec<Credential>) -> Self {
        Machine {
            credentials,
            attended: true,
            keyring: true,
            opened: RefCell::default(),
            mfa_roles: Vec::new(),
            refused_by_tools: false,
        }
    }

    fn complete(&self, flags: Setup, prompt: &mut dyn Prompt) -> Result<Request> {
        self.complete_with(Piped::default(), flags, prompt)
    }

    fn complete_with(
        &self,
        piped: Piped,
        flags: Setup,
        prompt: &mut dyn Prompt,
    ) -> Result<Request> {
        let mut wizard = Wizard {
            flags,
            piped,
            credentials: &self.credentials,
            mfa_roles: &self.mfa_roles,
            index: &Index::default(),
            host_name: Some("laptop"),
            credentials_are_named: false,
            attended: self.attended,
            console: Partition::of_region("us-east-1"),
            lookups: self,
            prompt,
        };
        wizard.complete()
    }
}

impl Lookups for Machine {
    fn check_pair(&self, pair: &KeyPair) -> Result<Credential> {
        let whose = match pair.access_key_id.as_str() {
            "AKIAROOT" => ROOT,
            _ => ANA,
        };
        Ok(Credential::for_tests(Source::Given, whose))
    }

    fn sign_in(&self) -> Result<Credential> {
        Ok(profile("signed-in", ANA))
    }

    fn assume_with_mfa(&self, role: &MfaRole, _: &mut dyn Prompt) -> Result<Credential> {
        Ok(profile(&role.profile, ANA))
    }

    fn open(&self, address: &str) -> Result<()> {
        self.opened.borrow_mut().push(address.to_owned());
        Ok(())
    }

    fn password_policy(&self, _: &Credential) -> Result<Option<PasswordPolicy>> {
        Ok(None)
    }

    fn refusal_of_tools(&self, _: &Credential) -> Option<Error> {
        self.refused_by_tools.then(|| Error::answer_needed("a working file", "--mode"))
    }

    fn keyring_trouble(&self) -> Result<Option<String>> {
        Ok((!self.keyring).then(|| "no keyring answers".to_owned()))
    }
}

fn iam_user(request: Result<Request>) -> Box<IamUserRequest> {
    match request {
        Ok(Request::IamUser(request)) => request,
        Ok(_) => panic!("another mode"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_the_tools_cannot_use_is_not_left_in_place() {
    let mut machine = Machine::with(vec![profile("default", ANA)]);
    machine.refused_by_tools = true;
    machine.attended = false;
    let flags = || Setup { mode: ModeChoice::Existing, ..Setup::default() };
    for flags in [Setup::default(), flags()] {
        let error = machine.complete(flags, &mut Unattended).map(drop).expect_err("refused");
        assert_eq!(error.kind, Kind::AnswerNeeded);
    }
    machine.refused_by_tools = false;
    machine.complete(flags(), &mut Unattended).map(drop).expect("kept");
}

#[test]
fn every_open_question_is_asked_once_with_a_default() {
    let machine = Machine::with(vec![profile("default", ANA)]);
    let mut script = Script::new([
        ("--mode", Pick("Create an IAM user")),
        ("--profile", Enter),
        ("--user-name", Enter),
        ("--console-password", Enter),
        ("--key-description", Enter),
        ("--secret", Enter),
        ("--store", Enter),
    ]);
    let request = iam_user(machine.complete(Setup::default(), &mut script));
    script.finish();
    assert_eq!(request.user_name, "cloudstudio-admin");
    assert_eq!(request.key_description.as_deref(), Some("CloudStudio on laptop"));
    assert_eq!(request.policy_arns, ["arn:aws:iam::aws:policy/AdministratorAccess"]);
    assert_eq!(request.target.secret.as_str(), "cloudstudio-admin");
    assert_eq!(request.target.store, Some(StoreKind::Keyring));
    assert!(request.target.make_current);
}

#[test]
fn what_flags_answer_is_not_asked() {
    let machine = Machine::with(vec![profile("default", ANA)]);
    let flags = Setup {
        mode: ModeChoice::IamUser,
        user_name: Some("ci".into()),
        console_password: Some(PasswordChoice::Generate),
        key_description: Some("mine".into()),
        if_exists: Some(IfExists::Reuse),
        secret: Some("prod".into()),
        store: Some(StoreChoice::File),
        ..Setup::default()
    };
    let piped = Piped { pair: Some(pair("AKIAANA")), password: None };
    let mut script = Script::new([]);
    let request = iam_user(machine.complete_with(piped, flags, &mut script));
    assert!(request.console_password.is_generated());
    assert_eq!(request.bootstrap.source, Source::Given);
    assert_eq!(request.target.secret.as_str(), "prod");
}

#[test]
fn without_a_keyring_a_file_is_a_choice_and_never_a_fallback() {
    let flags = || Setup {
        mode: ModeChoice::IamUser,
        user_name: Some("ci".into()),
        console_password: Some(PasswordChoice::None),
        key_description: Some("mine".into()),
        secret: Some("prod".into()),
        ..Setup::default()
    };
    let mut machine = Machine::with(vec![profile("default", ANA)]);
    machine.keyring = false;
    let mut script = Script::new([("--profile", Enter), ("--store", Pick("A private file"))]);
    let request = iam_user(machine.complete(flags(), &mut script));
    assert_eq!(request.target.store, Some(StoreKind::File));
    assert!(script.told[0].contains("no keyring answers"));

    machine.attended = false;
    let error = machine.complete(flags(), &mut Unattended).err().expect("no store");
    assert!(error.hint.is_some_and(|hint| hint.contains("--store file")));
}

#[test]
fn who_has_nothing_may_sign_in() {
    let machine = Machine::with(Vec::new());
    let flags = Setup {
        user_name: Some("ci".into()),
        console_password: Some(PasswordChoice::None),
        key_description: Some("mine".into()),
        secret: Some("prod".into()),
        store: Some(StoreChoice::File),
        ..Setup::default()
    };
    let mut script = Script::new([("--mode", Pick("Create an IAM user")), ("--login", Enter)]);
    let request = iam_user(machine.complete(flags, &mut script));
    script.finish();
    assert_eq!(request.bootstrap.source, Source::Profile("signed-in".into()));
}

#[test]
fn a_root_key_is_never_offered_to_stay_and_leads_to_a_user() {
    let machine = Machine::with(vec![profile("default", ROOT)]);
    let mut script = Script::new([
        ("--mode", Pick("Use the root user's key")),
        ("--mode", Pick("Create an IAM user with it")),
        ("--user-name", Enter),
        ("--console-password", Enter),
        ("--key-description", Enter),
        ("--retire-root-key", Enter),
        ("--secret", Enter),
        ("--store", Enter),
    ]);
    let request = iam_user(machine.complete(Setup::default(), &mut script));
    script.finish();
    assert_eq!(request.bootstrap.source, Source::Profile("default".into()));
    assert_eq!(request.retire.as_deref(), Some("AKIAIOSFODNN7EXAMPLE"));
}

#[test]
fn a_root_key_is_retired_only_for_an_administrator_whose_pair_is_kept() {
    let flags = |policy: &str| Setup {
        mode: ModeChoice::IamUser,
        policy_arns: vec![policy.into()],
        retire_root_key: true,
        store: Some(StoreChoice::File),
        ..Setup::default()
    };
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    let mut root = Machine::with(vec![profile("default", ROOT)]);
    root.attended = false;
    let request = iam_user(root.complete(flags(admin), &mut Unattended));
    assert!(request.retire.is_some());
    let mut ana = Machine::with(vec![profile("default", ANA)]);
    ana.attended = false;
    let reader = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    for (machine, policy, what) in
        [(&root, reader, "no administrator"), (&ana, admin, "not created with a root key")]
    {
        let error = machine.complete(flags(policy), &mut Unattended).err();
        let error = error.expect("refused");
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.message.contains(what), "{error}");
    }
}

#[test]
fn root_mode_acknowledges_then_pastes_and_takes_only_root() {
    let flags =
        || Setup { mode: ModeChoice::Root, store: Some(StoreChoice::File), ..Setup::default() };
    let machine = Machine::with(Vec::new());
    let mut script = Script::new([
        ("--acknowledge-root-risk", Type("use root")),
        ("--key-stdin", Pick("Paste it")),
        ("--key-stdin", Paste(pair("AKIAANA"))),
        ("--key-stdin", Paste(pair("AKIAROOT"))),
        ("--secret", Enter),
    ]);
    let request = machine.complete(flags(), &mut script).expect("it is root's");
    script.finish();
    assert!(script.told[1].contains("user/ana in 111122223333"), "{:?}", script.told);
    assert!(matches!(request, Request::Root(request) if request.target.secret.as_str() == "root"));
}

#[test]
fn a_typed_password_is_checked_before_the_next_question() {
    let machine = Machine::with(vec![profile("default", ANA)]);
    let flags =
        Setup { mode: ModeChoice::IamUser, user_name: Some("ci".into()), ..Setup::default() };
    let mut script = Script::new([
        ("--profile", Enter),
        ("--console-password", Pick("Type one")),
        ("--console-password generate", Password("short")),
    ]);
    let error = machine.complete(flags, &mut script).err().expect("too short");
    assert!(error.message.contains("at least 8 characters"), "{error}");
}

#[test]
fn nobody_is_asked_for_what_has_no_default() {
    let mut machine = Machine::with(vec![profile("default", ANA)]);
    machine.attended = false;
    let request = machine.complete(Setup::default(), &mut Unattended);
    assert!(matches!(request, Ok(Request::Existing { .. })), "what works stays");

    let nothing = Machine { attended: false, ..Machine::with(Vec::new()) };
    let error = nothing.complete(Setup::default(), &mut Unattended).err();
    let error = error.expect("an answer is needed");
    assert_eq!(error.kind, Kind::AnswerNeeded);
    assert!(error.hint.is_some_and(|hint| hint.contains("--mode")));

    let flags =
        Setup { mode: ModeChoice::Root, store: Some(StoreChoice::File), ..Setup::default() };
    let error = nothing.complete(flags, &mut Unattended).err().expect("unanswered");
    assert!(error.hint.is_some_and(|hint| hint.contains("--acknowledge-root-risk")));
}

#[test]
fn the_console_leads_to_a_users_key_that_is_kept_as_it_is() {
    let machine = Machine::with(Vec::new());
    let flags = Setup { store: Some(StoreChoice::File), ..Setup::default() };
    let mut script = Script::new([
        ("--mode", Pick("Create an IAM user")),
        ("--login", Pick("Make one in the AWS console")),
        ("--key-stdin", Pick("A new IAM user's")),
        // The first page, then the second, then the paste: each is the next default.
        ("--no-browser", Enter),
        ("--no-browser", Enter),
        ("--no-browser", Enter),
        ("--key-stdin", Paste(pair("AKIAROOT"))),
        ("--key-stdin", Paste(pair("AKIAANA"))),
        ("--secret", Enter),
    ]);
    let request = iam_user(machine.complete(flags, &mut script));
    script.finish();
    let create = "https://console.aws.amazon.com/iam/home#/users/create";
    let user = "https://console.aws.amazon.com/iam/home#/users/details/cloudstudio-admin?section=security_credentials";
    assert_eq!(*machine.opened.borrow(), [create, user]);
    let steps = &script.told[1];
    assert!(steps.contains(create) && steps.contains(user), "{steps}");
    assert!(steps.contains("\n8. Copy both"), "{steps}");
    let wrong = &script.told[2];
    assert!(wrong.contains("this is not an IAM user's key"), "{wrong}");
    assert_eq!(request.user_name, "ana");
    assert_eq!(request.target.secret.as_str(), "ana");
    assert_eq!(request.key_description, None);
    assert!(request.own_key.is_some());
}

#[test]
fn the_console_leads_to_a_root_key_and_another_account_is_told() {
    let mut other = profile("default", "arn:aws:iam::999988887777:user/ana");
    other.state = crate::aws::credential::State::Works(crate::aws::identity::Identity::new(
        "999988887777",
        "arn:aws:iam::999988887777:user/ana",
    ));
    let machine = Machine::with(vec![other]);
    let flags = Setup {
        mode: ModeChoice::Root,
        acknowledge_root_risk: true,
        store: Some(StoreChoice::File),
        ..Setup::default()
    };
    let mut script = Script::new([
        ("--key-stdin", Pick("Make one in the AWS console")),
        ("--no-browser", Pick("Paste the key")),
        ("--key-stdin", Paste(pair("AKIAANA"))),
        ("--key-stdin", Paste(pair("AKIAROOT"))),
        ("--secret", Enter),
    ]);
    let request = machine.complete(flags, &mut script);
    script.finish();
    assert!(matches!(request, Ok(Request::Root(_))));
    assert!(machine.opened.borrow().is_empty(), "nobody asked for it");
    assert!(script.told[0].contains("4. Copy both"), "{:?}", script.told);
    assert!(script.told[1].contains("not the root user's"));
    assert!(script.told[2].contains("another account"), "{:?}", script.told);
}
