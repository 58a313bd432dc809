//! `cloudcred login`: a session from a browser sign-in, kept where AWS's own tools look for it.

use std::io::{BufRead, Read};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::aws::configured::{CREDENTIAL_KEYS, LOGIN_SESSION};
use crate::aws::identity::{Identity, caller_identity};
use crate::aws::profiles::selected_profile;
use crate::aws::signin::{Attempt, SignedIn, cache_file, cache_folder};
use crate::aws_profile;
use crate::browser;
use crate::callback::Callback;
use crate::cli::Login;
use crate::commands::Context;
use crate::commands::aws::Aws;
use crate::error::{Error, Result};
use crate::output::{Page, Report, table};
use crate::pasted;
use crate::private_file;
use crate::prompt::{Prompt, Question};
use crate::shared_config::text::FileKind;
use crate::shared_config::{self, Locations, SharedConfig};

/// How long the person may take in the browser.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How long STS may take to answer for the new session.
const LIMIT: Duration = Duration::from_secs(10);

/// How to get from the browser to a code.
#[derive(Clone, Copy, Default)]
pub struct Way {
    /// The browser is on another machine.
    pub remote: bool,
    pub no_browser: bool,
    /// `None` for any free one.
    pub port: Option<u16>,
}

/// Whose session it is, and which profile uses it.
#[derive(Serialize)]
pub struct LoginReport {
    pub profile: String,
    pub login_session: String,
    pub account_id: String,
    pub arn: String,
    pub region: String,
    pub expires_at: Timestamp,
    #[serde(skip)]
    whose: String,
}

impl Report for LoginReport {
    fn text(&self, page: &Page) -> String {
        let profile = &self.profile;
        let headline = format!("Signed in: profile `{profile}` is {}.", self.whose);
        let rows = [
            vec![
                "Create an IAM user with it".to_owned(),
                format!("cloudcred setup --mode iam-user --profile {profile}"),
            ],
            vec![
                "It lasts".to_owned(),
                "minutes at a time; AWS's tools renew it as long as the console's session lasts"
                    .to_owned(),
            ],
        ];
        format!("{}\n{}", page.strong(headline), table(&rows, page.width))
    }
}

pub fn run(flags: Login, context: &Context) -> Result<()> {
    let mut prompt = context.prompt()?;
    let aws = Aws::start(context)?;
    let way = Way {
        remote: flags.remote,
        no_browser: flags.no_browser,
        port: flags.redirect_port,
    };
    let report = sign_in(way, &aws, prompt.as_mut(), context)?;
    context.output.result(&report)
}

/// Signs in, proves the session, and only then writes it: its document, and the profile that
/// names it.
///
/// # Errors
/// When the profile holds other credentials, before the browser is opened; the sign-in's; then
/// nothing is written.
pub fn sign_in(
    way: Way,
    aws: &Aws,
    prompt: &mut dyn Prompt,
    context: &Context,
) -> Result<LoginReport> {
    let locations = Locations::of(&context.env)?;
    let folder = cache_folder(&context.env)?;
    let name = choose_profile(&locations.read_sound()?, prompt, context)?;
    let signed_in = match way.remote {
        true => from_elsewhere(aws, prompt, context)?,
        false => from_here(way, aws, context)?,
    };
    let region = aws.sdk.region();
    let identity = proven(&signed_in, aws, context)?;
    // A person has been busy in between, perhaps with this very file.
    let session = session_of(&name, &locations.read_sound()?)?;
    confirm_replacement(&name, session.as_deref(), &signed_in, prompt, context)?;
    let cache = cache_file(&folder, &signed_in.login_session);
    let before = private_file::read(&cache, pasted::LONGEST_INPUT as u64)?.map(Zeroizing::new);
    // The document first: a profile never names a session that is not there.
    private_file::write(&cache, signed_in.document().expose_secret().as_bytes())?;
    name_session(&name, session.as_deref(), &signed_in, &locations, aws)
        .inspect_err(|_| put_back(&cache, before.as_deref().map(Vec::as_slice), context))?;
    if let Err(error) = private_file::sweep(&folder, private_file::ABANDONED) {
        context.output.warn(&format!("{error:#}"));
    }
    Ok(LoginReport {
        profile: name,
        account_id: identity.account_id.clone(),
        whose: identity.described(),
        arn: identity.arn,
        region: region.to_string(),
        expires_at: signed_in.expires_at,
        login_session: signed_in.login_session,
    })
}

