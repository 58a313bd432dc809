//! `cloudcred setup`: look, ask, plan, confirm, execute, report.

mod flags;
mod retire;

use std::time::Instant;

use secrecy::SecretString;

use crate::aws::console::Console;
use crate::aws::credential::Credential;
use crate::aws::profiles::{self, Scope};
use crate::aws::sdk::Sdk;
use crate::aws_files::Locations;
use crate::aws_profile::{self, AwsProfile};
use crate::cli::{ModeChoice, Setup};
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::commands::finish;
use crate::commands::lookups::{LiveLookups, mfa_roles};
use crate::commands::past_run::{self, PastRun};
use crate::error::{Error, Result};
use crate::output::table;
use crate::prompt::{Choice, Prompt, Question};
use crate::setup::facts::{Facts, Reader};
use crate::setup::journal::{Journal, Record, run_name};
use crate::setup::password;
use crate::setup::plan::{Plan, plan};
use crate::setup::report::SetupReport;
use crate::setup::request::{ConsolePassword, Request};
use crate::setup::run::Run;
use crate::setup::steps::Step;
use crate::setup::steps::context::RunSecrets;
use crate::setup::wizard::{Lookups, Wizard};
use crate::store::index::Index;

/// The exit code: other than 0 where the user is ready and its root key was not retired, which is told
/// already.
pub fn run(mut flags: Setup, context: &Context) -> Result<u8> {
    check(&mut flags, context)?;
    let dry_run = flags.dry_run;
    let mut prompt = context.prompt()?;
    let piped = flags::read_piped(&flags, context, prompt.as_mut())?;
    let aws = Aws::start(context)?;
    let index =
        if dry_run { Index::load(&aws.folders) } else { Index::load_to_change(&aws.folders) }?;
    let lookups = LiveLookups { aws: &aws, context, no_browser: flags.no_browser };
    let credentials = if flags.login {
        vec![lookups.sign_in(prompt.as_mut())?]
    } else {
        aws.read(look(&flags, &aws.sdk, context))?
    };
    match abandoned_run(&aws, dry_run, prompt.as_mut(), context)? {
        None => {}
        Some((run, open)) => {
            let past = PastRun { aws: &aws, context, prompt, given: None };
            let done = match open {
                Open::Resume => past_run::resume::resume(past, &run),
                Open::Undo => past_run::undo::undo(past, &run),
            };
            return done.map(|()| 0);
        }
    }
    let wizard = Wizard {
        credentials: &credentials,
        mfa_roles: &mfa_roles(context),
        index: &index,
        host_name: context.env.host_name.as_deref(),
        credentials_are_named: flags.login || context.global.profile().is_some(),
        attended: context.attended,
        console: Console::of_region(aws.sdk.region().as_ref()),
        lookups: &lookups,
        prompt: prompt.as_mut(),
        flags,
        piped,
    };
    let (request, facts) = decide(wizard, &aws, context)?;
    let caller = request.caller();
    let run = run_name(context.env.now());
    let plan = plan(&request, &facts, &run, context.env.now())?;
    show(&plan, caller, context);
    let mut record = Record::new(&run, &plan, caller);
    let mut done = Done::default();
    if !dry_run && (!plan.steps.is_empty() || plan.goal.prints) {
        if !context.global.yes && (context.attended || plan.needs_consent()) {
            let question = Question::required("Go ahead?", "--yes");
            if !prompt.confirm(question)? {
                return Err(Error::cancelled().hint("nothing was changed"));
            }
        }
        check_not_expired(caller, &aws, context)?;
        // Gives the terminal back before the work begins.
        drop(prompt);
        let secrets = run_secrets(&request, &facts, &plan, &aws)?;
        if matches!(&request, Request::IamUser(it) if it.console_password.is_generated()) {
            done.console_password.clone_from(&secrets.password);
        }
        (record, done.not_retired) = carry_out(record, secrets, caller, &aws, context)?;
    }
    let mut report = SetupReport::of(&record, plan.warnings);
    report.console_password = done.console_password;
    report.again = request.as_command().filter(|_| context.attended);
    if let Some(error) = done.not_retired {
        // What was made stays, with a password that is seen this once.
        context.output.result_and_error(&report, &error);
        return Ok(error.kind.exit_code());
    }
    if let Some(key) = &mut report.root_key {
        key.page = retire::page(caller);
        let mut goal = record.goal.clone();
        goal.access_key_id = record.access_key_id().map(str::to_owned);
        retire::after_retirement(&goal, &mut report, &lookups, context)?;
    }
    finish::deliver(&report, context).map(|()| 0)
}

/// Checks what flags say, before anything is asked or read.
fn check(flags: &mut Setup, context: &Context) -> Result<()> {
    flags::check_combination(flags, context.global.output)?;
    flags::check_values(flags)?;
    if flags.login && flags.mode == ModeChoice::Auto {
        // The session is there to create the user.
        flags.mode = ModeChoice::IamUser;
    }
    if flags.login && !context.attended {
        flags::check_answers_to_come(flags, context.global.yes)?;
    }
    if let Some(name) = &flags.aws_profile {
        let profile = AwsProfile::new(name, context.env.program()?, None, None)?;
        aws_profile::existing(&Locations::of(&context.env)?, &profile)?;
    }
    Ok(())
}

