//! `cloudcred setup`: look, ask, plan, confirm, execute, report.

mod flags;
mod retire;

use std::time::Instant;

use crate::aws::credential::Credential;
use crate::aws::partition::Partition;
use crate::aws::profiles::{self, Scope};
use crate::cli::{ModeChoice, Setup};
use crate::commands::context::{Aws, Context};
use crate::commands::finish;
use crate::commands::lookups::mfa_roles;
use crate::commands::past_run::{self, Action, Actor};
use crate::error::{Error, Result};
use crate::output::table;
use crate::prompt::{Choice, Prompt, Question};
use crate::setup::facts::{Facts, Reader};
use crate::setup::journal::{Journal, Record, run_name};
use crate::setup::password;
use crate::setup::plan::{Plan, plan};
use crate::setup::report::SetupReport;
use crate::setup::request::{ConsolePassword, Request};
use crate::setup::steps::Step;
use crate::setup::steps::context::RunSecrets;
use crate::setup::wizard::{Lookups, Wizard};
use crate::store::index::Index;

/// The exit code: not 0 where the user is ready, but its root key was not retired.
pub fn run(mut flags: Setup, context: &Context) -> Result<u8> {
    flags::check(&mut flags, context)?;
    let dry_run = flags.dry_run;
    let mut prompt = context.prompt()?;
    let piped = flags::read_piped(&flags, context, prompt.as_mut())?;
    let mut aws = Aws::start(context)?;
    aws.no_browser = flags.no_browser;
    let load = if dry_run { Index::load } else { Index::load_to_change };
    let index = load(&aws.vault.folders)?;
    let credentials = if flags.login { vec![aws.sign_in()?] } else { look(&flags, &aws)? };
    if let Some((run, action)) = abandoned_run(&aws, dry_run, prompt.as_mut())? {
        action.take(Actor { aws: &aws, prompt, given: None }, &run)?;
        return Ok(0);
    }
    let wizard = Wizard {
        credentials: &credentials,
        mfa_roles: &mfa_roles(context),
        index: &index,
        host_name: context.env.host_name.as_deref(),
        credentials_are_named: flags.login || context.global.profile().is_some(),
        attended: context.attended,
        console: Partition::of_region(aws.sdk.region().as_ref()),
        lookups: &aws,
        prompt: prompt.as_mut(),
        flags,
        piped,
    };
    let (request, facts) = decide(wizard, &aws)?;
    let caller = request.caller();
    let run = run_name(context.env.now());
    let plan = plan(&request, &facts, &run)?;
    plan.warnings.iter().for_each(|warning| context.output.warn(warning));
    if !plan.steps.is_empty() {
        let who = caller.identity().map(|caller| caller.short()).unwrap_or_default();
        let title = format!("Plan for account {}, as {who}", plan.goal.account_id);
        finish::show_steps(&title, plan.steps.iter().map(finish::row), context);
    }
    let mut record = Record::new(&run, &plan, caller);
    let (mut console_password, mut not_retired) = (None, None);
    if !dry_run && (!plan.steps.is_empty() || plan.goal.prints) {
        if context.attended || plan.needs_consent() {
            context.confirm(prompt.as_mut(), "Go ahead?", "--yes")?;
        }
        check_not_expired(caller, &aws)?;
        // Gives the terminal back before the work begins.
        drop(prompt);
        let secrets = run_secrets(&request, &facts, &plan, &aws)?;
        if matches!(&request, Request::IamUser(it) if it.console_password.is_generated()) {
            console_password.clone_from(&secrets.password);
        }
        (record, not_retired) = carry_out(record, secrets, caller, &aws)?;
    }
    let mut report = SetupReport::of(&record, plan.warnings);
    report.console_password = console_password;
    report.again = request.as_command().filter(|_| context.attended);
    if let Some(error) = not_retired {
        // What was made stays, with a password that is seen this once.
        context.output.result_and_error(&report, |page| report.text(page), &error);
        return Ok(error.kind.exit_code());
    }
    retire::after_retirement(&record, caller, &mut report, &aws)?;
    finish::deliver(&report, context)?;
    Ok(0)
}

/// Finds and shows the credentials that matter here.
fn look(flags: &Setup, aws: &Aws) -> Result<Vec<Credential>> {
    if flags.key_stdin && flags.mode != ModeChoice::Auto {
        return Ok(Vec::new());
    }
    let context = aws.context;
    let scope = match context.global.profile() {
        Some(profile) => Scope::Profiles(std::slice::from_ref(profile)),
        None if context.attended => Scope::All,
        None => Scope::DefaultChain,
    };
    let began = Instant::now();
    let finding = profiles::find(&aws.sdk, &context.env, scope);
    let credentials = aws.during("Looking for AWS credentials on this machine …", finding)?;
    if context.attended {
        let (number, seconds) = (credentials.len(), began.elapsed().as_secs_f64());
        context.output.say(&format!(
            "Looked for AWS credentials on this machine: {number} found, {seconds:.1} s"
        ));
        if !credentials.is_empty() {
            let rows: Vec<Vec<String>> = credentials.iter().map(Credential::row).collect();
            let text = table(&rows, context.output.page().width);
            context.output.say(&format!("\n{text}"));
        }
    }
    Ok(credentials)
}

