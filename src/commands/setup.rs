//! `cloudcred setup`: look, ask, plan, confirm, execute, report.

use std::io::Read;
use std::time::Instant;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::aws::identity::Identity;
use crate::aws::profiles::{self, Found, Scope, State};
use crate::aws::sdk::Sdk;
use crate::cli::{ModeChoice, Setup};
use crate::commands::Context;
use crate::commands::secret::patience;
use crate::env::Folders;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::output::{Format, table};
use crate::pasted;
use crate::prompt::Question;
use crate::secret::KeyPair;
use crate::setup::execute::{Outcome, Work, execute};
use crate::setup::facts::{Facts, gather};
use crate::setup::journal::{Journal, Made, Record, Status, StepRecord, run_name};
use crate::setup::password;
use crate::setup::plan::{Plan, Step, plan};
use crate::setup::report::{SecretReport, SetupReport, StepReport};
use crate::setup::request::{ConsolePassword, Keep, Mode, PasswordChoice, Request, Wanted};
use crate::setup::wizard::{self, Scene};
use crate::store::index::Index;
use crate::store::keyring::Keyring;
use crate::store::{StoreKind, Stores};

pub fn run(flags: Setup, context: &Context) -> Result<()> {
    check_combination(&flags, context)?;
    let dry_run = flags.dry_run;
    let wanted = wanted(flags)?;
    let folders = context.env.folders()?;
    let index = Index::load(&folders)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)?;
    let mut prompt = context.prompt()?;
    let mut interrupt = {
        let _inside = runtime.enter();
        Interrupt::listen()?
    };
    let stores = Stores {
        folders: &folders,
        patience: patience(context),
        output: &context.output,
    };

    let region = context.global.region.as_deref();
    let profile = context.global.profile.as_deref();
    let sdk = runtime.block_on(Sdk::load(region, profile, context.output.clone()));
    let found = runtime.block_on(interrupt.or_cancel(look(&wanted, &sdk, context)))?;
    let keyring_trouble = keyring_trouble(&wanted, context);
    let scene = Scene {
        found: &found,
        index: &index,
        host_name: context.env.host_name.as_deref(),
        keyring_trouble: keyring_trouble.as_deref(),
        attended: context.attended,
    };
    let mut check_pair = |pair: &KeyPair| -> Result<Found> {
        let found = runtime
            .block_on(interrupt.or_cancel(async { Ok(profiles::check_given(&sdk, pair).await) }))?;
        Ok(found)
    };
    let mut request = wizard::complete(wanted, &scene, &mut check_pair, prompt.as_mut())?;

    let facts = loop {
        let facts =
            runtime.block_on(interrupt.or_cancel(gather(&request, &sdk, &stores, &index)))?;
        if !wizard::settle(&mut request, &facts, &scene, prompt.as_mut())? {
            break facts;
        }
    };
    let now = context.env.now();
    let run = run_name(now);
    let plan = plan(&request, &facts, &run, now)?;
    if dry_run || plan.steps.is_empty() {
        show(&request, &plan, context)?;
        let report = report(&request, &facts, &plan, None, None);
        return deliver(&request, &report, context);
    }
    show(&request, &plan, context)?;
    if !context.global.yes && (context.attended || plan.changes_aws()) {
        let question = Question::required("Go ahead?", "--yes");
        if !prompt.confirm(question)? {
            return Err(Error::cancelled().hint("nothing was changed"));
        }
    }
    drop(prompt);
    let began = Instant::now();
    let password = console_password(&request, &facts);
    let mut journal = Journal::begin(&folders, record(&request, &plan, &run, context))?;
    let outcome = {
        let work = work(&request, &sdk, &stores, &folders, context, password.clone())?;
        runtime.block_on(execute(work, &mut journal, &mut interrupt))?
    };
    context.output.say(&format!(
        "  ready in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    let generated = match &request {
        Request::IamUser(request)
            if matches!(request.console_password, ConsolePassword::Generate) =>
        {
            password
        }
        _ => None,
    };
    let report = report(&request, &facts, &plan, Some((&run, &outcome)), generated);
    deliver(&request, &report, context)
}

fn check_combination(flags: &Setup, context: &Context) -> Result<()> {
    let json = context.global.output == Format::Json;
    if flags.store == Some(StoreKind::Stdout) && json {
        return Err(
            Error::usage("--store stdout and --output json exclude each other")
                .hint("standard output can carry one document only"),
        );
    }
    if flags.key_stdin && flags.console_password == Some(PasswordChoice::Stdin) {
        return Err(
            Error::usage("--key-stdin and --console-password stdin exclude each other")
                .hint("use --console-password generate"),
        );
    }
    if flags.key_stdin && flags.mode == ModeChoice::Existing {
        return Err(Error::usage("--key-stdin does not go with --mode existing")
            .hint("use --mode iam-user to create a user with the given key"));
    }
    Ok(())
}

