//! What is planned for which request and facts.

use super::*;
use crate::aws::account::AccessKey;
use crate::aws::credential::Source;
use crate::aws_profile;
use crate::error::Kind;
use crate::secret::KeyPair;
use crate::setup::facts::Verdict;
use crate::setup::steps::WriteAwsProfile;
use crate::store::SecretName;

const CALLER: &str = "arn:aws-cn:iam::111122223333:user/boss";
const ADMINISTRATOR_ACCESS: &str = "arn:aws-cn:iam::aws:policy/AdministratorAccess";

fn request() -> IamUserRequest {
    IamUserRequest {
        bootstrap: Credential::for_tests(Source::Environment, CALLER),
        user_name: "ana".into(),
        policy_arns: vec![ADMINISTRATOR_ACCESS.into()],
        permissions_boundary: None,
        tags: vec![("team".into(), "data".into())],
        console_password: ConsolePassword::None,
        key_description: Some("test".into()),
        own_key: None,
        retire: None,
        if_exists: None,
        target: target(),
    }
}

fn target() -> SecretTarget {
    SecretTarget {
        secret: SecretName::new("ana").expect("valid"),
        store: Some(StoreKind::File),
        make_current: true,
        aws_profile: None,
        replace: false,
    }
}

fn facts() -> Facts {
    Facts {
        now: "2026-11-24T15:42:00Z".parse().expect("a time"),
        user: UserFact::Absent,
        password_policy: None,
        stored: None,
        secret_is_current: false,
        aws_profile: None,
        warnings: Vec::new(),
    }
}

fn user(keys: &[&str]) -> User {
    User {
        arn: "arn:aws-cn:iam::111122223333:user/team/ana".into(),
        access_keys: keys
            .iter()
            .map(|id| AccessKey {
                id: id.to_string(),
                active: true,
                created_at: Some("2026-10-01T00:00:00Z".parse().expect("a time")),
            })
            .collect(),
        policy_arns: vec![ADMINISTRATOR_ACCESS.into()],
        has_login_profile: false,
        permissions_boundary: None,
    }
}

fn stored(id: &str, verdict: Verdict) -> Stored {
    Stored {
        store: StoreKind::File,
        access_key_id: Some(id.into()),
        identity: Some(Identity::new("111122223333", "arn:aws-cn:iam::111122223333:user/ana")),
        verdict,
        is_reusable: false,
    }
}

fn reusable(id: &str, verdict: Verdict) -> Stored {
    Stored { is_reusable: true, ..stored(id, verdict) }
}

fn planned(request: IamUserRequest, facts: &Facts) -> Result<Plan> {
    plan(&Request::IamUser(Box::new(request)), facts, "run-1")
}

fn names(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(Step::name).collect()
}

#[test]
fn a_new_user_is_planned_in_the_callers_partition_with_our_tags() {
    let plan = planned(request(), &facts()).expect("nothing is in the way");
    assert_eq!(
        names(&plan),
        [
            "create_user",
            "attach_policy",
            "create_access_key",
            "describe_access_key",
            "verify",
            "set_current"
        ]
    );
    assert_eq!(plan.goal.arn, "arn:aws-cn:iam::111122223333:user/ana");
    let Step::CreateUser(CreateUser { tags, .. }) = &plan.steps[0] else {
        panic!("{:?}", plan.steps[0]);
    };
    let keys: Vec<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["team", "created-by", RUN_TAG]);
    assert_eq!(tags[2].1, "run-1");
}

#[test]
fn what_is_there_and_works_needs_no_step() {
    let mut request = request();
    request.if_exists = Some(IfExists::Reuse);
    let facts = Facts {
        user: UserFact::Present(user(&["AKIA1"])),
        stored: Some(reusable("AKIA1", Verdict::Works)),
        secret_is_current: true,
        ..facts()
    };
    let plan = planned(request, &facts).expect("reuse");
    assert!(plan.steps.is_empty(), "{:?}", plan.steps);
    assert_eq!(plan.goal.access_key_id.as_deref(), Some("AKIA1"));
    assert_eq!(plan.goal.arn, "arn:aws-cn:iam::111122223333:user/team/ana");
}

