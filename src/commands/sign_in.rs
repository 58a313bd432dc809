//! Signs in with the browser. The session stays in memory; only `cloudcred login` writes it.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::aws::configured::Kind;
use crate::aws::credential::{Credential, Source, State};
use crate::aws::identity::{Identity, caller_identity};
use crate::aws::signin::{Attempt, SignedIn};
use crate::browser;
use crate::callback::Callback;
use crate::commands::context::Aws;
use crate::error::{Error, Result};
use crate::prompt::{Prompt, Question};
use crate::stdin;

const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// A session that STS has accepted.
pub struct BrowserSession {
    pub signed_in: SignedIn,
    pub identity: Identity,
}

impl BrowserSession {
    /// The browser is on this machine, and brings the code to `port`; `None` for any free one.
    pub fn here(port: Option<u16>, aws: &Aws) -> Result<Self> {
        let output = &aws.context.output;
        let (callback, attempt) = aws.read(async {
            let callback = Callback::bind(port).await?;
            let attempt = Attempt::new(&aws.sdk, Some(callback.address())).await?;
            Ok((callback, Arc::new(attempt)))
        })?;
        let address = attempt.address();
        let is_opened = !aws.no_browser
            && browser::open(&aws.context.env, &address)
                .inspect_err(|error| output.warn(&format!("no browser was opened: {error:#}")))
                .is_ok();
        output.say(if is_opened {
            "Sign in to AWS in the browser. If it does not open, use this address:"
        } else {
            "Sign in to AWS in a browser on this machine, at this address:"
        });
        output.say(&format!("\n{address}\n"));
        let expected = Arc::clone(&attempt);
        let waiting = callback.wait(PATIENCE, move |query| expected.code(query));
        let code = aws.during("Waiting for the browser (Ctrl-C cancels) …", waiting)?;
        BrowserSession::exchange(&attempt, &code, aws)
    }

    /// The browser is on another machine, and shows the code, which is pasted.
    pub fn elsewhere(aws: &Aws, prompt: &mut dyn Prompt) -> Result<Self> {
        let text = "The code that the page then shows (not shown here)";
        let flag = "--remote < FILE";
        let context = aws.context;
        if !context.attended && context.env.stdin_is_terminal {
            // It would show what is typed, and the code opens the account.
            return Err(Error::answer_needed(text, flag));
        }
        let attempt = aws.read(Attempt::new(&aws.sdk, None))?;
        context.output.say("Sign in to AWS in a browser on any machine, at this address:");
        context.output.say(&format!("\n{}\n", attempt.address()));
        let pasted = if context.attended {
            prompt.hidden(Question::required(text, flag))?
        } else {
            let line = stdin::read_line()?;
            if line.is_empty() {
                return Err(Error::end_of_input(text, flag));
            }
            SecretString::from(line.as_str())
        };
        BrowserSession::exchange(&attempt, &attempt.pasted_code(&pasted)?, aws)
    }

    fn exchange(attempt: &Attempt, code: &SecretString, aws: &Aws) -> Result<Self> {
        let exchange = attempt.exchange(&aws.sdk, code);
        let signed_in = aws.during("Completing the sign-in …", exchange)?;
        let identity = aws.during("Asking AWS whose session this is …", async {
            Ok(caller_identity(&aws.sdk, &signed_in.session).await?)
        })?;
        Ok(BrowserSession { signed_in, identity })
    }

    pub fn credential(self) -> Credential {
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