/// Offers to finish an unfinished run, or to take it back; unattended or dry, only warns of it.
fn abandoned_run(
    aws: &Aws,
    dry_run: bool,
    prompt: &mut dyn Prompt,
) -> Result<Option<(String, Action)>> {
    let context = aws.context;
    let abandoned = past_run::find_abandoned(&aws.vault.folders);
    let warned = abandoned.inspect_err(|error| context.output.warn(&error.with_hint()));
    let Some(record) = warned.ok().flatten() else { return Ok(None) };
    let run = record.run;
    if dry_run || !context.attended {
        context.output.warn(&format!(
            "the run {run} was not finished: `cloudcred resume {run}` does that, `cloudcred undo {run}` takes it back"
        ));
        return Ok(None);
    }
    let owner = record.goal.owner();
    let text = format!("The run {run} for {} was not finished", owner.described());
    let choices = [
        Choice::new("Finish it", "what it lacks is done now"),
        Choice::new("Take it back", "what it made is removed again"),
        Choice::new("Leave it, and set up something else", "it can be finished later"),
    ];
    let question = Question::required(&text, "cloudcred resume, undo");
    let actions = [Some(Action::Resume), Some(Action::Undo), None];
    Ok(actions[prompt.select(question, &choices, 0)?].map(|action| (run, action)))
}

/// Asks until the request is complete and meets nothing that stands in its way.
fn decide(mut wizard: Wizard, aws: &Aws) -> Result<(Request, Facts)> {
    let mut request = wizard.complete()?;
    let env = &aws.context.env;
    let reader = Reader { sdk: &aws.sdk, vault: &aws.vault, index: wizard.index, env };
    loop {
        check_not_expired(request.caller(), aws)?;
        let facts = aws.during("Looking at what is there already …", reader.read(&request))?;
        if !wizard.resolve_conflicts(&mut request, &facts)? {
            return Ok((request, facts));
        }
    }
}

/// A session may end while the questions are answered.
fn check_not_expired(caller: &Credential, aws: &Aws) -> Result<()> {
    let now = aws.sdk.aws_time(aws.context.env.now());
    if caller.expires_at.is_none_or(|end| end > now) {
        return Ok(());
    }
    let message = format!("the session of {} has expired", caller.source.described());
    Err(Error::credentials(message).hint("nothing was changed; run the command again"))
}

fn run_secrets(request: &Request, facts: &Facts, plan: &Plan, aws: &Aws) -> Result<RunSecrets> {
    let request = match request {
        Request::Existing { .. } => return Ok(RunSecrets::default()),
        Request::Root(request) => {
            return Ok(RunSecrets { pair: request.pair.clone(), password: None });
        }
        Request::IamUser(request) => request,
    };
    let sets_password = plan.steps.iter().any(|step| matches!(step, Step::CreateLoginProfile(_)));
    let password = match &request.console_password {
        ConsolePassword::Given(password) if sets_password => Some(password.clone()),
        ConsolePassword::Generate if sets_password => {
            Some(password::generate(&facts.password_policy.clone().unwrap_or_default()))
        }
        _ => None,
    };
    let mut pair = request.own_key.clone();
    // A working pair that is kept already proves the user before its root key is retired.
    if request.retire.is_some() && plan.goal.access_key_id.is_some() && pair.is_none() {
        pair = Some(retire::kept_pair(&plan.goal, aws)?);
    }
    Ok(RunSecrets { pair, password })
}

/// An error after the checkpoint leaves what was made: the user, without its root key retired.
fn carry_out(
    record: Record,
    secrets: RunSecrets,
    caller: &Credential,
    aws: &Aws,
) -> Result<(Record, Option<Error>)> {
    finish::check_stdout(&record, aws.context)?;
    past_run::clear_half_written(&aws.vault.folders)?;
    let journal = Journal::begin(&aws.vault.folders, record)?;
    let mut run = aws.run(journal, Some(&caller.session), secrets);
    let not_retired = match finish::carry_out(&mut run, aws) {
        Err(error) if !run.is_past_checkpoint() => return Err(error),
        result => result.err().map(|error| retire::not_retired(error, &run.record().goal, caller)),
    };
    Ok((run.journal.record, not_retired))
}
