//! `cloudcred login`: a session from a browser sign-in, kept where AWS's own tools look for it.

use std::io::{BufRead, Read};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::aws::identity::{Identity, caller_identity};
use crate::aws::profiles::selected_profile;
use crate::aws::signin::{SignIn, SignedIn, cache_file};
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
use crate::shared_config::{self, Locations, Profile, Profiles};

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
    let profiles = locations.read_sound()?.profiles();
    let name = choose_profile(&profiles, prompt, context)?;
    let signed_in = match way.remote {
        true => from_elsewhere(aws, prompt, context)?,
        false => from_here(way, aws, context)?,
    };
    let region = aws.sdk.region();
    let identity = proven(&signed_in, aws, context)?;
    // A person has been busy in between, perhaps with this very file.
    let profiles = locations.read_sound()?.profiles();
    check_profile(&name, &profiles)?;
    let profile = profiles.find(&name);
    confirm_replacement(&name, profile, &signed_in, prompt, context)?;
    keep(
        &name,
        profile,
        region.as_ref(),
        &signed_in,
        &locations,
        aws,
        context,
    )?;
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
    profiles: &Profiles,
    prompt: &mut dyn Prompt,
    context: &Context,
) -> Result<String> {
    let check = |name: &str| check_profile(name, profiles);
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

/// What other credentials a profile can hold, by a key that stands for them.
const OTHERS: [(&str, &str); 9] = [
    ("aws_access_key_id", "an access key"),
    ("aws_secret_access_key", "an access key"),
    ("role_arn", "a role"),
    ("web_identity_token_file", "a web identity"),
    ("sso_session", "an IAM Identity Center session"),
    ("sso_start_url", "an IAM Identity Center session"),
    ("sso_account_id", "an IAM Identity Center session"),
    ("sso_role_name", "an IAM Identity Center session"),
    ("credential_process", "an external program"),
];

/// AWS's tools disagree which of two kinds of credentials in one profile counts.
fn check_profile(name: &str, profiles: &Profiles) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c);
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(Error::usage(format!(
            "`{name}` is no name that AWS's tools take for a profile"
        ))
        .hint("use letters, digits and _-/.%@:+ with --profile"));
    }
    let Some(profile) = profiles.find(name) else {
        return Ok(());
    };
    let other = OTHERS.iter().find(|(key, _)| profile.get(key).is_some());
    other.map_or(Ok(()), |(key, what)| {
        Err(Error::failed(format!(
            "the profile `{name}` holds other credentials already: {what} ({key})"
        ))
        .hint("nothing was changed; name another profile with --profile"))
    })
}

fn from_here(way: Way, aws: &Aws, context: &Context) -> Result<SignedIn> {
    let output = &context.output;
    aws.read(async {
        let callback = Callback::bind(way.port).await?;
        let sign_in = SignIn::here(&aws.sdk, callback.address()).await?;
        let address = sign_in.address();
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
        let code = callback.wait(PATIENCE, |answer| sign_in.code(answer)).await;
        output.done();
        exchange(&sign_in, &code?, aws, context).await
    })
}

fn from_elsewhere(aws: &Aws, prompt: &mut dyn Prompt, context: &Context) -> Result<SignedIn> {
    let sign_in = aws.read(SignIn::elsewhere(&aws.sdk))?;
    let output = &context.output;
    output.say("Sign in to AWS in a browser on any machine, at this address:");
    output.say(&format!("\n{}\n", sign_in.address()));
    let text = "The code that the page then shows (not shown here)";
    let pasted = match context.attended {
        true => prompt.hidden(Question::required(text, "--remote < FILE"))?,
        false => read_line(text)?,
    };
    let code = sign_in.pasted_code(&pasted)?;
    aws.read(exchange(&sign_in, &code, aws, context))
}

/// The first line of standard input that holds something.
fn read_line(question: &str) -> Result<SecretString> {
    let mut input = std::io::stdin().lock().take(pasted::LONGEST_INPUT as u64);
    let mut line = Zeroizing::new(String::with_capacity(pasted::LONGEST_INPUT));
    while line.trim().is_empty() {
        line.clear();
        let length = input
            .read_line(&mut line)
            .map_err(|cause| Error::failed("standard input is not text").caused_by(cause))?;
        if length == 0 {
            return Err(Error::end_of_input(question, "--remote < FILE"));
        }
    }
    Ok(SecretString::from(line.trim()))
}

async fn exchange(
    sign_in: &SignIn,
    code: &SecretString,
    aws: &Aws,
    context: &Context,
) -> Result<SignedIn> {
    context.output.working("Completing the sign-in …");
    let signed_in = sign_in.exchange(&aws.sdk, code).await;
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
    profile: Option<&Profile>,
    signed_in: &SignedIn,
    prompt: &mut dyn Prompt,
    context: &Context,
) -> Result<()> {
    let old = profile.and_then(|profile| profile.get("login_session"));
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

/// The document first: a profile never names a session that is not there. Where the profile cannot
/// be written, the document is put back as it was.
fn keep(
    name: &str,
    profile: Option<&Profile>,
    region: &str,
    signed_in: &SignedIn,
    locations: &Locations,
    aws: &Aws,
    context: &Context,
) -> Result<()> {
    let cache = cache_file(&context.env, &signed_in.login_session)?;
    let before = private_file::read(&cache, pasted::LONGEST_INPUT as u64)?.map(Zeroizing::new);
    private_file::write(&cache, signed_in.document().expose_secret().as_bytes())?;
    let has_region = profile.is_some_and(|profile| profile.get("region").is_some());
    let named = shared_config::update(&aws.folders, FileKind::Config, &locations.config, |file| {
        let login = ("login_session", signed_in.login_session.as_str());
        let properties = [login, ("region", region)];
        let properties = &properties[..if has_region { 1 } else { 2 }];
        if file.has(name) {
            for (key, value) in properties {
                file.set(name, key, value)?;
            }
            Ok(())
        } else {
            file.add(name, properties)
        }
    });
    named.inspect_err(|_| put_back(&cache, before.as_deref().map(Vec::as_slice), context))
}

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
    use crate::shared_config::SharedConfig;
    use crate::shared_config::text::SharedFile;

    #[test]
    fn a_profile_with_other_credentials_is_refused_by_what_it_holds() {
        let config = "[default]\nregion = x\n[profile signed]\nlogin_session = arn\n\
                      [profile process]\ncredential_process = x\n[profile sso]\nsso_session = s\n";
        let profiles = SharedConfig {
            config: SharedFile::parse(FileKind::Config, config.as_bytes()),
            credentials: SharedFile::parse(
                FileKind::Credentials,
                b"[keys]\naws_access_key_id = AKIA\n",
            ),
        }
        .profiles();
        for free in ["default", "signed", "new"] {
            check_profile(free, &profiles).expect(free);
        }
        for (taken, what) in [
            ("process", "credential_process"),
            ("sso", "Identity Center"),
            ("keys", "an access key (aws_access_key_id)"),
        ] {
            let error = check_profile(taken, &profiles).expect_err(taken);
            assert!(error.message.contains(what), "{error}");
        }
        for wrong in ["", "a b", "a]"] {
            let error = check_profile(wrong, &profiles).expect_err(wrong);
            assert_eq!(error.kind, Kind::Usage);
        }
    }
}
