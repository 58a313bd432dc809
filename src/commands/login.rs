//! `cloudcred login`: a session from a browser sign-in, kept where AWS's own tools look for it.

use std::path::Path;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::aws::configured::{CREDENTIAL_KEYS, LOGIN_SESSION};
use crate::aws::profiles::selected_profile;
use crate::aws::signin::{cache_file, cache_folder};
use crate::aws_files::text::FileKind;
use crate::aws_files::{AwsFiles, Locations};
use crate::aws_profile;
use crate::cli::Login;
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::commands::sign_in::{Browser, BrowserSession};
use crate::error::{Error, Result};
use crate::output::{Page, Report, table};
use crate::pasted;
use crate::private_file;
use crate::prompt::{Prompt, Question};

/// Whose session it is, and which profile uses it.
#[derive(Serialize)]
struct LoginReport {
    profile: String,
    login_session: String,
    account_id: String,
    arn: String,
    region: String,
    expires_at: Timestamp,
    #[serde(skip)]
    whose: String,
}

impl LoginReport {
    /// Another session of the same profile is given up only with consent.
    fn confirm_replacement(
        &self,
        old: &str,
        prompt: &mut dyn Prompt,
        context: &Context,
    ) -> Result<()> {
        if old == self.login_session || context.global.yes {
            return Ok(());
        }
        let text = format!(
            "The profile `{}` is signed in as {old}. Change it to {}?",
            self.profile, self.login_session
        );
        if prompt.confirm(Question::required(&text, "--yes"))? {
            return Ok(());
        }
        Err(Error::cancelled().hint("nothing was changed"))
    }

    /// Makes the profile name this session instead of `old`, which somebody has agreed to.
    ///
    /// If the profile has no region, it gets ours, as with `aws login`: the session is renewed in the
    /// profile's region, and not at all without one (aws-config 1.13, `login.rs`; botocore before
    /// 1.44, `credentials.py`).
    ///
    /// # Errors
    /// When the profile has got other credentials, or another session, meanwhile; or the file cannot
    /// be written. It is then unchanged.
    fn write_profile(&self, old: Option<&str>, locations: &Locations) -> Result<()> {
        let name = self.profile.as_str();
        locations.update(FileKind::Config, |file| {
            // Under the lock, as the files are now.
            let files = locations.read_sound()?;
            let present = session_of(name, &files)?;
            let is_agreed = |present: &str| Some(present) == old || present == self.login_session;
            if !present.as_deref().is_none_or(is_agreed) {
                let message = format!("the profile `{name}` was changed meanwhile");
                return Err(
                    Error::failed(message).hint("nothing was changed; run the command again")
                );
            }
            let profiles = files.profiles();
            let profile = profiles.find(name);
            let has_region = profile.is_some_and(|profile| profile.get("region").is_some());
            let login = (LOGIN_SESSION, self.login_session.as_str());
            let properties = [login, ("region", self.region.as_str())];
            let properties = &properties[..if has_region { 1 } else { 2 }];
            if !file.has(name) {
                return file.add(name, properties);
            }
            for (key, value) in properties {
                file.set(name, key, value)?;
            }
            Ok(())
        })
    }
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
                "minutes at a time; AWS's tools renew it as long as the console session lasts"
                    .to_owned(),
            ],
        ];
        format!("{}\n{}", page.strong(headline), table(&rows, page.width))
    }
}

/// Signs in, and only then writes the session: its document, and the profile that names it.
///
/// # Errors
/// When the profile holds other credentials, before the browser is opened; and the sign-in's. Then
/// nothing is written.
pub fn run(flags: Login, context: &Context) -> Result<()> {
    let mut prompt = context.prompt()?;
    let aws = Aws::start(context)?;
    let browser =
        Browser { remote: flags.remote, no_browser: flags.no_browser, port: flags.redirect_port };
    let locations = Locations::of(&context.env)?;
    let folder = cache_folder(&context.env)?;
    let profile = choose_profile(&locations.read_sound()?, prompt.as_mut(), context)?;
    let BrowserSession { signed_in, identity } =
        BrowserSession::start(browser, &aws, prompt.as_mut(), context)?;
    // The file may have changed while the person was in the browser.
    let old = session_of(&profile, &locations.read_sound()?)?;
    let report = LoginReport {
        profile,
        account_id: identity.account_id.clone(),
        whose: identity.described(),
        arn: identity.arn,
        region: aws.sdk.region().to_string(),
        expires_at: signed_in.expires_at,
        login_session: signed_in.login_session.clone(),
    };
    if let Some(old) = &old {
        report.confirm_replacement(old, prompt.as_mut(), context)?;
    }
    let cache = cache_file(&folder, &signed_in.login_session);
    let before = private_file::read(&cache, pasted::LONGEST_INPUT as u64)?.map(Zeroizing::new);
    // The document first: a profile never names a session that is not there.
    private_file::write(&cache, signed_in.document.expose_secret().as_bytes())?;
    report
        .write_profile(old.as_deref(), &locations)
        .inspect_err(|_| put_back(&cache, before.as_deref().map(Vec::as_slice), context))?;
    if let Err(error) = private_file::sweep(&folder, private_file::ABANDONED) {
        context.output.warn(&format!("{error:#}"));
    }
    context.output.result(&report)
}

/// The one that a flag names, else the one that AWS's tools use by default, if it is free.
fn choose_profile(files: &AwsFiles, prompt: &mut dyn Prompt, context: &Context) -> Result<String> {
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

/// The session that the profile names already, if any.
///
/// # Errors
/// When the profile holds other credentials, because AWS's tools disagree which of two kinds counts;
/// or when its name needs quotes in the file, or has them there, which only some tools understand: a
/// second section would hide the first one from those.
fn session_of(name: &str, files: &AwsFiles) -> Result<Option<String>> {
    aws_profile::check_name(name)?;
    let taken = |how: String| {
        Error::failed(format!("the profile `{name}` {how}"))
            .hint("nothing was changed; name another profile with --profile")
    };
    if let Some(line) = files.config.quoted(name) {
        let how = format!("exists already, in quotes, on line {line} of the config file");
        return Err(taken(how));
    }
    let profiles = files.profiles();
    let Some(profile) = profiles.find(name) else {
        return Ok(None);
    };
    let mut others = CREDENTIAL_KEYS.iter();
    match others.find(|(key, _)| *key != LOGIN_SESSION && profile.get(key).is_some()) {
        Some((key, what)) => Err(taken(format!("holds other credentials already: {what} ({key})"))),
        None => Ok(profile.get(LOGIN_SESSION).map(str::to_owned)),
    }
}

/// Restores the document that the cache had before.
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
    use crate::aws_files::text::AwsFile;
    use crate::error::Kind;

    #[test]
    fn a_profile_with_other_credentials_is_refused_by_what_it_holds() {
        let config = "[default]\nregion = x\n[profile signed]\nlogin_session = arn\n\
                      [profile process]\ncredential_process = x\n[profile sso]\nsso_session = s\n\
                      [profile \"quoted\"]\nregion = x\n";
        let files = AwsFiles {
            config: AwsFile::parse(FileKind::Config, config.as_bytes()),
            credentials: AwsFile::parse(
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
