//! `cloudcred secret list`: what the index knows. Opens no store, so it takes a few milliseconds.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::aws::identity::Identity;
use crate::commands::context::Context;
use crate::error::Result;
use crate::output::table;
use crate::store::index::{Entry, Index};

pub fn run(context: &Context) -> Result<()> {
    let index = Index::load(&context.env.folders()?)?;
    let now = context.env.now();
    let is_current = |entry: &Entry| index.is_current(&entry.name);
    let secrets = index.secrets.iter().map(|entry| listed(entry, is_current(entry)));
    context.result(json!({ "secrets": secrets.collect::<Value>() }), |page| {
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

pub fn listed(entry: &Entry, is_current: bool) -> Value {
    json!({
        "name": entry.name,
        "store": entry.store,
        "current": is_current,
        "access_key_id": entry.access_key_id,
        "account_id": entry.account_id,
        "arn": entry.arn,
        "created_at": entry.created_at,
        "verified_at": entry.verified_at,
    })
}

/// `user/ana in 111122223333`, unless AWS was never asked.
pub fn whose(entry: &Entry) -> String {
    match (&entry.account_id, &entry.arn) {
        (Some(account_id), Some(arn)) => Identity::new(account_id, arn).described(),
        _ => "not verified".to_owned(),
    }
}

/// What CloudStudio's page says of a secret.
pub fn state(is_current: bool) -> &'static str {
    if is_current { "set on environment" } else { "not set" }
}

/// In the largest unit that says something: a key's age matters by months, not by minutes.
fn age(from: Timestamp, now: Timestamp) -> String {
    let (number, unit) = match (now.as_second() - from.as_second()) / 60 {
        ..1 => return "just now".to_owned(),
        minutes @ 1..60 => (minutes, "minute"),
        minutes @ 60..1440 => (minutes / 60, "hour"),
        minutes => (minutes / 1440, "day"),
    };
    format!("{number} {unit}{} old", if number == 1 { "" } else { "s" })
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
