//! AWS's browser sign-in: the page that gives a code, and the endpoint that gives a session for it.
//! Checks what AWS does: PKCE, proof of possession, each code once, each refresh token once. The keys
//! that it hands out are moto's, of a role that may do everything.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::elliptic_curve::sec1::FromEncodedPoint;
use p256::{EncodedPoint, FieldBytes, PublicKey};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::moto::{ADMINISTRATOR_ACCESS, Account, SessionKeys};
use super::proxy::{Answer, Request};

const ROLE: &str = "console";
const SAME_DEVICE: &str = "arn:aws:signin:::devtools/same-device";
const CROSS_DEVICE: &str = "arn:aws:signin:::devtools/cross-device";

/// A running server. Its threads live as long as the process; that is what a test needs.
pub struct SignInServer {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    account: Account,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Who signs in: the session's name.
    person: String,
    /// How long keys last, in seconds; AWS gives 900.
    lifetime: u64,
    /// What the token endpoint answers instead of a session.
    refusal: Option<&'static str>,
    pages: usize,
    renewals: usize,
    codes: BTreeMap<String, Code>,
    /// Those that are still good, with the key that each is bound to.
    refresh_tokens: BTreeMap<String, String>,
    proofs: BTreeSet<String>,
    secrets: Vec<String>,
}

struct Code {
    client_id: String,
    redirect: String,
    challenge: String,
    used: bool,
}

impl SignInServer {
    /// For somebody who may do everything in the account.
    pub fn start(account: &Account) -> SignInServer {
        let person = account.user_arn("bootstrap");
        account.create_role(ROLE, &person, ADMINISTRATOR_ACCESS);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let url = format!("http://{address}");
        let shared = Arc::new(Shared {
            url: url.clone(),
            account: account.clone(),
            state: Mutex::new(State { person: "ana".into(), lifetime: 900, ..State::default() }),
        });
        let server = SignInServer { address: url, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(client));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        self.address.clone()
    }

    pub fn set_person(&self, person: &str) {
        self.shared.locked().person = person.to_owned();
    }

    pub fn set_lifetime(&self, seconds: u64) {
        self.shared.locked().lifetime = seconds;
    }

    /// From now on the token endpoint refuses everything with this error.
    pub fn refuse(&self, error: &'static str) {
        self.shared.locked().refusal = Some(error);
    }

    /// Whose session a sign-in gives.
    pub fn login_session(&self) -> String {
        self.shared.locked().session_arn(&self.shared.account)
    }

    /// How often the page was opened.
    pub fn pages(&self) -> usize {
        self.shared.locked().pages
    }

    /// How often a session was renewed.
    pub fn renewals(&self) -> usize {
        self.shared.locked().renewals
    }

    /// Every code, verifier, token and secret key so far: none of them belongs on a screen.
    pub fn secrets(&self) -> Vec<String> {
        self.shared.locked().secrets.clone()
    }
}

/// What a browser gets to see.
pub struct Page {
    pub status: u16,
    /// Where it is sent on to.
    pub location: Option<String>,
    pub body: String,
}

/// Opens a page as a browser does, without going on to where it leads.
pub fn visit(address: &str) -> Page {
    let answer = ureq::get(address)
        .config()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .call();
    let mut answer = answer.unwrap_or_else(|error| panic!("{address} does not answer: {error}"));
    let location = answer.headers().get("location");
    Page {
        status: answer.status().as_u16(),
        location: location.map(|value| value.to_str().expect("an address").to_owned()),
        body: answer.body_mut().read_to_string().expect("a page is text"),
    }
}

/// Signs in at the page of this address; returns where the browser is sent with the code.
#[track_caller]
pub fn sign_in(address: &str) -> String {
    let page = visit(address);
    page.location.unwrap_or_else(|| panic!("{address}: {} {}", page.status, page.body))
}

/// A browser that signs in by itself, for `$BROWSER`: its command, given a place for its program.
pub fn browser(home: &super::home::Home) -> String {
    let program = "import sys, urllib.request\nurllib.request.urlopen(sys.argv[1]).read()\n";
    home.write("browser.py", program);
    let python = if cfg!(windows) { "python" } else { "python3" };
    format!("{python} {}", home.path().join("browser.py").display())
}

