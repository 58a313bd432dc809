//! IAM as it is: eventually consistent. For some seconds after a change, each request may meet a server
//! that knows of it or one that does not; now and then one is behind with something older.
//!
//! Which request is answered from where depends on the seed, the action and how often it was asked for,
//! and not on the order in which different requests arrive.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::proxy::{
    Effect, Request, Upstream, aws_error, caller_identity, edited, head_and_body, status,
};
use super::random::Random;

/// How stale it is, in percent of the requests.
#[derive(Clone, Copy, Debug)]
pub struct Staleness {
    /// Of the requests about something that has changed less than `window` ago.
    pub fresh: u64,
    /// Of all requests.
    pub old: u64,
    /// At most so long; it must be less than a careful client waits.
    pub window: Duration,
}

/// The server behind a layer of stale replicas.
pub struct StaleIam {
    server: String,
    seed: u64,
    staleness: Staleness,
    /// The account whose root user every key belongs to, where that is so.
    root: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: BTreeMap<String, u32>,
    changes: BTreeMap<Thing, Change>,
    /// The last answers that are given again once their things are gone.
    answers: BTreeMap<Thing, Vec<u8>>,
    is_calm: bool,
}

/// Something that comes and goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Thing {
    User(String),
    LoginProfile(String),
    Tags(String),
    Key(String),
    Policy(String, String),
    /// Who a key belongs to, as STS tells it.
    Caller(String),
}

struct Change {
    is_there: bool,
    settled: Instant,
    /// The element in a list, for a thing that is listed.
    element: String,
}

impl StaleIam {
    pub fn new(server: &str, seed: u64, staleness: Staleness) -> StaleIam {
        StaleIam { server: server.to_owned(), seed, staleness, root: None, state: Mutex::default() }
    }

    /// In which every key is the root user's.
    pub fn of_root(self, account_id: &str) -> StaleIam {
        let root = Some(account_id.to_owned());
        StaleIam { root, ..self }
    }

    /// From now on it is consistent.
    pub fn calm(&self) {
        self.state().is_calm = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    fn question<'a>(&'a self, request: &'a Request) -> Question<'a> {
        let action = request.action();
        let mut state = self.state();
        let asked = state.asked.entry(action.clone()).or_default();
        *asked += 1;
        let random = Random::about(self.seed, &action, *asked);
        drop(state);
        Question {
            iam: self,
            request,
            // A key call without a user's name is about the caller.
            user: request.field("UserName").unwrap_or_default(),
            action,
            random,
        }
    }

    fn forward(&self, request: &Request) -> io::Result<Vec<u8>> {
        let answer = request.forward(&self.server)?;
        match &self.root {
            Some(account) if request.action() == "GetCallerIdentity" && is_accepted(&answer) => {
                let arn = format!("arn:aws:iam::{account}:root");
                Ok(bytes(caller_identity(account, &arn, account)))
            }
            _ => Ok(answer),
        }
    }
}

impl Upstream for StaleIam {
    fn answer(&self, request: &Request) -> io::Result<Vec<u8>> {
        self.question(request).answer()
    }
}

/// One request, and its luck.
struct Question<'a> {
    iam: &'a StaleIam,
    request: &'a Request,
    action: String,
    user: String,
    random: Random,
}

