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
    /// Passed on as if there were no rule: for the requests before the one that is meant.
    Pass,
    /// Passed on after a while.
    Delay(Duration),
    /// Passed on at once, and answered after a while.
    AnswerAfter(Duration),
    /// Passed on, and answered so where the server would not refuse it.
    AnswerIfAccepted(Answer),
    /// Passed on, and the answer's body changed.
    Edit(fn(&str) -> String),
    /// Passed on once this has been done: what somebody else does in the middle of a run.
    After(Deed),
    /// Passed on, and answered once this has been done.
    Before(Deed),
    /// This is done, and the connection is closed: the server never hears of it.
    Instead(Deed),
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

/// What somebody else does, as often as it is asked for.
pub type Deed = Arc<dyn Fn() + Send + Sync>;

/// The server behind a proxy, or what stands before it.
pub trait Upstream: Send + Sync {
    /// The whole answer, headers and all.
    fn answer(&self, request: &Request) -> io::Result<Vec<u8>>;
}

/// The server itself, by its host and port.
pub struct Server(pub String);

impl Upstream for Server {
    fn answer(&self, request: &Request) -> io::Result<Vec<u8>> {
        request.forward(&self.0)
    }
}

/// Decides about the requests that no rule is for.
type Chooser = Box<dyn FnMut(&Request) -> Option<Effect> + Send>;

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

const GATE_LIMIT: Duration = Duration::from_secs(120);

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

/// What replaces an answer of the server's only where the server accepts the request.
pub fn if_accepted(effect: Effect) -> Effect {
    match effect {
        Effect::Answer(answer) => Effect::AnswerIfAccepted(answer),
        effect => effect,
    }
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
    chooser: Option<Chooser>,
    calls: BTreeMap<String, u32>,
}

impl Proxy {
    /// `upstream` is host and port of the server behind it.
    pub fn start(upstream: &str) -> Proxy {
        Proxy::before(Arc::new(Server(upstream.to_owned())))
    }

    pub fn before(upstream: Arc<dyn Upstream>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let proxy = Proxy { address, state: Arc::default() };
        let state = Arc::clone(&proxy.state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (state, upstream) = (Arc::clone(&state), Arc::clone(&upstream));
                // A client that hangs up in the middle is what some tests are about.
                thread::spawn(move || drop(serve(client, &*upstream, &state)));
            }
        });
        proxy
    }

    /// The same server, in which every key is the root user's.
    pub fn as_root(upstream: &str, account_id: &str) -> Proxy {
        let arn = format!("arn:aws:iam::{account_id}:root");
        Proxy::start(upstream)
            .rule("GetCallerIdentity", if_accepted(caller_identity(account_id, &arn, account_id)))
    }

    /// The same server, in which these keys are the root user's, and the others whose they are.
    pub fn with_root_keys(upstream: &str, account_id: &str, ids: Vec<String>) -> Proxy {
        let arn = format!("arn:aws:iam::{account_id}:root");
        let proxy = Proxy::start(upstream);
        proxy.add(Rule {
            action: "GetCallerIdentity",
            effect: if_accepted(caller_identity(account_id, &arn, account_id)),
            times: None,
            which: Which::SignedBy(ids),
        });
        proxy
    }

    /// From now on and for every request. Earlier rules come first.
    pub fn rule(self, action: &'static str, effect: Effect) -> Proxy {
        self.add(Rule { action, effect, times: None, which: Which::All });
        self
    }

    /// For every request whose form does not hold this field.
    pub fn unless(self, action: &'static str, field: &'static str, effect: Effect) -> Proxy {
        self.add(Rule { action, effect, times: None, which: Which::Without(field) });
        self
    }

    /// For the next request only.
    pub fn once(self, action: &'static str, effect: Effect) -> Proxy {
        self.add(Rule { action, effect, times: Some(1), which: Which::All });
        self
    }

    pub fn add(&self, rule: Rule) {
        locked(&self.state).rules.push(rule);
    }

    /// From now on this decides about the requests that no rule is for.
    pub fn choose(&self, chooser: impl FnMut(&Request) -> Option<Effect> + Send + 'static) {
        locked(&self.state).chooser = Some(Box::new(chooser));
    }

    /// From now on every request is passed on as it is.
    pub fn calm(&self) {
        let mut state = locked(&self.state);
        state.rules.clear();
        state.chooser = None;
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
        let Some(rule) = rule else {
            return self.chooser.as_mut()?(request);
        };
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.effect.clone())
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no thread panics while it holds the rules")
}

