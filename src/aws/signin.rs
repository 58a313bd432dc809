//! Browser sign-in as `aws login` does it: an OAuth code flow with PKCE (RFC 7636) and proof of
//! possession, which yields a short-lived session. Opens no browser, no port and no file.

mod dpop;
mod session;

use aws_sdk_signin::error::SdkError;
use aws_sdk_signin::operation::create_o_auth2_token::CreateOAuth2TokenError;
use aws_sdk_signin::types::{CreateOAuth2TokenRequestBody, OAuth2ErrorCode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::aws::failure::{Failure, Reason};
use crate::aws::sdk::Sdk;
use crate::aws::signin::dpop::{ProofKey, random_text};
use crate::error::{Error, Result};

pub use session::{SignedIn, cache_file, cache_folder};

/// One attempt to sign in; its secrets are good for this one alone.
pub struct Attempt {
    /// `https://{region}.signin.aws.amazon.com`, or where `AWS_ENDPOINT_URL_SIGNIN` leads.
    base: String,
    client_id: &'static str,
    redirect: String,
    state: String,
    verifier: SecretString,
    key: ProofKey,
}

impl Attempt {
    /// `callback` is where a browser on this machine takes the code; without, the page shows it.
    pub async fn new(sdk: &Sdk, callback: Option<String>) -> Result<Self> {
        let base = sdk.signin_address().await.map_err(|cause| {
            Error::failed(format!("the region {} has no browser sign-in", sdk.region()))
                .hint("choose another one with --region")
                .caused_by(anyhow::anyhow!(cause))
        })?;
        let base = base.trim_end_matches('/').to_owned();
        let client_id = match callback {
            Some(_) => "arn:aws:signin:::devtools/same-device",
            None => "arn:aws:signin:::devtools/cross-device",
        };
        Ok(Attempt {
            redirect: callback.unwrap_or_else(|| format!("{base}/v1/sessions/confirmation")),
            base,
            client_id,
            state: random_text(32),
            verifier: SecretString::from(random_text(64)),
            key: ProofKey::generate(),
        })
    }

    pub fn address(&self) -> String {
        let hash = Sha256::digest(self.verifier.expose_secret().as_bytes());
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", self.client_id)
            .append_pair("state", &self.state)
            // AWS's spelling of RFC 7636's `S256`.
            .append_pair("code_challenge_method", "SHA-256")
            .append_pair("scope", "openid")
            .append_pair("redirect_uri", &self.redirect)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(hash))
            .finish();
        format!("{}/v1/authorize?{query}", self.base)
    }

    /// The code in the query that the browser brings; `None` if it belongs to another sign-in.
    pub fn code(&self, query: &str) -> Option<Result<SecretString>> {
        let field = |wanted: &str| {
            let fields = form_urlencoded::parse(query.as_bytes());
            let mut fields = fields.map(|(name, value)| (name, Zeroizing::new(value.into_owned())));
            fields.find(|(name, _)| name == wanted).map(|(_, value)| value)
        };
        field("state").filter(|state| **state == self.state)?;
        if let Some(refusal) = field("error") {
            let message = format!("AWS refused the sign-in ({})", *refusal);
            return Some(Err(Error::credentials(message).hint(PERMISSION)));
        }
        let code = field("code").filter(|code| !code.is_empty());
        Some(code.map(|code| SecretString::from(code.as_str())).ok_or_else(|| {
            Error::failed("the answer that arrived contains no code").hint(RUN_AGAIN)
        }))
    }

    /// The code in what was pasted: base64 of `state=…&code=…`.
    pub fn pasted_code(&self, pasted: &SecretString) -> Result<SecretString> {
        let mut text = Zeroizing::new(String::with_capacity(pasted.expose_secret().len()));
        text.extend(pasted.expose_secret().split_whitespace());
        let answer = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).unwrap_or_default();
        let answer = Zeroizing::new(answer);
        let answer = std::str::from_utf8(&answer).unwrap_or_default();
        if !answer.contains("code=") {
            return Err(Error::failed("this is not the code that the page shows")
                .hint("nothing was written; run the command again and copy the whole code"));
        }
        self.code(answer).unwrap_or_else(|| {
            Err(Error::failed("this code belongs to another sign-in")
                .hint("nothing was written; run the command again and use the page that it names"))
        })
    }

    /// Exchanges the code for the session. Sent once: a code is good for one request.
    pub async fn exchange(&self, sdk: &Sdk, code: &SecretString) -> Result<SignedIn> {
        let request = CreateOAuth2TokenRequestBody::builder()
            .client_id(self.client_id)
            .grant_type("authorization_code")
            .code(code.expose_secret())
            .code_verifier(self.verifier.expose_secret())
            .redirect_uri(&self.redirect)
            .build()
            .map_err(anyhow::Error::from)?;
        let client = sdk.signin(&self.base, self.key.clone());
        let answer = client.create_o_auth2_token().token_input(request).send().await;
        let mut answer = answer
            .map_err(refused)?
            .token_output
            .ok_or_else(|| Error::failed("AWS's answer to the sign-in is empty").hint(RUN_AGAIN))?;
        let signed_in = SignedIn::new(&answer, self.client_id, &self.key, sdk.region());
        answer.refresh_token.zeroize();
        answer.id_token.zeroize();
        if let Some(mut token) = answer.access_token {
            token.secret_access_key.zeroize();
            token.session_token.zeroize();
        }
        signed_in
    }
}