/// The one that a flag names, else the one that AWS's tools use by themselves, where that is free.
fn choose_profile(
    files: &SharedConfig,
    prompt: &mut dyn Prompt,
    context: &Context,
) -> Result<String> {
    let check = |name: &str| session_of(name, files).map(drop);
    if let Some(name) = context.global.profile() {
        check(name)?;
        return Ok(name.clone());
    }
    let name = selected_profile(&context.env);
    match check(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(taken) if context.attended => {
            prompt.tell(&taken.message)?;
            let question = Question::required("Profile for the session", "--profile");
            prompt.text(question, Some("cloudstudio-login"), &check)
        }
        Err(taken) => Err(taken),
    }
}

/// The session that the profile names already; `None` where it, or the whole profile, is not there.
///
/// # Errors
/// When it holds other credentials, since AWS's tools disagree which of two kinds counts; or when its
/// name cannot stand in the file without quotes, or stands there in quotes, which only some of them
/// understand: a second section would hide the first one from those.
fn session_of(name: &str, files: &SharedConfig) -> Result<Option<String>> {
    aws_profile::check_name(name)?;
    let taken = |how: String| {
        Error::failed(format!("the profile `{name}` {how}"))
            .hint("nothing was changed; name another profile with --profile")
    };
    if let Some(line) = files.config.quoted(name) {
        let how = format!("is there already, in quotes, on line {line} of the config file");
        return Err(taken(how));
    }
    let profiles = files.profiles();
    let Some(profile) = profiles.find(name) else {
        return Ok(None);
    };
    let mut others = CREDENTIAL_KEYS.iter();
    match others.find(|(key, _)| *key != LOGIN_SESSION && profile.get(key).is_some()) {
        Some((key, what)) => Err(taken(format!(
            "holds other credentials already: {what} ({key})"
        ))),
        None => Ok(profile.get(LOGIN_SESSION).map(str::to_owned)),
    }
}

fn from_here(way: Way, aws: &Aws, context: &Context) -> Result<SignedIn> {
    let output = &context.output;
    aws.read(async {
        let callback = Callback::bind(way.port).await?;
        let attempt = Attempt::here(&aws.sdk, callback.address()).await?;
        let address = attempt.address();
        let opened = match way.no_browser {
            true => Ok(false),
            false => browser::open(&context.env, &address).map(|()| true),
        };
        if let Err(error) = &opened {
            output.warn(&format!("no browser was opened: {error:#}"));
        }
        output.say(match opened {
            Ok(true) => "Sign in to AWS in the browser. Where it does not open, use this address:",
            _ => "Sign in to AWS in a browser on this machine, at this address:",
        });
        output.say(&format!("\n{address}\n"));
        output.working("Waiting for the browser (Ctrl-C ends) …");
        let code = callback.wait(PATIENCE, |answer| attempt.code(answer)).await;
        output.done();
        exchange(&attempt, &code?, aws, context).await
    })
}

fn from_elsewhere(aws: &Aws, prompt: &mut dyn Prompt, context: &Context) -> Result<SignedIn> {
    let text = "The code that the page then shows (not shown here)";
    let flag = "--remote < FILE";
    if !context.attended && context.env.stdin_is_terminal {
        // It would show what is typed, and the code opens the account.
        return Err(Error::answer_needed(text, flag));
    }
    let attempt = aws.read(Attempt::elsewhere(&aws.sdk))?;
    let output = &context.output;
    output.say("Sign in to AWS in a browser on any machine, at this address:");
    output.say(&format!("\n{}\n", attempt.address()));
    let pasted = match context.attended {
        true => prompt.hidden(Question::required(text, flag))?,
        false => read_line(text, flag)?,
    };
    let code = attempt.pasted_code(&pasted)?;
    aws.read(exchange(&attempt, &code, aws, context))
}

/// The first line of standard input that holds something.
fn read_line(question: &str, flag: &str) -> Result<SecretString> {
    let mut input = std::io::stdin().lock().take(pasted::LONGEST_INPUT as u64);
    let mut line = Zeroizing::new(String::with_capacity(pasted::LONGEST_INPUT));
    while line.trim().is_empty() {
        line.clear();
        let length = input
            .read_line(&mut line)
            .map_err(|cause| Error::failed("standard input is not text").caused_by(cause))?;
        if length == 0 {
            return Err(Error::end_of_input(question, flag));
        }
    }
    Ok(SecretString::from(line.trim()))
}

