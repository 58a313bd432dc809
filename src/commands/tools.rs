//! What `check` says of the tools: in JSON always, in text where they differ or fail.

use serde::Serialize;

use crate::aws::resolve::{Uses, Verdict, Verdicts};
use crate::diagnostic::Diagnostic;

/// Its fields are the contract's.
#[derive(Clone, Serialize)]
pub struct ToolsReport {
    aws_cli: ToolReport,
    ansible: ToolReport,
    terraform: ToolReport,
}

#[derive(Clone, Serialize)]
struct ToolReport {
    uses: Option<UsesReport>,
    problem: Option<ProblemReport>,
}

#[derive(Clone, Serialize)]
struct UsesReport {
    source: &'static str,
    profile: Option<String>,
    access_key_id: Option<String>,
}

#[derive(Clone, Serialize)]
struct ProblemReport {
    code: &'static str,
    message: String,
    hint: String,
    file: Option<String>,
    line: Option<usize>,
}

impl ToolsReport {
    pub fn new(verdicts: &Verdicts) -> Self {
        ToolsReport {
            aws_cli: ToolReport::new(&verdicts.aws_cli),
            ansible: ToolReport::new(&verdicts.ansible),
            terraform: ToolReport::new(&verdicts.terraform),
        }
    }
}

impl ToolReport {
    fn new(verdict: &Verdict) -> Self {
        let uses = verdict.as_ref().ok().map(|uses| UsesReport {
            source: uses.source.name(),
            profile: uses.profile.clone(),
            access_key_id: uses.access_key_id.clone(),
        });
        let problem = verdict.as_ref().err().map(|problem| ProblemReport {
            code: problem.code,
            message: problem.message.clone(),
            hint: problem.hint.clone(),
            file: problem.place.as_ref().map(|place| place.file.clone()),
            line: problem.place.as_ref().map(|place| place.line),
        });
        ToolReport { uses, problem }
    }
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
        Ok(uses) => Diagnostic::new("uses", format!("{tools}: {}", described(uses)), ""),
        Err(problem) => Diagnostic {
            message: format!("{tools} cannot use it: {}", problem.message),
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
