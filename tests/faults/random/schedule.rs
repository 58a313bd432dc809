//! What happens in one schedule, all of it drawn from its seed.

use std::time::Duration;

use crate::support::proxy::{Effect, aws_error};
use crate::support::random::Random;
use crate::support::stale::Staleness;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    NewUser,
    Reuse,
    Root,
}

/// Something that belongs to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    Key,
    /// The policy that the run attaches, too.
    SamePolicy,
    OtherPolicy,
    LoginProfile,
    InlinePolicy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Setup,
    Resume,
    Undo,
}

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Lost,
    Cut(usize),
    Reset,
    /// The answer takes so many seconds.
    AnswerAfter(u64),
    /// The connection is cut, and the request arrives so many seconds later.
    ArrivesAfter(u64),
    Throttled,
    Unavailable,
    Denied,
    NoSuchEntity,
}

impl Fault {
    fn random(random: &mut Random) -> Fault {
        match random.below(20) {
            0..=4 => Fault::Lost,
            5..=6 => Fault::Cut(*random.pick(&[0, 5, 30, 45, 60, 75, 90, 99])),
            7..=8 => Fault::Reset,
            9..=10 => Fault::AnswerAfter(*random.pick(&[3, 12, 20, 22])),
            11..=13 => Fault::ArrivesAfter(1 + random.below(4)),
            14 => Fault::Throttled,
            15 => Fault::Unavailable,
            16 => Fault::Denied,
            _ => Fault::NoSuchEntity,
        }
    }

    pub fn effect(self) -> Effect {
        match self {
            Fault::Lost => Effect::DropReply,
            Fault::Cut(percentage) => Effect::CutClean(percentage),
            Fault::Reset => Effect::Reset,
            Fault::AnswerAfter(seconds) => Effect::AnswerAfter(Duration::from_secs(seconds)),
            Fault::ArrivesAfter(seconds) => Effect::Late(Duration::from_secs(seconds)),
            Fault::Throttled => aws_error(400, "Throttling", "Rate exceeded"),
            Fault::Unavailable => aws_error(503, "ServiceUnavailable", "later"),
            Fault::Denied => aws_error(403, "AccessDenied", "not you"),
            Fault::NoSuchEntity => aws_error(404, "NoSuchEntity", "It cannot be found."),
        }
    }
}

/// At which of the stage's requests for an action.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub action: &'static str,
    pub call: u32,
}

#[derive(Clone, Copy, Debug)]
pub enum Kill {
    AtWrite(usize),
    AfterMilliseconds(u64),
}

/// One command, and what it meets.
#[derive(Debug)]
pub struct Stage {
    pub verb: Verb,
    pub faults: Vec<(At, Fault)>,
    pub colleague: Option<(At, Foreign)>,
    pub kill: Option<Kill>,
    /// By how many seconds this machine's clock is wrong.
    pub clock: i64,
}

#[derive(Debug)]
pub struct Schedule {
    pub seed: u64,
    pub mode: Mode,
    pub has_console_password: bool,
    pub before: Vec<Foreign>,
    pub staleness: Staleness,
    pub stages: Vec<Stage>,
    /// What finishes it, once all is well.
    pub last: Verb,
}

const CHANGES: &[&str] = &[
    "CreateUser",
    "AttachUserPolicy",
    "CreateLoginProfile",
    "CreateAccessKey",
    "CreateAccessKey",
    "CreateAccessKey",
    "TagUser",
];
const REMOVALS: &[&str] = &[
    "DeleteAccessKey",
    "DeleteAccessKey",
    "DetachUserPolicy",
    "DeleteLoginProfile",
    "UntagUser",
    "DeleteUser",
];
const READS: &[&str] = &[
    "GetUser",
    "GetUser",
    "ListAccessKeys",
    "ListAccessKeys",
    "GetAccessKeyLastUsed",
    "GetCallerIdentity",
    "GetLoginProfile",
    "ListAttachedUserPolicies",
];

impl Schedule {
    pub fn new(seed: u64) -> Schedule {
        let random = &mut Random::about(seed, "schedule", 0);
        let mode =
            *random.pick(&[Mode::NewUser, Mode::NewUser, Mode::Reuse, Mode::Reuse, Mode::Root]);
        let before = if mode == Mode::Reuse {
            let all = [
                Foreign::Key,
                Foreign::SamePolicy,
                Foreign::OtherPolicy,
                Foreign::LoginProfile,
                Foreign::InlinePolicy,
            ];
            all.into_iter().filter(|_| random.chance(40)).collect()
        } else {
            Vec::new()
        };
        let mut stages = vec![stage(random, Verb::Setup, mode)];
        while random.chance(45) && stages.len() < 3 {
            let verb = *random.pick(&[Verb::Resume, Verb::Undo]);
            stages.push(stage(random, verb, mode));
        }
        Schedule {
            seed,
            mode,
            has_console_password: mode != Mode::Root && random.chance(40),
            before,
            staleness: Staleness {
                fresh: *random.pick(&[0, 30, 60, 80]),
                old: *random.pick(&[0, 2, 5]),
                window: Duration::from_secs(*random.pick(&[2, 5, 8])),
            },
            stages,
            last: *random.pick(&[Verb::Resume, Verb::Undo]),
        }
    }
}

fn stage(random: &mut Random, verb: Verb, mode: Mode) -> Stage {
    let faults = (0..random.below(5)).map(|_| {
        let fault = Fault::random(random);
        (at(random, verb), fault)
    });
    let faults = faults.collect();
    let colleague = (mode == Mode::Reuse && random.chance(35)).then(|| {
        let foreign = *random.pick(&[
            Foreign::Key,
            Foreign::Key,
            Foreign::SamePolicy,
            Foreign::OtherPolicy,
            Foreign::LoginProfile,
        ]);
        (at(random, verb), foreign)
    });
    // Whoever attached a policy that the run was about to attach, or to detach, can be proven by nothing.
    let colleague = match colleague {
        Some((_, Foreign::SamePolicy)) if verb != Verb::Setup => None,
        Some((at, Foreign::SamePolicy)) => {
            let action = "ListAttachedUserPolicies";
            Some((At { action, ..at }, Foreign::SamePolicy))
        }
        other => other,
    };
    let kill = random.chance(35).then(|| match random.chance(70) {
        true => Kill::AtWrite(1 + random.below(34) as usize),
        false => Kill::AfterMilliseconds(200 + random.below(6000)),
    });
    let clock = match random.below(10) {
        0 => 7200,
        1 => -7200,
        2 => 90,
        3 => -90,
        _ => 0,
    };
    Stage { verb, faults, colleague, kill, clock }
}

fn at(random: &mut Random, verb: Verb) -> At {
    let actions = match (verb, random.below(10)) {
        (_, 0..=3) => READS,
        (Verb::Undo, _) | (_, 4) => REMOVALS,
        _ => CHANGES,
    };
    let call = *random.pick(&[1, 1, 1, 2, 2, 3]);
    At { action: random.pick::<&str>(actions), call }
}
