//! `cloudcred secret list`: what the index knows. Opens no store, so it takes a few milliseconds.

use jiff::Timestamp;
use serde_json::json;

use crate::commands::context::Context;
use crate::commands::secret::answer::{answer, listed, whose};
use crate::error::Result;
use crate::output::table;
use crate::store::index::{Entry, Index};

pub fn run(context: &Context) -> Result<()> {
    let index = Index::load(&context.env.folders()?)?;
    let now = context.env.now();
    let is_current = |entry: &Entry| index.is_current(&entry.name);
    let secrets: Vec<_> = index.secrets.iter().map(|it| listed(it, is_current(it))).collect();
    answer(context, json!({ "secrets": secrets }), |page| {
        if index.secrets.is_empty() {
            return "no secrets yet: `cloudcred setup` makes one, `cloudcred secret add NAME` stores a key that you have\n"
                .to_owned();
        }
        let rows = index.secrets.iter().map(|entry| {
            vec![
                entry.name.to_string(),
                if is_current(entry) { "current" } else { "" }.to_owned(),
                entry.store.name().to_owned(),
                whose(entry),
                entry.access_key_id.clone(),
                age(entry.created_at, now),
            ]
        });
        table(&rows.collect::<Vec<_>>(), page.width)
    })
}

/// In the largest unit that says something: a key's age matters by months, not by minutes.
fn age(from: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - from.as_second();
    let count = |number: i64, unit: &str| match number {
        1 => format!("1 {unit} old"),
        _ => format!("{number} {unit}s old"),
    };
    match seconds / 60 {
        ..1 => "just now".to_owned(),
        minutes @ 1..60 => count(minutes, "minute"),
        minutes @ 60..1440 => count(minutes / 60, "hour"),
        minutes => count(minutes / 1440, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        let ages = [
            (-5, "just now"),
            (59, "just now"),
            (60, "1 minute old"),
            (7200, "2 hours old"),
            (86_400, "1 day old"),
            (100 * 86_400, "100 days old"),
        ];
        for (seconds, expected) in ages {
            let now = Timestamp::from_second(seconds).expect("in range");
            assert_eq!(age(Timestamp::UNIX_EPOCH, now), expected);
        }
    }
}