/// Asks until the request is complete and meets nothing that stands in its way.
fn decide(mut wizard: Wizard, aws: &Aws, context: &Context) -> Result<(Request, Facts)> {
    let mut request = wizard.complete()?;
    let reader =
        Reader { sdk: &aws.sdk, vault: &aws.vault, index: wizard.index, env: &context.env };
    loop {
        check_not_expired(request.caller(), aws, context)?;
        context.output.working("Looking at what is there already …");
        let facts = aws.read(reader.read(&request));
        context.output.done();
        let facts = facts?;
        if !wizard.resolve_conflicts(&mut request, &facts)? {
            return Ok((request, facts));
        }
    }
}

/// What a run leaves behind beside its record.
#[derive(Default)]
struct Done {
    /// A generated one, shown this once.
    console_password: Option<SecretString>,
    /// The user is ready, and its root key is not retired.
    not_retired: Option<Error>,
}

/// Carries the plan out; an error after the checkpoint leaves what was made.
fn carry_out(
    record: Record,
    secrets: RunSecrets,
    caller: &Credential,
    aws: &Aws,
    context: &Context,
) -> Result<(Record, Option<Error>)> {
    if record.prints() {
        finish::check_stdout()?;
    }
    past_run::clear_half_written(&aws.folders)?;
    let journal = Journal::begin(&aws.folders, record)?;
    let access = aws.access(Some(&caller.session), context);
    let mut run = Run::new(access, journal, secrets, &aws.interrupt);
    match finish::carry_out(&mut run, aws, context) {
        Err(error) if !run.is_past_checkpoint() => Err(error),
        result => {
            let record = run.journal.record;
            let not_retired = |error| retire::not_retired(error, &record.goal, caller);
            let not_retired = result.err().map(not_retired);
            Ok((record, not_retired))
        }
    }
}

/// The plan for a person's eyes.
fn show(plan: &Plan, caller: &Credential, context: &Context) {
    for warning in &plan.warnings {
        context.output.warn(warning);
    }
    if !plan.steps.is_empty() {
        let who = caller.identity().map(|caller| caller.short()).unwrap_or_default();
        let title = format!("Plan for account {}, as {who}", plan.goal.account_id);
        finish::show_steps(&title, plan.steps.iter().map(finish::row), context);
    }
}

/// A session may end while the questions are answered.
fn check_not_expired(caller: &Credential, aws: &Aws, context: &Context) -> Result<()> {
    match caller.expires_at {
        Some(end) if end <= aws.sdk.aws_time(context.env.now()) => {
            let whose = caller.source.described();
            let message = format!("the session of {whose} has expired");
            Err(Error::credentials(message).hint("nothing was changed; run the command again"))
        }
        _ => Ok(()),
    }
}

/// What to do first about a run that was not finished.
enum Open {
    Resume,
    Undo,
}

/// Says that there is one, and offers to finish it or to take it back, unless this is a dry run.
fn abandoned_run(
    aws: &Aws,
    dry_run: bool,
    prompt: &mut dyn Prompt,
    context: &Context,
) -> Result<Option<(String, Open)>> {
    let record = match past_run::find_abandoned(&aws.folders) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(None),
        Err(error) => {
            context.output.warn(&error.with_hint());
            return Ok(None);
        }
    };
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
    Ok(match prompt.select(question, &choices, 0)? {
        0 => Some((run, Open::Resume)),
        1 => Some((run, Open::Undo)),
        _ => None,
    })
}

/// Finds and shows the credentials that matter here.
async fn look(flags: &Setup, sdk: &Sdk, context: &Context) -> Result<Vec<Credential>> {
    if flags.key_stdin && flags.mode != ModeChoice::Auto {
        return Ok(Vec::new());
    }
    let scope = match context.global.profile() {
        Some(profile) => Scope::Profiles(std::slice::from_ref(profile)),
        None if context.attended => Scope::All,
        None => Scope::DefaultChain,
    };
    let began = Instant::now();
    context.output.working("Looking for AWS credentials on this machine …");
    let found = profiles::find(sdk, &context.env, scope).await;
    context.output.done();
    let found = found?;
    if context.attended {
        context.output.say(&format!(
            "Looked for AWS credentials on this machine: {} found, {:.1} s",
            found.len(),
            began.elapsed().as_secs_f64()
        ));
        if !found.is_empty() {
            let rows: Vec<Vec<String>> = found.iter().map(Credential::row).collect();
            let text = table(&rows, context.output.page().width);
            context.output.say(&format!("\n{text}"));
        }
    }
    Ok(found)
}

fn run_secrets(request: &Request, facts: &Facts, plan: &Plan, aws: &Aws) -> Result<RunSecrets> {
    let mut secrets = RunSecrets::default();
    match request {
        Request::Existing(_) => {}
        Request::Root(request) => secrets.pair.clone_from(&request.pair),
        Request::IamUser(request) => {
            secrets.pair.clone_from(&request.own_key);
            if plan.steps.iter().any(|step| matches!(step, Step::CreateLoginProfile(_))) {
                secrets.password = match &request.console_password {
                    ConsolePassword::None => None,
                    ConsolePassword::Given(password) => Some(password.clone()),
                    ConsolePassword::Generate => {
                        let policy = facts.password_policy.clone().unwrap_or_default();
                        Some(password::generate(&policy))
                    }
                };
            }
            // A working pair that is kept already proves the user before its root key is retired.
            if request.retire.is_some()
                && plan.goal.access_key_id.is_some()
                && secrets.pair.is_none()
            {
                secrets.pair = Some(retire::kept_pair(&plan.goal, aws)?);
            }
        }
    }
    Ok(secrets)
}