impl State {
    fn session_arn(&self, account: &Account) -> String {
        format!("arn:aws:sts::{}:assumed-role/{ROLE}/{}", account.id, self.person)
    }
}

type Form = BTreeMap<String, String>;

fn parsed(query: &str) -> Form {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the state")
    }

    fn serve(&self, mut client: TcpStream) {
        // A client that hangs up in the middle is what some tests are about.
        let Ok(request) = Request::read(&client) else {
            return;
        };
        let target = request.target();
        let answer = match target.split_once('?').unwrap_or((&target, "")) {
            ("/v1/authorize", query) => self.page(&parsed(query)),
            ("/v1/sessions/confirmation", query) => {
                answer(200, "text/plain", STANDARD.encode(query))
            }
            ("/v1/token", _) => self.token(&request),
            _ => answer(404, "text/plain", "no such page".into()),
        };
        drop(client.write_all(answer.to_http().as_bytes()));
    }

    fn page(&self, query: &Form) -> Answer {
        match self.code(query) {
            Ok(location) => Answer {
                headers: vec![("Location".into(), location)],
                ..answer(302, "text/plain", String::new())
            },
            Err(why) => answer(400, "text/plain", why),
        }
    }

    fn code(&self, query: &Form) -> Result<String, String> {
        let get = |name: &str| query.get(name).cloned().ok_or(format!("{name} is missing"));
        let is = |name: &str, expected: &str| match get(name)? == expected {
            true => Ok(()),
            false => Err(format!("{name} is not {expected}")),
        };
        is("response_type", "code")?;
        is("code_challenge_method", "SHA-256")?;
        is("scope", "openid")?;
        let (client_id, redirect) = (get("client_id")?, get("redirect_uri")?);
        let local = redirect.strip_prefix("http://127.0.0.1:");
        let fits = match &client_id[..] {
            SAME_DEVICE => local.is_some_and(|rest| rest.ends_with("/oauth/callback")),
            CROSS_DEVICE => redirect == format!("{}/v1/sessions/confirmation", self.url),
            _ => false,
        };
        let (state, challenge) = (get("state")?, get("code_challenge")?);
        if !fits || state.len() < 16 || challenge.len() != 43 {
            return Err("client_id, redirect_uri, state or code_challenge does not fit".into());
        }
        // With a character that has to be escaped, and longer than a terminal's line may be.
        let code = format!("code+{}{}", random(), "x".repeat(4000));
        let mut locked = self.locked();
        locked.pages += 1;
        locked.secrets.push(code.clone());
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("state", &state)
            .append_pair("code", &code)
            .finish();
        let location = format!("{redirect}?{query}");
        let code_of = Code { client_id, redirect, challenge, used: false };
        locked.codes.insert(code, code_of);
        Ok(location)
    }

    fn token(&self, request: &Request) -> Answer {
        match self.session(request) {
            Ok(session) => answer(200, "application/json", session.to_string()),
            Err((kind, error, why)) => Answer {
                headers: vec![("x-amzn-ErrorType".into(), kind.into())],
                ..answer(
                    if kind == "AccessDeniedException" { 403 } else { 400 },
                    "application/json",
                    json!({ "error": error, "message": why }).to_string(),
                )
            },
        }
    }

    fn session(&self, request: &Request) -> Result<Value, (&'static str, &'static str, String)> {
        let denied = |error, why: &str| ("AccessDeniedException", error, why.to_owned());
        let invalid = |why: &str| ("ValidationException", "INVALID_REQUEST", why.to_owned());
        let mut locked = self.locked();
        let proof = request.header("dpop").ok_or(invalid("no DPoP header"))?;
        let (key, id) = proven(proof, &format!("{}/v1/token", self.url))
            .ok_or(invalid("the DPoP header proves nothing"))?;
        if !locked.proofs.insert(id) {
            return Err(invalid("the proof was used already"));
        }
        let form: Form =
            serde_json::from_slice(&request.body).map_err(|error| invalid(&error.to_string()))?;
        let get = |name: &str| form.get(name).cloned().ok_or(invalid(name));
        // Kept whatever comes of it.
        locked.secrets.extend(form.get("codeVerifier").cloned());
        if let Some(error) = locked.refusal {
            // AWS's own words may well repeat what was sent.
            return Err(denied(error, &format!("refused: {form:?}")));
        }
        let is_first = match &get("grantType")?[..] {
            "authorization_code" => {
                let unknown = || denied("AUTHCODE_EXPIRED", "no such code");
                let code = locked.codes.get_mut(&get("code")?).ok_or_else(unknown)?;
                if std::mem::replace(&mut code.used, true) {
                    return Err(denied("AUTHCODE_EXPIRED", "the code was used already"));
                }
                let verifier = get("codeVerifier")?;
                let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
                if hash != code.challenge || verifier.len() != 64 {
                    return Err(denied("INVALID_REQUEST", "the verifier does not fit"));
                }
                if get("clientId")? != code.client_id || get("redirectUri")? != code.redirect {
                    return Err(denied("INVALID_REQUEST", "the code is of another client"));
                }
                true
            }
            "refresh_token" => {
                let bound_to = locked.refresh_tokens.remove(&get("refreshToken")?);
                if bound_to.as_ref() != Some(&key) {
                    return Err(denied("TOKEN_EXPIRED", "no such token, or another key"));
                }
                locked.renewals += 1;
                false
            }
            _ => return Err(invalid("grantType")),
        };
        let keys: SessionKeys = self.account.assume_role(ROLE, &locked.person);
        let refresh_token = random();
        locked.refresh_tokens.insert(refresh_token.clone(), key);
        let subject = json!({ "sub": locked.session_arn(&self.account) }).to_string();
        let id_token = format!("e30.{}.{}", URL_SAFE_NO_PAD.encode(subject), random());
        locked.secrets.extend([
            keys.secret_access_key.clone(),
            keys.session_token.clone(),
            refresh_token.clone(),
            id_token.clone(),
        ]);
        let mut session = json!({
            "accessToken": {
                "accessKeyId": keys.access_key_id,
                "secretAccessKey": keys.secret_access_key,
                "sessionToken": keys.session_token,
            },
            "tokenType": "aws_sigv4",
            "expiresIn": locked.lifetime,
            "refreshToken": refresh_token,
        });
        if is_first {
            session["idToken"] = id_token.into();
        }
        Ok(session)
    }
}

