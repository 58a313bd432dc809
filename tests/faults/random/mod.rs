//! Random schedules: a run meets stale reads, lost, late and cut answers, kills, a wrong clock and a
//! colleague at work, and is resumed or undone. Whatever happens, what was promised is so.
//!
//! `cargo test` runs a few that are always the same. `CLOUDCRED_SCHEDULES=400 cargo test --test faults
//! random` runs as many new ones, and `CLOUDCRED_SEED=17` one of them again.

mod schedule;
mod world;

use std::panic::{self, AssertUnwindSafe};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::runner::Test;
use crate::support::parts::Part;

use schedule::Schedule;
use world::World;

const USUAL: u64 = 12;

/// How many schedules run at a time where many are asked for: they mostly wait.
pub fn at_a_time() -> Option<usize> {
    number("CLOUDCRED_SCHEDULES").map(|_| 28)
}

pub fn tests() -> Vec<Test> {
    let seeds = match (number("CLOUDCRED_SEED"), number("CLOUDCRED_SCHEDULES")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let first = now.expect("it is later than 1970").as_secs() * 1000;
            first..first + count
        }
        (None, None) => 1..USUAL + 1,
    };
    seeds.map(test).collect()
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

fn test(seed: u64) -> Test {
    Test::new(format!("random::seed_{seed}"), move || {
        let schedule = Schedule::new(seed);
        let ran = panic::catch_unwind(AssertUnwindSafe(|| run(&schedule)));
        let why = match ran {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or(panic.downcast_ref::<&str>().copied());
                text.unwrap_or("a thread panicked").to_owned()
            }
        };
        panic!(
            "{why}\n\n{schedule:#?}\n\nTo run it again:\n    CLOUDCRED_SEED={seed} cargo test --test faults random"
        );
    })
    .needs(&[Part::CCompiler])
}

fn run(schedule: &Schedule) -> Result<(), String> {
    let mut world = World::new(schedule);
    for stage in &schedule.stages {
        world.run(stage)?;
    }
    world.end()
}