impl Question<'_> {
    fn answer(mut self) -> io::Result<Vec<u8>> {
        if let Some(answer) = self.stale_answer() {
            return Ok(answer);
        }
        let answer = self.iam.forward(self.request)?;
        if !is_accepted(&answer) {
            return Ok(answer);
        }
        self.note(&answer);
        Ok(self.without_the_news(answer))
    }

    /// Whether the server that answers this request has not heard of the change yet.
    fn is_stale(&mut self, thing: &Thing, is_there: bool) -> bool {
        let staleness = self.iam.staleness;
        let state = self.iam.state();
        if state.is_calm {
            return false;
        }
        let change = state.changes.get(thing);
        let is_fresh =
            change.is_some_and(|it| it.is_there == is_there && Instant::now() < it.settled);
        let is_changed_otherwise = change.is_some_and(|it| it.is_there != is_there);
        drop(state);
        if is_fresh {
            self.random.chance(staleness.fresh)
        } else {
            // Nothing that is gone for long comes back.
            is_there && !is_changed_otherwise && self.random.chance(staleness.old)
        }
    }

    /// A server that knows less gives this answer, and the change that is asked for is not made.
    fn stale_answer(&mut self) -> Option<Vec<u8>> {
        let signer = signer(self.request);
        let caller = Thing::Caller(signer.clone());
        let key = Thing::Key(signer);
        if self.is_fresh(&key) && self.is_stale(&key, true) {
            let message = "The security token included in the request is invalid.";
            return Some(refusal(403, "InvalidClientTokenId", message));
        }
        if self.action == "GetCallerIdentity" && self.is_stale(&key, false) {
            return self.earlier(&caller);
        }
        let user = Thing::User(self.user.clone());
        let login_profile = Thing::LoginProfile(self.user.clone());
        let policy = self.policy();
        let named_key = Thing::Key(self.request.field("AccessKeyId").unwrap_or_default());
        let is_about_user = !self.user.is_empty() && self.action != "CreateUser";
        if is_about_user && self.is_stale(&user, true) {
            return Some(no_such_entity("The user with that name cannot be found."));
        }
        let action = self.action.clone();
        match action.as_str() {
            "GetUser" if self.is_stale(&user, false) => self.earlier(&user),
            "CreateUser" if self.is_stale(&user, false) => Some(already_exists()),
            "GetLoginProfile" if self.is_stale(&login_profile, false) => {
                self.earlier(&login_profile)
            }
            "CreateLoginProfile" if self.is_stale(&login_profile, false) => Some(already_exists()),
            "GetLoginProfile" | "UpdateLoginProfile" | "DeleteLoginProfile"
                if self.is_stale(&login_profile, true) =>
            {
                Some(no_such_entity("Login Profile for that user cannot be found."))
            }
            "DetachUserPolicy" if self.is_stale(&policy, true) => {
                Some(no_such_entity("Policy was not found."))
            }
            "DeleteAccessKey" | "UpdateAccessKey" | "GetAccessKeyLastUsed"
                if self.is_stale(&named_key, true) =>
            {
                Some(no_such_entity("The Access Key cannot be found."))
            }
            "DeleteUser" if self.has_lost_something() => Some(refusal(
                409,
                "DeleteConflict",
                "Cannot delete entity, must delete access keys first.",
            )),
            _ => None,
        }
    }

    fn is_fresh(&self, thing: &Thing) -> bool {
        let state = self.iam.state();
        let change = state.changes.get(thing);
        change.is_some_and(|it| it.is_there && Instant::now() < it.settled)
    }

    fn policy(&self) -> Thing {
        let arn = self.request.field("PolicyArn").unwrap_or_default();
        Thing::Policy(self.user.clone(), arn)
    }

    fn earlier(&self, thing: &Thing) -> Option<Vec<u8>> {
        self.iam.state().answers.get(thing).cloned()
    }

    /// Whether something of the user's was deleted that this server still sees.
    fn has_lost_something(&mut self) -> bool {
        let state = self.iam.state();
        let now = Instant::now();
        let is_lost = |(thing, change): (&Thing, &Change)| {
            matches!(thing, Thing::Key(_) | Thing::Policy(..) | Thing::LoginProfile(_))
                && !change.is_there
                && now < change.settled
        };
        let any = !state.is_calm && state.changes.iter().any(is_lost);
        drop(state);
        any && self.random.chance(self.iam.staleness.fresh)
    }

    /// Remembers what the accepted request has changed, and what it said of what there is.
    fn note(&mut self, answer: &[u8]) {
        let text = text(answer);
        let user = self.user.clone();
        let action = self.action.clone();
        match action.as_str() {
            "CreateUser" => {
                self.changed(Thing::User(user.clone()), true, "");
                self.changed(Thing::Tags(user), true, "");
            }
            "DeleteUser" => self.changed(Thing::User(user), false, ""),
            "TagUser" => self.changed(Thing::Tags(user), true, ""),
            "CreateLoginProfile" => self.changed(Thing::LoginProfile(user), true, ""),
            "DeleteLoginProfile" => self.changed(Thing::LoginProfile(user), false, ""),
            "AttachUserPolicy" => self.changed(self.policy(), true, ""),
            "DetachUserPolicy" => self.changed(self.policy(), false, ""),
            "CreateAccessKey" => {
                let id = element(&text, "AccessKeyId").unwrap_or_default();
                self.changed(Thing::Key(id), true, "");
            }
            "DeleteAccessKey" => {
                let id = self.request.field("AccessKeyId").unwrap_or_default();
                self.changed(Thing::Key(id), false, "");
            }
            "GetUser" => self.remember(Thing::User(user), answer),
            "GetLoginProfile" => self.remember(Thing::LoginProfile(user), answer),
            "GetCallerIdentity" => self.remember(Thing::Caller(signer(self.request)), answer),
            "ListAccessKeys" => {
                self.remember_elements(&text, |it| Some(Thing::Key(element(it, "AccessKeyId")?)))
            }
            "ListAttachedUserPolicies" => self.remember_elements(&text, |it| {
                Some(Thing::Policy(user.clone(), element(it, "PolicyArn")?))
            }),
            _ => {}
        }
    }

    fn changed(&mut self, thing: Thing, is_there: bool, element: &str) {
        let window = self.iam.staleness.window.as_millis().max(1) as u64;
        let settles_in = Duration::from_millis(self.random.below(window));
        let mut state = self.iam.state();
        let known = state.changes.remove(&thing).map(|it| it.element);
        let change = Change {
            is_there,
            settled: Instant::now() + settles_in,
            element: known.unwrap_or_else(|| element.to_owned()),
        };
        state.changes.insert(thing, change);
    }

    fn remember(&self, thing: Thing, answer: &[u8]) {
        self.iam.state().answers.insert(thing, answer.to_owned());
    }

    fn remember_elements(&self, text: &str, thing: impl Fn(&str) -> Option<Thing>) {
        let mut state = self.iam.state();
        for member in members(text) {
            let Some(thing) = thing(member) else { continue };
            let change = state.changes.entry(thing).or_insert_with(|| Change {
                is_there: true,
                settled: Instant::now(),
                element: String::new(),
            });
            member.clone_into(&mut change.element);
        }
    }

    /// A list without what is new or with what is gone; a user without its tags, or no user at all.
    fn without_the_news(&mut self, answer: Vec<u8>) -> Vec<u8> {
        let action = self.action.clone();
        match action.as_str() {
            "ListAccessKeys" => self
                .edit_list(&answer, "AccessKeyMetadata", |thing, _| matches!(thing, Thing::Key(_))),
            "ListAttachedUserPolicies" => self.edit_list(
                &answer,
                "AttachedPolicies",
                |thing, user| matches!(thing, Thing::Policy(of, _) if of == user),
            ),
            "GetUser" | "ListUserTags" if self.is_stale(&Thing::Tags(self.user.clone()), true) => {
                let lost =
                    if action == "GetUser" && self.random.chance(30) { "User" } else { "Tags" };
                edited(&answer, |body| without_element(body, lost))
            }
            "GetAccessKeyLastUsed" if self.random.chance(self.iam.staleness.fresh) => {
                edited(&answer, |body| without_element(body, "LastUsedDate"))
            }
            _ => answer,
        }
    }

    fn edit_list(
        &mut self,
        answer: &[u8],
        list: &str,
        is_listed: impl Fn(&Thing, &str) -> bool,
    ) -> Vec<u8> {
        let state = self.iam.state();
        let things = state.changes.iter();
        let known: Vec<(Thing, bool, String)> = things
            .filter(|(thing, change)| is_listed(thing, &self.user) && !change.element.is_empty())
            .map(|(thing, change)| (thing.clone(), change.is_there, change.element.clone()))
            .collect();
        drop(state);
        edited(answer, |body| {
            let mut body = body.to_owned();
            for (thing, is_there, element) in known {
                if !self.is_stale(&thing, is_there) {
                    continue;
                }
                let member = format!("<member>{element}</member>");
                if is_there {
                    body = body.replace(&member, "");
                } else if !body.contains(&member) {
                    let end = format!("</{list}>");
                    body = body.replace(&format!("<{list}/>"), &format!("<{list}>{end}"));
                    body = body.replace(&end, &format!("{member}{end}"));
                }
            }
            body
        })
    }
}

