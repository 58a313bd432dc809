//! A proxy before the IAM server that behaves badly on request: refuses, delays, or loses answers.
//! It passes requests on byte for byte, Host header and all, so that signatures stay valid.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// What happens to requests for an action, instead of being passed on.
#[derive(Clone)]
pub struct Rule {
    /// As in `Action=CreateUser`, or `*` for every request; for one without an action, its path.
    pub action: &'static str,
    pub effect: Effect,
    /// For how many requests; `None` is all of them.
    pub times: Option<u32>,
    pub which: Which,
}

/// Which of the requests for the action.
#[derive(Clone)]
pub enum Which {
    All,
    /// Those whose form lacks this field, as in `TokenCode=123456`.
    Without(&'static str),
    /// Those that are signed with one of these keys.
    SignedBy(Vec<String>),
}

impl Which {
    fn includes(&self, request: &Request) -> bool {
        match self {
            Which::All => true,
            Which::Without(field) => {
                let body = String::from_utf8_lossy(&request.body);
                !body.split('&').any(|it| it == *field)
            }
            Which::SignedBy(ids) => {
                let signature = request.header("authorization").unwrap_or_default();
                ids.iter().any(|id| signature.contains(id))
            }
        }
    }
}

#[derive(Clone)]
pub enum Effect {
    /// The server never hears of it.
    Answer(Answer),
    /// The same after a while.
    AnswerLate(Duration, Answer),
    /// Passed on after a while.
    Delay(Duration),
    /// Passed on once the test opens the gate.
    Hold(Gate),
    /// Passed on, and the connection closed without an answer: AWS did it, and nobody was told.
    DropReply,
    /// Passed on, and half of the answer given: AWS did it, and nobody can read what it said.
    Truncate,
    /// Passed on, and this percentage of the answer's body given, as if that were all of it.
    CutClean(usize),
    /// The connection is closed at once, and the server hears of it only after a while.
    Late(Duration),
    /// The connection is closed at once, and the server never hears of it.
    Reset,
}

/// Holds requests until the test has done what is to happen meanwhile.
#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<(Mutex<GateState>, Condvar)>,
}

#[derive(Default)]
struct GateState {
    waiting: usize,
    open: bool,
}

impl Gate {
    /// Returns when this many requests are being held.
    #[track_caller]
    pub fn wait_for(&self, requests: usize) {
        let (state, changed) = &*self.state;
        let state = state.lock().expect("nobody panics while holding it");
        let (_held, waited) = changed
            .wait_timeout_while(state, GATE_LIMIT, |it| it.waiting < requests)
            .expect("as above");
        assert!(!waited.timed_out(), "{requests} requests did not arrive");
    }

    pub fn open(&self) {
        let (state, changed) = &*self.state;
        state.lock().expect("as above").open = true;
        changed.notify_all();
    }

    fn pass(&self) {
        let (state, changed) = &*self.state;
        let mut state = state.lock().expect("as above");
        state.waiting += 1;
        changed.notify_all();
        // A test that has failed meanwhile opens it no more.
        let passed = changed.wait_timeout_while(state, GATE_LIMIT, |it| !it.open);
        passed.expect("as above").0.waiting -= 1;
    }
}

const GATE_LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// An answer in the server's place.
pub fn answer(status: u16, body: &str) -> Effect {
    xml(status, body.to_owned())
}

/// An error as IAM and STS phrase it.
pub fn aws_error(status: u16, code: &str, message: &str) -> Effect {
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    xml(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>{kind}</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{REQUEST_ID}</RequestId>\
             </ErrorResponse>"
        ),
    )
}

/// What IAM tells of the root user: how many keys it has, and how many MFA devices.
pub fn account_summary(keys: u8, devices: u8) -> Effect {
    let entry = |name, value| format!("<entry><key>{name}</key><value>{value}</value></entry>");
    let map = entry("AccountAccessKeysPresent", keys) + &entry("AccountMFAEnabled", devices);
    let xml = format!(
        "<GetAccountSummaryResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
         <GetAccountSummaryResult><SummaryMap>{map}</SummaryMap></GetAccountSummaryResult>\
         </GetAccountSummaryResponse>"
    );
    answer(200, &xml)
}