#[test]
fn a_stored_key_that_the_user_no_longer_has_is_replaced() {
    let mut request = request();
    request.if_exists = Some(IfExists::Reuse);
    let facts = Facts {
        user: UserFact::Present(user(&["AKIA2"])),
        stored: Some(reusable("AKIA1", Verdict::UnknownKey)),
        ..facts()
    };
    let plan = planned(request, &facts).expect("reuse");
    let Step::CreateAccessKey(CreateAccessKey { known_key_ids, .. }) = &plan.steps[0] else {
        panic!("{:?}", plan.steps);
    };
    assert_eq!(known_key_ids, &["AKIA2"]);
}

#[test]
fn a_stored_key_that_is_only_too_new_or_inactive_is_not_given_up_unasked() {
    for (active, what, hint) in
        [(true, "as active, but STS", "wait a moment"), (false, "is inactive", "--status Active")]
    {
        let reuse = |replace| {
            let mut request = request();
            request.if_exists = Some(IfExists::Reuse);
            request.target.replace = replace;
            request
        };
        let mut user = user(&["AKIA1"]);
        user.access_keys[0].active = active;
        let with = |verdict| Facts {
            user: UserFact::Present(user.clone()),
            stored: Some(reusable("AKIA1", verdict)),
            ..facts()
        };
        let error = planned(reuse(false), &with(Verdict::UnknownKey)).expect_err("kept");
        assert_eq!(error.kind, Kind::Failed);
        assert!(error.message.contains(what), "{error}");
        assert!(error.hint.is_some_and(|it| it.contains(hint)));
        // What the wrong secret opens, nothing does.
        planned(reuse(false), &with(Verdict::WrongSecret)).expect("worthless");
        planned(reuse(true), &with(Verdict::UnknownKey)).expect("the user said so");
    }
}

#[test]
fn two_keys_are_named_with_their_age() {
    let mut request = request();
    request.if_exists = Some(IfExists::Reuse);
    let facts = Facts { user: UserFact::Present(user(&["AKIA1", "AKIA2"])), ..facts() };
    let error = planned(request, &facts).expect_err("no room");
    assert_eq!(error.kind, Kind::Failed);
    assert!(error.message.contains("AKIA2 (54 days old)"), "{error}");
}

#[test]
fn a_taken_name_is_left_alone_unless_its_owner_is_the_same() {
    let taken = Facts { stored: Some(stored("AKIA1", Verdict::Works)), ..facts() };
    planned(request(), &taken).expect_err("somebody's");
    let mut agreed = request();
    agreed.target.replace = true;
    planned(agreed, &taken).expect("the user said so");
    let mut elsewhere = request();
    elsewhere.target.replace = true;
    elsewhere.target.store = Some(StoreKind::Keyring);
    let error = planned(elsewhere, &taken).expect_err("two of one name");
    assert!(error.hint.is_some_and(|hint| hint.contains("--store file")));
}

#[test]
fn a_printed_key_is_proven_before_it_is_printed() {
    let mut request = request();
    request.target.store = None;
    request.target.make_current = false;
    let plan = planned(request, &facts()).expect("nothing is in the way");
    assert_eq!(names(&plan).last().expect("steps"), "verify");
    assert!(plan.goal.prints && plan.goal.secret.is_none());
}

#[test]
fn a_password_is_checked_before_the_user_is_made() {
    let mut request = request();
    request.console_password = ConsolePassword::Given("short".into());
    let facts = Facts { password_policy: Some(Default::default()), ..facts() };
    let error = planned(request, &facts).expect_err("too short");
    assert!(error.message.contains("at least 8 characters"), "{error}");
}

#[test]
fn the_root_users_key_is_stored_once() {
    let root = "arn:aws:iam::111122223333:root";
    let request = |if_exists| {
        Request::Root(RootRequest {
            pair: Some(KeyPair::new("AKIA1", "secret".into())),
            checked: Credential::for_tests(Source::Given, root),
            unused: Vec::new(),
            if_exists,
            target: target(),
        })
    };
    let plan_of = |request: &Request, facts: &Facts| plan(request, facts, "run-1");
    let first = plan_of(&request(None), &facts()).expect("free");
    assert_eq!(names(&first), ["store_secret", "set_current"]);
    let again = Facts {
        stored: Some(reusable("AKIA1", Verdict::Works)),
        secret_is_current: true,
        ..facts()
    };
    let again = plan_of(&request(Some(IfExists::Reuse)), &again).expect("the same");
    assert!(again.steps.is_empty());
}