fn wanted(flags: Setup) -> Result<Wanted> {
    let given_pair = match flags.key_stdin {
        true => Some(pasted::parse(&read_stdin()?)?),
        false => None,
    };
    let given_password = match flags.console_password {
        Some(PasswordChoice::Stdin) => {
            let text = read_stdin()?;
            let password = text.lines().next().unwrap_or_default();
            if password.is_empty() {
                return Err(Error::end_of_input(
                    "the console password",
                    "--console-password generate",
                ));
            }
            Some(SecretString::from(password))
        }
        _ => None,
    };
    Ok(Wanted {
        mode: match flags.mode {
            ModeChoice::Auto => None,
            ModeChoice::Existing => Some(Mode::Existing),
            ModeChoice::IamUser => Some(Mode::IamUser),
            ModeChoice::Root => Some(Mode::Root),
        },
        user_name: flags.user_name,
        policy_arns: flags.policy_arns,
        permissions_boundary: flags.permissions_boundary,
        tags: flags.tags,
        console_password: flags.console_password,
        key_description: flags.key_description,
        if_exists: flags.if_exists,
        secret: flags.secret,
        store: flags.store,
        no_current: flags.no_current,
        root_risk_acknowledged: flags.acknowledge_root_risk,
        given_pair,
        given_password,
    })
}

fn read_stdin() -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(pasted::LONGEST_INPUT + 2));
    std::io::stdin()
        .lock()
        .take(pasted::LONGEST_INPUT as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|cause| Error::credentials("standard input is not text").caused_by(cause))?;
    Ok(text)
}

/// Finds and shows the credentials that matter here.
async fn look(wanted: &Wanted, sdk: &Sdk, context: &Context) -> Result<Vec<Found>> {
    let root_without_questions = wanted.mode == Some(Mode::Root) && !context.attended;
    if (wanted.given_pair.is_some() && wanted.mode.is_some()) || root_without_questions {
        return Ok(Vec::new());
    }
    let scope = match &context.global.profile {
        Some(profile) => Scope::Profile(profile),
        None if context.attended => Scope::All,
        None => Scope::DefaultChain,
    };
    let began = Instant::now();
    context
        .output
        .working("Looking for AWS credentials on this machine …");
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
            let rows: Vec<Vec<String>> = found.iter().map(row).collect();
            let text = table(&rows, context.output.page().width);
            context.output.say(&format!("\n{text}"));
        }
    }
    Ok(found)
}

fn row(found: &Found) -> Vec<String> {
    let name = match found.source.profile_name() {
        Some(name) => name.to_owned(),
        None => found.source.described(),
    };
    let (state, note) = match &found.state {
        State::Works(identity) => (identity.described(), "works".to_owned()),
        State::Fails { what, hint, .. } => (what.clone(), hint.clone()),
    };
    vec![name, found.kind.described(), state, note]
}

/// Looked up only where the answer changes a question.
fn keyring_trouble(wanted: &Wanted, context: &Context) -> Option<String> {
    if wanted.store.is_some() || wanted.mode == Some(Mode::Existing) {
        return None;
    }
    if wanted.mode.is_none() && !context.attended {
        return None;
    }
    Keyring::new(patience(context))
        .reachable()
        .err()
        .map(|error| error.message)
}

fn bootstrap(request: &Request) -> &Found {
    match request {
        Request::Existing(found) => found,
        Request::IamUser(request) => &request.bootstrap,
        Request::Root(request) => &request.checked,
    }
}

fn caller(request: &Request) -> Identity {
    bootstrap(request)
        .identity()
        .cloned()
        .unwrap_or_else(|| Identity::new("", ""))
}

/// Whose the pair will be.
fn owner(request: &Request) -> Identity {
    let caller = caller(request);
    match request {
        Request::IamUser(request) => Identity::new(
            &caller.account_id,
            format!(
                "arn:{}:iam::{}:user/{}",
                caller.partition(),
                caller.account_id,
                request.user_name
            ),
        ),
        _ => caller,
    }
}

fn keep(request: &Request) -> Option<&Keep> {
    match request {
        Request::Existing(_) => None,
        Request::IamUser(request) => Some(&request.keep),
        Request::Root(request) => Some(&request.keep),
    }
}

fn mode(request: &Request) -> Mode {
    match request {
        Request::Existing(_) => Mode::Existing,
        Request::IamUser(_) => Mode::IamUser,
        Request::Root(_) => Mode::Root,
    }
}

/// The plan for a person's eyes.
fn show(request: &Request, plan: &Plan, context: &Context) -> Result<()> {
    let output = &context.output;
    for warning in &plan.warnings {
        output.warn(warning);
    }
    if plan.steps.is_empty() || output.format() == Format::Json {
        return Ok(());
    }
    let caller = caller(request);
    output.say(&format!(
        "\nPlan for account {}, as {}",
        caller.account_id,
        caller.short()
    ));
    let rows: Vec<Vec<String>> = plan
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let (what, detail) = step.described();
            vec![(index + 1).to_string(), what.to_owned(), detail]
        })
        .collect();
    output.say(&table(&rows, output.page().width));
    Ok(())
}