/// Who AWS says is asking, for identities that moto cannot have, such as `…:root`.
pub fn caller_identity(account_id: &str, arn: &str, user_id: &str) -> Effect {
    xml(
        200,
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetCallerIdentityResult><Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>{account_id}</Account>\
             </GetCallerIdentityResult><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId>\
             </ResponseMetadata></GetCallerIdentityResponse>"
        ),
    )
}

/// An answer in the server's place, after a while.
pub fn late(effect: Effect, delay: Duration) -> Effect {
    match effect {
        Effect::Answer(answer) => Effect::AnswerLate(delay, answer),
        effect => effect,
    }
}

/// An error as IAM Identity Center phrases it.
pub fn json_error(status: u16, code: &str, message: &str) -> Effect {
    Effect::Answer(Answer {
        status,
        headers: vec![
            ("Content-Type".into(), "application/json".into()),
            ("x-amzn-ErrorType".into(), code.into()),
        ],
        body: format!("{{\"message\":\"{message}\"}}"),
    })
}

const REQUEST_ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn xml(status: u16, body: String) -> Effect {
    Effect::Answer(Answer {
        status,
        headers: vec![("Content-Type".into(), "text/xml".into())],
        body,
    })
}

/// A running proxy. Its threads live as long as the process; that is what a test needs.
pub struct Proxy {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    calls: BTreeMap<String, u32>,
}

impl Proxy {
    /// `upstream` is host and port of the server behind it.
    pub fn start(upstream: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address")
            .to_string();
        let proxy = Proxy {
            address,
            state: Arc::default(),
        };
        let (state, upstream) = (Arc::clone(&proxy.state), upstream.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (state, upstream) = (Arc::clone(&state), upstream.clone());
                // A client that hangs up in the middle is what some tests are about.
                thread::spawn(move || drop(serve(client, &upstream, &state)));
            }
        });
        proxy
    }

    /// The same server, in which every key is the root user's.
    pub fn as_root(upstream: &str, account_id: &str) -> Proxy {
        let arn = format!("arn:aws:iam::{account_id}:root");
        Proxy::start(upstream).rule(
            "GetCallerIdentity",
            caller_identity(account_id, &arn, account_id),
        )
    }

    /// The same server, in which these keys are the root user's, and the others whose they are.
    pub fn with_root_keys(upstream: &str, account_id: &str, ids: Vec<String>) -> Proxy {
        let arn = format!("arn:aws:iam::{account_id}:root");
        let proxy = Proxy::start(upstream);
        proxy.add(Rule {
            action: "GetCallerIdentity",
            effect: caller_identity(account_id, &arn, account_id),
            times: None,
            which: Which::SignedBy(ids),
        });
        proxy
    }

    /// From now on and for every request. Earlier rules come first.
    pub fn rule(self, action: &'static str, effect: Effect) -> Proxy {
        self.add(Rule {
            action,
            effect,
            times: None,
            which: Which::All,
        });
        self
    }

    /// For every request whose form does not hold this field.
    pub fn unless(self, action: &'static str, field: &'static str, effect: Effect) -> Proxy {
        self.add(Rule {
            action,
            effect,
            times: None,
            which: Which::Without(field),
        });
        self
    }

    /// For the next request only.
    pub fn once(self, action: &'static str, effect: Effect) -> Proxy {
        self.add(Rule {
            action,
            effect,
            times: Some(1),
            which: Which::All,
        });
        self
    }

    pub fn add(&self, rule: Rule) {
        locked(&self.state).rules.push(rule);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often the action was asked for, whatever came of it.
    pub fn calls(&self, action: &str) -> u32 {
        locked(&self.state).calls.get(action).copied().unwrap_or(0)
    }
}

impl State {
    /// Counts the request and finds what is to happen to it.
    fn take(&mut self, request: &Request) -> Option<Effect> {
        let action = request.action();
        let rule = self.rules.iter_mut().find(|rule| {
            (rule.action == action || rule.action == "*")
                && rule.times != Some(0)
                && rule.which.includes(request)
        });
        *self.calls.entry(action).or_default() += 1;
        let rule = rule?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.effect.clone())
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state
        .lock()
        .expect("no thread panics while it holds the rules")
}