#[test]
fn an_aws_profile_is_written_last_and_never_over_somebody_elses() {
    let program = std::path::Path::new("/usr/bin/cloudcred");
    let profile = aws_profile::AwsProfile::new("cs", program, Some(&target().secret), None);
    let profile = profile.expect("valid");
    let with = |replaces| {
        let (profile, made) = (profile.clone(), Default::default());
        Facts { aws_profile: Some(WriteAwsProfile { profile, replaces, made }), ..facts() }
    };
    let free = planned(request(), &with(None)).expect("free");
    assert_eq!(names(&free).last().expect("steps"), "write_aws_profile");
    assert_eq!(free.goal.aws_profile.as_deref(), Some("cs"));
    let there = planned(request(), &with(Some(profile.clone()))).expect("ours");
    assert!(!names(&there).contains(&"write_aws_profile".to_owned()));
    let anywhere =
        Some(aws_profile::AwsProfile { region: Some("eu-west-1".to_owned()), ..profile.clone() });
    let there = planned(request(), &with(anywhere)).expect("ours");
    assert!(!names(&there).contains(&"write_aws_profile".to_owned()));
    let other = aws_profile::AwsProfile::new("cs", program, None, None).expect("valid");
    let changed = planned(request(), &with(Some(other))).expect("ours");
    let step = changed.steps.last().expect("the profile's");
    let (_, shown) = step.described();
    assert!(shown.ends_with("in place of `/usr/bin/cloudcred credential-process`"), "{shown}");
    assert!(step.replaces());
}

#[test]
fn a_key_that_the_user_has_already_is_kept_instead_of_a_new_one() {
    let mut request = request();
    request.if_exists = Some(IfExists::Reuse);
    request.own_key = Some(KeyPair::new("AKIAOWN", "secret".into()));
    request.key_description = None;
    let mut facts = facts();
    facts.user = UserFact::Present(user(&["AKIAOTHER", "AKIAOWN"]));
    let plan = planned(request, &facts).expect("two keys are no obstacle");
    assert_eq!(names(&plan), ["store_secret", "verify", "set_current"]);
    assert_eq!(plan.goal.access_key_id.as_deref(), Some("AKIAOWN"));
}

#[test]
fn root_makes_a_new_key_where_none_is_given_and_there_is_room() {
    let request = |if_exists| {
        Request::Root(RootRequest {
            pair: None,
            checked: Credential::for_tests(Source::Environment, "arn:aws:iam::111122223333:root"),
            unused: Vec::new(),
            if_exists,
            target: target(),
        })
    };
    let facts_with = |keys: &[&str]| Facts { user: UserFact::Present(user(keys)), ..facts() };
    let plan_of = |if_exists, facts: &Facts| plan(&request(if_exists), facts, "run-1");
    let new = plan_of(None, &facts_with(&["AKIA1"])).expect("there is room");
    assert_eq!(names(&new), ["create_access_key", "verify", "set_current"]);
    assert!(new.needs_consent());
    let error = plan_of(None, &facts_with(&["AKIA1", "AKIA2"])).expect_err("no room");
    assert!(error.message.contains("the root user has two"), "{error}");
    let stored = Facts {
        stored: Some(reusable("AKIA2", Verdict::Works)),
        secret_is_current: true,
        ..facts_with(&["AKIA1", "AKIA2"])
    };
    let reused = plan_of(Some(IfExists::Reuse), &stored).expect("it works");
    assert!(reused.steps.is_empty());
    assert_eq!(reused.goal.access_key_id.as_deref(), Some("AKIA2"));
}

#[test]
fn a_root_key_is_retired_behind_the_checkpoint_between_two_proofs() {
    let mut request = request();
    request.retire = Some("AKIAROOT".into());
    let plan = planned(request, &facts()).expect("nothing is in the way");
    let checkpoint = plan.checkpoint.expect("what is before it stays");
    assert_eq!(names(&plan)[checkpoint - 1], "set_current");
    assert_eq!(names(&plan)[checkpoint..], ["verify", "deactivate_root_key", "verify"]);
}