const RUN_AGAIN: &str = "nothing was written; run the command again";

const PERMISSION: &str = "nothing was written; an IAM user needs the policy \
    SignInLocalDevelopmentAccess for it, the root user needs none";

/// AWS's own text is left out: it answers a request that holds the code.
fn refused(error: SdkError<CreateOAuth2TokenError, HttpResponse>) -> Error {
    let reason = match error.as_service_error() {
        Some(CreateOAuth2TokenError::AccessDeniedException(denied)) => &denied.error,
        Some(CreateOAuth2TokenError::ValidationException(invalid)) => &invalid.error,
        _ => {
            let failure = Failure::of("signin:CreateOAuth2Token", &error);
            if matches!(failure.reason, Reason::Unreachable | Reason::Clock) {
                return failure.into();
            }
            let code = failure.code.as_deref().unwrap_or("no clear answer");
            let message = format!("AWS refused to complete the sign-in ({code})");
            return Error::failed(message).hint(RUN_AGAIN);
        }
    };
    let hint = match reason {
        OAuth2ErrorCode::InsufficientPermissions => PERMISSION,
        OAuth2ErrorCode::AuthcodeExpired | OAuth2ErrorCode::OauthInvalidGrant => {
            "nothing was written; the code had expired or was used already: run the command again"
        }
        _ => RUN_AGAIN,
    };
    Error::credentials(format!("AWS refused to complete the sign-in ({reason})")).hint(hint)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::error::Kind;

    fn attempt() -> Attempt {
        Attempt {
            base: "https://eu-west-1.signin.aws.amazon.com".into(),
            client_id: "arn:aws:signin:::devtools/same-device",
            redirect: "http://127.0.0.1:5/oauth/callback".into(),
            state: "ours".into(),
            // RFC 7636, appendix B.
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into(),
            key: ProofKey::generate(),
        }
    }

    #[test]
    fn the_address_asks_for_a_code_with_the_challenge_of_the_verifier() {
        let address = attempt().address();
        assert_eq!(
            address,
            "https://eu-west-1.signin.aws.amazon.com/v1/authorize?response_type=code\
             &client_id=arn%3Aaws%3Asignin%3A%3A%3Adevtools%2Fsame-device&state=ours\
             &code_challenge_method=SHA-256&scope=openid\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2Foauth%2Fcallback\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_code_is_taken_from_an_answer_with_our_state_only() {
        let attempt = attempt();
        let code = attempt.code("code=a%2Bb&state=ours").expect("ours").expect("a code");
        assert_eq!(code.expose_secret(), "a+b");
        for other in [
            "code=c&state=theirs",
            "code=c&state=",
            "code=c",
            "",
            "state=theirs&error=access_denied",
        ] {
            assert!(attempt.code(other).is_none(), "{other}");
        }
        for (answer, kind, said) in [
            ("state=ours", Kind::Failed, "no code"),
            ("state=ours&code=", Kind::Failed, "no code"),
            ("state=ours&error=access_denied", Kind::Credentials, "access_denied"),
        ] {
            let error = attempt.code(answer).expect("ours").expect_err(answer);
            assert_eq!(error.kind, kind, "{answer}");
            assert!(error.message.contains(said), "{error}");
        }
        let theirs = STANDARD.encode("code=c&state=theirs");
        let error = attempt.pasted_code(&theirs.into()).expect_err("not ours");
        assert!(error.message.contains("another sign-in"), "{error}");
    }

    #[test]
    fn a_pasted_code_is_base64_with_any_white_space_and_padding() {
        let attempt = attempt();
        let pasted = STANDARD.encode("state=ours&code=abcd");
        for form in [
            pasted.clone(),
            format!(" {}\n{}\r\n", &pasted[..8], &pasted[8..]),
            pasted.trim_end_matches('=').to_owned(),
        ] {
            let code = attempt.pasted_code(&form.into()).expect("ours");
            assert_eq!(code.expose_secret(), "abcd");
        }
        for wrong in ["", "state=ours&code=abcd", "?"] {
            let error = attempt.pasted_code(&wrong.into()).expect_err(wrong);
            assert!(error.message.contains("not the code"), "{error}");
        }
    }

    #[test]
    fn random_texts_have_their_length_and_differ() {
        let (one, other) = (random_text(64), random_text(64));
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }
}