async fn exchange(
    attempt: &Attempt,
    code: &SecretString,
    aws: &Aws,
    context: &Context,
) -> Result<SignedIn> {
    context.output.working("Completing the sign-in …");
    let signed_in = attempt.exchange(&aws.sdk, code).await;
    context.output.done();
    signed_in
}

fn proven(signed_in: &SignedIn, aws: &Aws, context: &Context) -> Result<Identity> {
    let session = signed_in.session(aws.sdk.region());
    context.output.working("Asking AWS whose session this is …");
    let identity = aws.read(async { Ok(caller_identity(&aws.sdk, &session, LIMIT).await?) });
    context.output.done();
    identity
}

/// Another session of the same profile is given up only with consent.
fn confirm_replacement(
    name: &str,
    old: Option<&str>,
    signed_in: &SignedIn,
    prompt: &mut dyn Prompt,
    context: &Context,
) -> Result<()> {
    let Some(old) = old.filter(|old| *old != signed_in.login_session) else {
        return Ok(());
    };
    let new = &signed_in.login_session;
    let text = format!("The profile `{name}` is signed in as {old}. Change it to {new}?");
    if context.global.yes || prompt.confirm(Question::required(&text, "--yes"))? {
        return Ok(());
    }
    Err(Error::cancelled().hint("nothing was changed"))
}

/// Lets the profile name the new session in place of `old`, which somebody has agreed to.
///
/// The region goes with it where the profile has none, as with `aws login`: the session is renewed in
/// the profile's region, and not at all without one (aws-config 1.13, `login.rs`; botocore before
/// 1.44, `credentials.py`).
///
/// # Errors
/// When the profile has got other credentials, or another session, meanwhile; or the file cannot be
/// written. It is then unchanged.
fn name_session(
    name: &str,
    old: Option<&str>,
    signed_in: &SignedIn,
    locations: &Locations,
    aws: &Aws,
) -> Result<()> {
    let region = aws.sdk.region();
    shared_config::update(&aws.folders, FileKind::Config, &locations.config, |file| {
        // Under the lock, as the files are now.
        let files = locations.read_sound()?;
        let present = session_of(name, &files)?;
        let is_agreed = |present: &str| Some(present) == old || present == signed_in.login_session;
        if !present.as_deref().is_none_or(is_agreed) {
            return Err(
                Error::failed(format!("the profile `{name}` was changed meanwhile"))
                    .hint("nothing was changed; run the command again"),
            );
        }
        let profiles = files.profiles();
        let profile = profiles.find(name);
        let has_region = profile.is_some_and(|profile| profile.get("region").is_some());
        let login = (LOGIN_SESSION, signed_in.login_session.as_str());
        let properties = [login, ("region", region.as_ref())];
        let properties = &properties[..if has_region { 1 } else { 2 }];
        if file.has(name) {
            for (key, value) in properties {
                file.set(name, key, value)?;
            }
            Ok(())
        } else {
            file.add(name, properties)
        }
    })
}

/// Gives the cache back the document that it had before.
fn put_back(cache: &Path, before: Option<&[u8]>, context: &Context) {
    let result = match before {
        Some(before) => private_file::write(cache, before),
        None => private_file::remove(cache).map(drop),
    };
    if let Err(error) = result {
        context.output.warn(&format!("{error:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::shared_config::text::SharedFile;

    #[test]
    fn a_profile_with_other_credentials_is_refused_by_what_it_holds() {
        let config = "[default]\nregion = x\n[profile signed]\nlogin_session = arn\n\
                      [profile process]\ncredential_process = x\n[profile sso]\nsso_session = s\n\
                      [profile \"quoted\"]\nregion = x\n";
        let files = SharedConfig {
            config: SharedFile::parse(FileKind::Config, config.as_bytes()),
            credentials: SharedFile::parse(
                FileKind::Credentials,
                b"[keys]\naws_access_key_id = AKIA\n",
            ),
        };
        for (free, session) in [("default", None), ("signed", Some("arn")), ("new", None)] {
            let found = session_of(free, &files).expect(free);
            assert_eq!(found.as_deref(), session, "{free}");
        }
        for (taken, what) in [
            ("process", "credential_process"),
            ("sso", "Identity Center"),
            ("keys", "an access key (aws_access_key_id)"),
            ("quoted", "in quotes, on line 9 of the config file"),
        ] {
            let error = session_of(taken, &files).expect_err(taken);
            assert!(error.message.contains(what), "{error}");
        }
        for wrong in ["", "a b", "a]"] {
            let error = session_of(wrong, &files).expect_err(wrong);
            assert_eq!(error.kind, Kind::Usage);
        }
    }
}
