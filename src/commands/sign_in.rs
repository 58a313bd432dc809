//! Signs in with the browser. The session stays in memory; only `cloudcred login` writes it.

use std::time::Duration;

use secrecy::SecretString;

use crate::aws::configured::Kind;
use crate::aws::credential::{Credential, Source, State};
use crate::aws::identity::{Identity, caller_identity};
use crate::aws::signin::{Attempt, SignedIn};
use crate::browser;
use crate::callback::Callback;
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::prompt::{Prompt, Question};
use crate::stdin;

/// How long the person may take in the browser.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Which browser is used, and how it gives back the code.
#[derive(Clone, Copy, Default)]
pub struct Browser {
    /// It is on another machine.
    pub remote: bool,
    /// Its address is only printed.
    pub no_browser: bool,
    /// `None` for any free port.
    pub port: Option<u16>,
}

/// A session that STS has accepted.
pub struct BrowserSession {
    pub signed_in: SignedIn,
    pub identity: Identity,
}

impl BrowserSession {
    pub fn start(
        browser: Browser,
        aws: &Aws,
        prompt: &mut dyn Prompt,
        context: &Context,
    ) -> Result<Self> {
        let signed_in = if browser.remote {
            from_elsewhere(aws, prompt, context)?
        } else {
            from_here(browser, aws, context)?
        };
        let session = &signed_in.session;
        context.output.working("Asking AWS whose session this is …");
        let identity = aws.read(async { Ok(caller_identity(&aws.sdk, session).await?) });
        context.output.done();
        Ok(BrowserSession { signed_in, identity: identity? })
    }

    pub fn credentials(self) -> Credential {
        let SignedIn { access_key_id, expires_at, session, .. } = self.signed_in;
        Credential {
            access_key_id: Some(access_key_id),
            region: Some(session.region.to_string()),
            expires_at: Some(expires_at),
            state: State::Works(self.identity),
            ..Credential::unchecked(Source::SignIn, Kind::Login, session)
        }
    }
}

fn from_here(browser: Browser, aws: &Aws, context: &Context) -> Result<SignedIn> {
    let output = &context.output;
    aws.read(async {
        let callback = Callback::bind(browser.port).await?;
        let attempt = Attempt::new(&aws.sdk, Some(callback.address())).await?;
        let address = attempt.address();
        let mut invitation = "Sign in to AWS in a browser on this machine, at this address:";
        if !browser.no_browser {
            match browser::open(&context.env, &address) {
                Ok(()) => {
                    invitation =
                        "Sign in to AWS in the browser. If it does not open, use this address:";
                }
                Err(error) => output.warn(&format!("no browser was opened: {error:#}")),
            }
        }
        output.say(invitation);
        output.say(&format!("\n{address}\n"));
        output.working("Waiting for the browser (Ctrl-C cancels) …");
        let code = callback.wait(PATIENCE, |query| attempt.code(query)).await;
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
    let attempt = aws.read(Attempt::new(&aws.sdk, None))?;
    let output = &context.output;
    output.say("Sign in to AWS in a browser on any machine, at this address:");
    output.say(&format!("\n{}\n", attempt.address()));
    let pasted = if context.attended {
        prompt.hidden(Question::required(text, flag))?
    } else {
        let line = stdin::read_line()?;
        if line.is_empty() {
            return Err(Error::end_of_input(text, flag));
        }
        SecretString::from(line.as_str())
    };
    let code = attempt.pasted_code(&pasted)?;
    aws.read(exchange(&attempt, &code, aws, context))
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