/// The key and the ID of a proof that is of now, for this address, and signed by that key.
fn proven(proof: &str, address: &str) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Header {
        typ: String,
        alg: String,
        jwk: Jwk,
    }
    #[derive(Deserialize)]
    struct Jwk {
        kty: String,
        crv: String,
        x: String,
        y: String,
    }
    #[derive(Deserialize)]
    struct Payload {
        htm: String,
        htu: String,
        iat: u64,
        jti: String,
    }
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let (message, signature) = proof.rsplit_once('.')?;
    let (header, payload) = message.split_once('.')?;
    let header: Header = serde_json::from_slice(&decoded(header)?).ok()?;
    let payload: Payload = serde_json::from_slice(&decoded(payload)?).ok()?;
    let Jwk { kty, crv, x, y } = header.jwk;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let fits = (&header.typ[..], &header.alg[..]) == ("dpop+jwt", "ES256")
        && (&kty[..], &crv[..]) == ("EC", "P-256")
        && (&payload.htm[..], &payload.htu[..]) == ("POST", address)
        && now.abs_diff(payload.iat) <= 60
        && !payload.jti.is_empty();
    let coordinate = |half: &str| {
        let bytes: [u8; 32] = decoded(half)?.try_into().ok()?;
        Some(FieldBytes::from(bytes))
    };
    let point = EncodedPoint::from_affine_coordinates(&coordinate(&x)?, &coordinate(&y)?, false);
    let key: Option<PublicKey> = PublicKey::from_encoded_point(&point).into();
    let signature = Signature::from_slice(&decoded(signature)?).ok()?;
    let signed = VerifyingKey::from(key?).verify(message.as_bytes(), &signature);
    (fits && signed.is_ok()).then(|| (format!("{x}.{y}"), payload.jti))
}

fn answer(status: u16, content_type: &str, body: String) -> Answer {
    Answer { status, headers: vec![("Content-Type".into(), content_type.into())], body }
}

fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}