fn is_accepted(answer: &[u8]) -> bool {
    status(answer) == Some(200)
}

/// The ID of the key that signed it.
fn signer(request: &Request) -> String {
    let authorization = request.header("authorization").unwrap_or_default();
    let credential = authorization.split_once("Credential=");
    let id = credential.and_then(|(_, rest)| rest.split('/').next());
    id.unwrap_or_default().to_owned()
}

fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(head_and_body(answer).1).into_owned()
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

pub fn without_element(xml: &str, name: &str) -> String {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    match (xml.find(&start), xml.rfind(&end)) {
        (Some(from), Some(to)) => format!("{}{}", &xml[..from], &xml[to + end.len()..]),
        _ => xml.to_owned(),
    }
}

fn members(xml: &str) -> impl Iterator<Item = &str> {
    let rest = xml.split("<member>").skip(1);
    rest.filter_map(|member| Some(member.split_once("</member>")?.0))
}

fn bytes(effect: Effect) -> Vec<u8> {
    match effect {
        Effect::Answer(answer) => answer.to_http().into_bytes(),
        _ => unreachable!("only answers are given here"),
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Vec<u8> {
    bytes(aws_error(status, code, message))
}

fn no_such_entity(message: &str) -> Vec<u8> {
    refusal(404, "NoSuchEntity", message)
}

fn already_exists() -> Vec<u8> {
    refusal(409, "EntityAlreadyExists", "It exists already.")
}