/// One request per connection: clients are told to close it.
fn serve(mut client: TcpStream, upstream: &str, state: &Mutex<State>) -> io::Result<()> {
    let request = Request::read(&client)?;
    let effect = locked(state).take(&request);
    match effect {
        Some(Effect::Answer(answer)) => client.write_all(answer.to_http().as_bytes())?,
        Some(Effect::AnswerLate(delay, answer)) => {
            thread::sleep(delay);
            client.write_all(answer.to_http().as_bytes())?;
        }
        Some(Effect::Reset) => {}
        Some(Effect::Truncate) => {
            let answer = request.forward(upstream)?;
            client.write_all(&answer[..answer.len() / 2])?;
        }
        Some(Effect::CutClean(percentage)) => {
            let answer = request.forward(upstream)?;
            client.write_all(&cut(&answer, percentage))?;
        }
        Some(Effect::Late(delay)) => {
            client.shutdown(Shutdown::Both)?;
            thread::sleep(delay);
            drop(request.forward(upstream)?);
            return Ok(());
        }
        Some(Effect::Hold(gate)) => {
            gate.pass();
            client.write_all(&request.forward(upstream)?)?;
        }
        Some(Effect::DropReply) => drop(request.forward(upstream)?),
        Some(Effect::Delay(delay)) => {
            thread::sleep(delay);
            client.write_all(&request.forward(upstream)?)?;
        }
        None => client.write_all(&request.forward(upstream)?)?,
    }
    client.shutdown(Shutdown::Both)
}

/// The answer with a part of its body, and with a length that agrees.
fn cut(answer: &[u8], percent: usize) -> Vec<u8> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let at = answer
        .windows(END_OF_HEAD.len())
        .position(|it| it == END_OF_HEAD)
        .expect("an HTTP answer has a head");
    let (head, body) = (&answer[..at], &answer[at + END_OF_HEAD.len()..]);
    let body = &body[..body.len() * percent / 100];
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let chunked = lines.any(|line| header(line, "transfer-encoding").is_some());
    assert!(!chunked, "only a body in one piece can be cut cleanly");
    let lines = head
        .lines()
        .filter(|line| header(line, "content-length").is_none());
    let mut cut: String = lines.map(|line| format!("{line}\r\n")).collect();
    cut += &format!("Content-Length: {}\r\n\r\n", body.len());
    [cut.as_bytes(), body].concat()
}

pub(super) struct Request {
    /// The request line and the headers, each with its line end, without the empty line.
    head: Vec<String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn read(client: &TcpStream) -> io::Result<Request> {
        let mut reader = BufReader::new(client);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == "\r\n" {
                break;
            }
            head.push(line);
        }
        let length = head
            .iter()
            .find_map(|line| header(line, "content-length")?.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Request { head, body })
    }

    /// Path and query.
    pub fn target(&self) -> String {
        let target = self.head.first().and_then(|line| line.split(' ').nth(1));
        target.unwrap_or_default().to_owned()
    }

    /// The value of the header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| header(line, name))
    }

    fn action(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        body.split('&')
            .find_map(|field| field.strip_prefix("Action="))
            .map_or_else(|| self.target(), str::to_owned)
    }

    /// The upstream's whole answer. Only the Connection header differs, which is never signed.
    fn forward(&self, upstream: &str) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(upstream)?;
        let mut bytes = Vec::new();
        for line in self
            .head
            .iter()
            .filter(|line| header(line, "connection").is_none())
        {
            bytes.extend_from_slice(line.as_bytes());
        }
        bytes.extend_from_slice(b"Connection: close\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        server.write_all(&bytes)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// The value, where the line is the header of this lower-case name.
fn header<'line>(line: &'line str, name: &str) -> Option<&'line str> {
    let (found, value) = line.split_once(':')?;
    found.eq_ignore_ascii_case(name).then(|| value.trim())
}

impl Answer {
    pub(super) fn to_http(&self) -> String {
        let mut text = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text + &format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body)
    }
}