/// One request per connection: clients are told to close it.
fn serve(mut client: TcpStream, upstream: &dyn Upstream, state: &Mutex<State>) -> io::Result<()> {
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
            let answer = upstream.answer(&request)?;
            client.write_all(&answer[..answer.len() / 2])?;
        }
        Some(Effect::CutClean(percentage)) => {
            let answer = upstream.answer(&request)?;
            client.write_all(&cut(&answer, percentage))?;
        }
        Some(Effect::Late(delay)) => {
            client.shutdown(Shutdown::Both)?;
            thread::sleep(delay);
            drop(upstream.answer(&request)?);
            return Ok(());
        }
        Some(Effect::Hold(gate)) => {
            gate.pass();
            client.write_all(&upstream.answer(&request)?)?;
        }
        Some(Effect::DropReply) => drop(upstream.answer(&request)?),
        Some(Effect::Delay(delay)) => {
            thread::sleep(delay);
            client.write_all(&upstream.answer(&request)?)?;
        }
        Some(Effect::AnswerAfter(delay)) => {
            let answer = upstream.answer(&request)?;
            thread::sleep(delay);
            client.write_all(&answer)?;
        }
        Some(Effect::AnswerIfAccepted(instead)) => {
            let answer = upstream.answer(&request)?;
            if status(&answer) == Some(200) {
                client.write_all(instead.to_http().as_bytes())?;
            } else {
                client.write_all(&answer)?;
            }
        }
        Some(Effect::Edit(edit)) => {
            client.write_all(&edited(&upstream.answer(&request)?, edit))?;
        }
        Some(Effect::After(deed)) => {
            deed();
            client.write_all(&upstream.answer(&request)?)?;
        }
        Some(Effect::Before(deed)) => {
            let answer = upstream.answer(&request)?;
            deed();
            client.write_all(&answer)?;
        }
        Some(Effect::Instead(deed)) => deed(),
        Some(Effect::Pass) | None => client.write_all(&upstream.answer(&request)?)?,
    }
    client.shutdown(Shutdown::Both)
}

/// The answer with a part of its body, and with a length that agrees.
fn cut(answer: &[u8], percent: usize) -> Vec<u8> {
    let (head, body) = head_and_body(answer);
    with_body(&head, &body[..body.len() * percent / 100])
}

/// The answer with its body changed, and with a length that agrees.
pub(super) fn edited(answer: &[u8], edit: impl FnOnce(&str) -> String) -> Vec<u8> {
    let (head, body) = head_and_body(answer);
    with_body(&head, edit(&String::from_utf8_lossy(body)).as_bytes())
}

pub(super) fn status(answer: &[u8]) -> Option<u16> {
    let line = String::from_utf8_lossy(answer.split(|byte| *byte == b'\r').next()?).into_owned();
    line.split(' ').nth(1)?.parse().ok()
}

pub(super) fn head_and_body(answer: &[u8]) -> (String, &[u8]) {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let at = answer
        .windows(END_OF_HEAD.len())
        .position(|it| it == END_OF_HEAD)
        .expect("an HTTP answer has a head");
    let head = String::from_utf8_lossy(&answer[..at]).into_owned();
    (head, &answer[at + END_OF_HEAD.len()..])
}

fn with_body(head: &str, body: &[u8]) -> Vec<u8> {
    let mut lines = head.lines();
    let chunked = lines.any(|line| header(line, "transfer-encoding").is_some());
    assert!(!chunked, "only a body in one piece can be changed");
    let lines = head.lines().filter(|line| header(line, "content-length").is_none());
    let mut cut: String = lines.map(|line| format!("{line}\r\n")).collect();
    cut += &format!("Content-Length: {}\r\n\r\n", body.len());
    [cut.as_bytes(), body].concat()
}

pub struct Request {
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
        let length =
            head.iter().find_map(|line| header(line, "content-length")?.parse().ok()).unwrap_or(0);
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

    pub fn action(&self) -> String {
        self.field("Action").unwrap_or_else(|| self.target())
    }

    /// A field of the form.
    pub fn field(&self, name: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(&self.body);
        let (_, value) = fields.find(|(field, _)| field == name)?;
        Some(value.into_owned())
    }

    /// The upstream's whole answer. Only the Connection header differs, which is never signed.
    pub fn forward(&self, upstream: &str) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(upstream)?;
        let mut bytes = Vec::new();
        for line in self.head.iter().filter(|line| header(line, "connection").is_none()) {
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
