//! What `check` says of the tools: in JSON always, in text where they differ or fail.

use serde_json::{Value, json};

use crate::aws::resolve::{Uses, Verdict, Verdicts};
use crate::diagnostic::Diagnostic;

/// What each tool does. The names of the fields are the contract's.
pub fn tools(verdicts: &Verdicts) -> Value {
    json!({
        "aws_cli": tool(&verdicts.aws_cli),
        "ansible": tool(&verdicts.ansible),
        "terraform": tool(&verdicts.terraform),
    })
}

fn tool(verdict: &Verdict) -> Value {
    let uses = verdict.as_ref().ok().map(|uses| {
        json!({
            "source": uses.source.name(),
            "profile": uses.profile,
            "access_key_id": uses.access_key_id,
        })
    });
    let problem = verdict.as_ref().err().map(|problem| {
        json!({
            "code": problem.code,
            "message": problem.message,
            "hint": problem.hint,
            "file": problem.place.as_ref().map(|place| &place.file),
            "line": problem.place.as_ref().map(|place| place.line),
        })
    });
    json!({ "uses": uses, "problem": problem })
}

/// One line for each thing that some tool does unlike the others: nothing where all three use the same.
pub fn differences(verdicts: &Verdicts) -> Vec<Diagnostic> {
    let named = verdicts.named();
    let all_use_the_same = match &verdicts.aws_cli {
        Ok(first) => named.iter().all(|(_, verdict)| verdict.as_ref() == Ok(first)),
        Err(_) => false,
    };
    if all_use_the_same {
        return Vec::new();
    }
    let mut lines: Vec<(Vec<&str>, &Verdict)> = Vec::new();
    for (tool, verdict) in named {
        match lines.iter_mut().find(|(_, it)| *it == verdict) {
            Some((tools, _)) => tools.push(tool),
            None => lines.push((vec![tool], verdict)),
        }
    }
    lines.into_iter().map(|(tools, verdict)| line(&tools, verdict)).collect()
}

fn line(tools: &[&str], verdict: &Verdict) -> Diagnostic {
    let tools = match tools {
        [one] => (*one).to_owned(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
        [] => String::new(),
    };
    match verdict {
        Ok(uses) => Diagnostic::new("uses", format!("used by {tools}: {}", described(uses)), ""),
        Err(problem) => Diagnostic {
            message: format!("not usable for {tools}: {}", problem.message),
            ..problem.clone()
        },
    }
}

fn described(uses: &Uses) -> String {
    let key = uses.access_key_id.as_ref().map(|id| format!(" with the key {id}"));
    let profile = uses.profile.as_ref().map(|name| format!(" of profile `{name}`"));
    let (key, profile) = (key.unwrap_or_default(), profile.unwrap_or_default());
    format!("{}{profile}{key}", uses.source.described())
}