fn console_password(request: &Request, facts: &Facts) -> Option<SecretString> {
    let Request::IamUser(request) = request else {
        return None;
    };
    match &request.console_password {
        ConsolePassword::None => None,
        ConsolePassword::Given(password) => Some(password.clone()),
        ConsolePassword::Generate => {
            let policy = facts.password_policy.clone();
            Some(password::generate(&policy.unwrap_or_default()))
        }
    }
}

fn record(request: &Request, plan: &Plan, run: &str, context: &Context) -> Record {
    let caller = caller(request);
    Record {
        version: 1,
        run: run.to_owned(),
        mode: mode(request),
        started_at: context.env.now(),
        finished_at: None,
        account_id: caller.account_id,
        caller_arn: caller.arn,
        profile: bootstrap(request).source.profile_name().map(str::to_owned),
        steps: plan
            .steps
            .iter()
            .map(|step| StepRecord {
                step: step.clone(),
                status: Status::Planned,
                made: Made::default(),
            })
            .collect(),
    }
}

fn work<'a>(
    request: &'a Request,
    sdk: &'a Sdk,
    stores: &'a Stores<'a>,
    folders: &'a Folders,
    context: &'a Context,
    password: Option<SecretString>,
) -> Result<Work<'a>> {
    Ok(Work {
        sdk,
        session: &bootstrap(request).session,
        owner: owner(request),
        stores,
        folders,
        env: &context.env,
        output: &context.output,
        password,
        pair: match request {
            Request::Root(request) => Some(request.pair.clone()),
            _ => None,
        },
    })
}

fn report(
    request: &Request,
    facts: &Facts,
    plan: &Plan,
    done: Option<(&str, &Outcome)>,
    console_password: Option<SecretString>,
) -> SetupReport {
    let owner = owner(request);
    let changed = done.is_some();
    let planned = !changed && !plan.steps.is_empty();
    let stored_id = facts
        .stored
        .as_ref()
        .and_then(|stored| stored.access_key_id.clone());
    let access_key_id = match (request, done) {
        (Request::Existing(found), _) => found.access_key_id.clone(),
        (Request::Root(request), _) => Some(request.pair.access_key_id.clone()),
        (_, Some((_, outcome))) => outcome.access_key_id.clone().or(stored_id),
        (_, None) if planned => None,
        (_, None) => stored_id,
    };
    let key_description = plan.steps.iter().find_map(|step| match step {
        Step::DescribeAccessKey { description, .. } => Some(description.clone()),
        _ => None,
    });
    let sets_password = plan
        .steps
        .iter()
        .any(|step| matches!(step, Step::CreateLoginProfile { .. }));
    let secret = keep(request).map(|keep| SecretReport {
        name: keep.secret.clone(),
        store: keep.store,
        current: facts.secret_is_current || (keep.make_current && !planned),
    });
    let headline = match (request, &secret) {
        _ if planned => "Nothing was changed: this was a dry run.".to_owned(),
        (Request::Existing(found), _) => match found.source.profile_name() {
            Some(name) if name != "default" => format!(
                "{} stays as it is: {}. CloudStudio finds it when AWS_PROFILE={name} is set.",
                capitalized(&found.source.described()),
                owner.described()
            ),
            _ => format!(
                "{} stays as it is: {}. The tools that CloudStudio runs find it by themselves.",
                capitalized(&found.source.described()),
                owner.described()
            ),
        },
        (_, Some(secret)) if secret.store == StoreKind::Stdout => {
            format!(
                "The key of {} was printed and is kept nowhere else.",
                owner.described()
            )
        }
        (_, Some(secret)) if changed => format!("CloudStudio secret `{}` is ready.", secret.name),
        (_, Some(secret)) => format!("Nothing to do: CloudStudio secret `{}` works.", secret.name),
        (_, None) => String::new(),
    };
    SetupReport {
        changed,
        mode: mode(request),
        account_id: owner.account_id.clone(),
        arn: done
            .and_then(|(_, outcome)| outcome.user_arn.clone())
            .unwrap_or(owner.arn.clone()),
        user_name: owner.user_name().map(str::to_owned),
        access_key_id,
        key_description,
        verified: !planned,
        secret,
        aws_profile: None,
        profile: match request {
            Request::Existing(found) => found.source.profile_name().map(str::to_owned),
            _ => None,
        },
        run: done.map(|(run, _)| run.to_owned()),
        steps: plan
            .steps
            .iter()
            .map(|step| StepReport {
                step: step.name(),
                status: if changed { "done" } else { "planned" },
            })
            .collect(),
        warnings: plan.warnings.clone(),
        console_url: sets_password.then(|| owner.console_url()),
        console_password: if sets_password {
            console_password
        } else {
            None
        },
        headline,
    }
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

fn deliver(request: &Request, report: &SetupReport, context: &Context) -> Result<()> {
    if keep(request).is_some_and(|keep| keep.store == StoreKind::Stdout) {
        context.output.result_beside(report);
        return Ok(());
    }
    context.output.result(report)
}
