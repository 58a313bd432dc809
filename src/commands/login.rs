//! `cloudcred login`: a session from a browser sign-in, kept where AWS's own tools look for it.

use serde_json::json;
use zeroize::Zeroizing;

use crate::aws::configured::{CREDENTIAL_KEYS, LOGIN_SESSION};
use crate::aws::profiles::selected_profile;
use crate::aws::signin::{cache_file, cache_folder};
use crate::aws_files::text::FileKind;
use crate::aws_files::{AwsFiles, Locations};
use crate::aws_profile;
use crate::cli::Login;
use crate::commands::context::{Aws, Context};
use crate::commands::sign_in::BrowserSession;
use crate::error::{Error, Result};
use crate::output::table;
use crate::pasted;
use crate::private_file;
use crate::prompt::{Prompt, Question};

/// Signs in, and only then writes the session: its document, and the profile that names it. A profile
/// that holds other credentials is refused before the browser is opened.
pub fn run(flags: Login, context: &Context) -> Result<()> {
    let mut prompt = context.prompt()?;
    let mut aws = Aws::start(context)?;
    aws.no_browser = flags.no_browser;
    let locations = Locations::of(&context.env)?;
    let folder = cache_folder(&context.env)?;
    let profile = choose_profile(&locations.read_sound()?, prompt.as_mut(), context)?;
    let BrowserSession { signed_in, identity } = if flags.remote {
        BrowserSession::elsewhere(&aws, prompt.as_mut())?
    } else {
        BrowserSession::here(flags.redirect_port, &aws)?
    };
    let session = signed_in.login_session.as_str();
    // The file may have changed while the person was in the browser.
    let old = session_of(&profile, &locations.read_sound()?)?;
    if let Some(old) = old.as_deref().filter(|old| *old != session) {
        let text =
            format!("The profile `{profile}` is signed in as {old}. Change it to {session}?");
        context.confirm(prompt.as_mut(), &text, "--yes")?;
    }
    let cache = cache_file(&folder, session);
    let before = private_file::read(&cache, pasted::LONGEST_INPUT as u64)?.map(Zeroizing::new);
    // The document first: a profile never names a session that is not there.
    private_file::write(&cache, &signed_in.document)?;
    let region = aws.sdk.region().to_string();
    let warn = |error: anyhow::Error| context.output.warn(&format!("{error:#}"));
    let properties = [(LOGIN_SESSION, session), ("region", &region)];
    write_profile(&locations, &profile, old.as_deref(), properties).inspect_err(|_| {
        let restored = match &before {
            Some(before) => private_file::write(&cache, before),
            None => private_file::remove(&cache).map(drop),
        };
        restored.unwrap_or_else(warn);
    })?;
    private_file::sweep(&folder, private_file::ABANDONED).unwrap_or_else(warn);
    let json = json!({
        "profile": profile,
        "login_session": session,
        "account_id": identity.account_id,
        "arn": identity.arn,
        "region": region,
        "expires_at": signed_in.expires_at,
    });
    context.result(json, |page| {
        let headline = format!("Signed in: profile `{profile}` is {}.", identity.described());
        let setup = format!("cloudcred setup --mode iam-user --profile {profile}");
        let lasts = "minutes at a time; AWS's tools renew it as long as the console session lasts";
        let rows = [
            vec!["Create an IAM user with it".to_owned(), setup],
            vec!["It lasts".to_owned(), lasts.to_owned()],
        ];
        format!("{}\n{}", page.strong(headline), table(&rows, page.width))
    })
}

/// Makes the profile name the new session instead of the old one, which somebody has agreed to.
/// Without a region it gets ours, as with `aws login`: the session is renewed in the profile's
/// region, and not at all without one (aws-config 1.13, `login.rs`; botocore before 1.44,
/// `credentials.py`).
fn write_profile(
    locations: &Locations,
    name: &str,
    old: Option<&str>,
    properties: [(&str, &str); 2],
) -> Result<()> {
    locations.update(FileKind::Config, |file| {
        // Under the lock, as the files are now.
        let files = locations.read_sound()?;
        let present = session_of(name, &files)?;
        if present.as_deref().is_some_and(|it| Some(it) != old && it != properties[0].1) {
            let message = format!("the profile `{name}` was changed meanwhile");
            return Err(Error::failed(message).hint("nothing was changed; run the command again"));
        }
        let profiles = files.profiles();
        let has_region = profiles.find(name).is_some_and(|it| it.get("region").is_some());
        let properties = &properties[..if has_region { 1 } else { 2 }];
        properties.iter().try_for_each(|(key, value)| file.set(name, key, value))
    })
}

/// The one that a flag names, else the one that AWS's tools use by default, if it is free.
fn choose_profile(files: &AwsFiles, prompt: &mut dyn Prompt, context: &Context) -> Result<String> {
    let check = |name: &str| session_of(name, files).map(drop);
    let named = context.global.profile().map(String::as_str);
    let name = named.unwrap_or(selected_profile(&context.env));
    match check(name) {
        Err(taken) if named.is_none() && context.attended => {
            prompt.tell(&taken.message)?;
            let question = Question::required("Profile for the session", "--profile");
            prompt.text(question, Some("cloudstudio-login"), &check)
        }
        checked => checked.map(|()| name.to_owned()),
    }
}

/// The session that the profile names. Refuses other credentials, because AWS's tools disagree
/// which of two kinds counts; and a name in quotes, which a second section would hide from some.
fn session_of(name: &str, files: &AwsFiles) -> Result<Option<String>> {
    aws_profile::check_name(name)?;
    let taken = |how: String| {
        Error::failed(format!("the profile `{name}` {how}"))
            .hint("nothing was changed; name another profile with --profile")
    };
    if let Some(line) = files.config.quoted(name) {
        return Err(taken(format!("exists already, in quotes, on line {line} of the config file")));
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
            let present = session_of(free, &files).expect(free);
            assert_eq!(present.as_deref(), session, "{free}");
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
