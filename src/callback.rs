//! Waits on this machine's loopback address for the one request with which a browser brings the
//! answer of a sign-in. Speaks just enough HTTP for that, and does not know what the answer means.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

const PATH: &str = "/oauth/callback";
/// The longest head of a request. An authorization code has up to two kilobytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long a connection may take to send its request, and to take its answer.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
/// How many connections are open at once. A browser opens a few.
const AT_ONCE: usize = 64;
/// The pause after a connection that the system could not give, often for want of file handles.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener that nobody outside of this machine can reach.
pub struct Callback {
    listener: TcpListener,
    port: u16,
}

impl Callback {
    /// Without a port, the system chooses a free one.
    pub async fn bind(port: Option<u16>) -> Result<Self> {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.unwrap_or(0));
        let refused = |cause: io::Error| {
            Error::failed(format!("cannot listen on {address} of this machine: {cause}"))
                .hint("choose another port with --redirect-port, or sign in without one: cloudcred login --remote")
                .caused_by(cause)
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let port = listener.local_addr().map_err(refused)?.port();
        Ok(Callback { listener, port })
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for a request to [`Callback::address`] whose query `accept` takes, tells the browser
    /// how it ended, and returns what `accept` made of it. Others get an error page, as do requests
    /// from within another page, or for a host name that somebody has led here. No number of them
    /// keeps the browser out.
    pub async fn wait<T: Send + 'static>(
        self,
        limit: Duration,
        accept: impl Fn(&str) -> Option<Result<T>> + Clone + Send + 'static,
    ) -> Result<T> {
        let Ok((stream, accepted)) = timeout(limit, self.serve(accept)).await else {
            let minutes = limit.as_secs().div_ceil(60);
            return Err(Error::failed(format!("nobody signed in within {minutes} minutes"))
                .hint("run the command again, and finish the sign-in in the browser"));
        };
        let text = match &accepted {
            Ok(_) => "You can close this page and return to the terminal.",
            Err(_) => "This did not work. Return to the terminal: it says why.",
        };
        answer(stream, "200 OK", text).await;
        accepted
    }

    /// The connection whose query was accepted, not answered yet, and what came of it.
    async fn serve<T: Send + 'static>(
        self,
        accept: impl Fn(&str) -> Option<T> + Clone + Send + 'static,
    ) -> (TcpStream, T) {
        let mut connections = JoinSet::new();
        // The oldest first.
        let mut open: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            tokio::select! {
                connection = self.listener.accept() => {
                    open.retain(|connection| !connection.is_finished());
                    if connection.is_err() || open.len() >= AT_ONCE {
                        // The oldest may hold what the system lacks.
                        open.pop_front().iter().for_each(AbortHandle::abort);
                    }
                    let Ok((stream, _)) = connection else {
                        sleep(PAUSE).await;
                        continue;
                    };
                    open.push_back(connections.spawn(talk(stream, self.port, accept.clone())));
                    // What it has sent already is read before another one could displace it.
                    yield_now().await;
                }
                Some(ended) = connections.join_next() => {
                    if let Ok(Some(accepted)) = ended {
                        return accepted;
                    }
                }
            }
        }
    }
}

/// Reads one request, and answers it unless its query is accepted.
async fn talk<T>(
    mut stream: TcpStream,
    port: u16,
    accept: impl Fn(&str) -> Option<T>,
) -> Option<(TcpStream, T)> {
    let head = timeout(CONNECTION_LIMIT, read_head(&mut stream)).await.ok()?.ok()?;
    let (status, text) = match query_of(&head, port) {
        None => ("404 Not Found", "There is nothing here."),
        Some(query) => match accept(query) {
            Some(accepted) => return Some((stream, accepted)),
            None => ("400 Bad Request", "This is not the sign-in that cloudcred waits for."),
        },
    };
    answer(stream, status, text).await;
    None
}

/// The request up to its first blank line.
async fn read_head(stream: &mut TcpStream) -> io::Result<Zeroizing<Vec<u8>>> {
    // Of its whole size at once: growing would leave copies of the code behind.
    let mut head = Zeroizing::new(Vec::with_capacity(LONGEST_HEAD));
    let mut seen = 0;
    while !head[seen..].windows(4).any(|end| end == b"\r\n\r\n") {
        seen = head.len().saturating_sub(3);
        let room = LONGEST_HEAD - head.len();
        if room == 0 || (&mut *stream).take(room as u64).read_buf(&mut *head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(head)
}

/// The query, if a browser was sent to the callback's path on this port.
fn query_of(head: &[u8], port: u16) -> Option<&str> {
    let mut lines = std::str::from_utf8(head).ok()?.lines();
    let target = lines.next()?.strip_prefix("GET ")?.split(' ').next()?;
    let (path, query) = target.split_once('?')?;
    let mut host = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("host") && host.replace(value).is_some() {
            return None;
        }
        // Browsers say why they request something (Fetch Metadata, W3C): nobody is sent to the
        // address of an image or a script in another page.
        if name.eq_ignore_ascii_case("sec-fetch-mode") && value != "navigate" {
            return None;
        }
    }
    let (name, host_port) = host?.split_once(':')?;
    let is_here = ["127.0.0.1", "localhost"].contains(&name) && host_port == port.to_string();
    (path == PATH && is_here).then_some(query)
}

/// A browser that does not take its page is no reason to fail.
async fn answer(mut stream: TcpStream, status: &str, text: &str) {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>cloudcred</title>\n\
         <body style=\"font: 1.2rem sans-serif; margin: 4rem\"><h1>cloudcred</h1>\n<p>{text}</p>\n"
    );
    // The page's address holds the code, so it is neither cached nor passed on.
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    );
    let sent = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    drop(timeout(CONNECTION_LIMIT, sent).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Sends the request, with the headers of a browser that was sent here.
    async fn ask(port: u16, request: &str) -> String {
        ask_with(port, request, &format!("Host: 127.0.0.1:{port}\r\n")).await
    }

    async fn ask_with(port: u16, request: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("it listens");
        let head = format!("{request} HTTP/1.1\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer
    }

    fn accept(query: &str) -> Option<Result<String>> {
        match query {
            "theirs" => None,
            "wrong" => Some(Err(Error::failed("wrong"))),
            query => Some(Ok(query.to_owned())),
        }
    }

    async fn listening() -> (u16, tokio::task::JoinHandle<Result<String>>) {
        let callback = Callback::bind(None).await.expect("a free port");
        let port = callback.port;
        (port, tokio::spawn(callback.wait(PATIENCE, accept)))
    }

    #[tokio::test]
    async fn other_requests_and_silent_connections_do_not_end_the_wait() {
        let (port, waiting) = listening().await;
        let silent = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        let closed = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        drop(closed);
        for other in [
            "GET /favicon.ico",
            "GET /oauth/callback",
            "GET /oauth/callback/x?a",
            "POST /oauth/callback?a",
        ] {
            let answer = ask(port, other).await;
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        }
        let answer = ask(port, "GET /oauth/callback?code=1").await;
        assert!(answer.contains("return to the terminal"), "{answer}");
        let query = waiting.await.expect("no panic").expect("accepted");
        assert_eq!(query, "code=1");
        drop(silent);
        // One answer, and nobody listens any more.
        let second = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        assert!(second.is_err(), "a second callback finds nobody");
    }

    #[tokio::test]
    async fn what_no_browser_was_sent_with_does_not_end_the_wait() {
        let (port, waiting) = listening().await;
        let here = format!("Host: 127.0.0.1:{port}\r\n");
        for headers in [
            String::new(),
            "Host: 127.0.0.1\r\n".to_owned(),
            format!("Host: example.com:{port}\r\n"),
            format!("{here}Host: example.com:{port}\r\n"),
            format!("{here}Sec-Fetch-Mode: no-cors\r\n"),
            format!("{here}sec-fetch-mode:cors\r\n"),
            format!("{here}no header\r\n"),
        ] {
            let answer = ask_with(port, "GET /oauth/callback?wrong", &headers).await;
            assert!(answer.starts_with("HTTP/1.1 404"), "{headers}: {answer}");
        }
        let headers = format!("sec-fetch-mode: navigate\r\nhost: localhost:{port}\r\n");
        let answer = ask_with(port, "GET /oauth/callback?code=1", &headers).await;
        assert!(answer.contains("return to the terminal"), "{answer}");
        assert!(waiting.await.expect("no panic").is_ok());
    }

    #[tokio::test]
    async fn any_number_of_silent_connections_keeps_no_browser_out() {
        let (port, waiting) = listening().await;
        let mut silent = Vec::new();
        for _ in 0..3 * AT_ONCE {
            silent.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await);
        }
        let asking = ask(port, "GET /oauth/callback?code=1");
        let answer = timeout(CONNECTION_LIMIT / 2, asking).await;
        assert!(answer.expect("at once").contains("return to the terminal"));
        assert!(waiting.await.expect("no panic").is_ok());
    }

    #[tokio::test]
    async fn an_answer_of_another_sign_in_does_not_end_the_wait() {
        let (port, waiting) = listening().await;
        for _ in 0..2 * AT_ONCE {
            let page = ask(port, "GET /oauth/callback?theirs").await;
            assert!(page.starts_with("HTTP/1.1 400"), "{page}");
            assert!(page.contains("not the sign-in"), "{page}");
        }
        ask(port, "GET /oauth/callback?code=1").await;
        assert_eq!(waiting.await.expect("no panic").expect("accepted"), "code=1");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_flood_that_goes_on_keeps_no_browser_out() {
        let (port, waiting) = listening().await;
        // Idle ones, half a request, half closed, and requests whose answer nobody reads.
        let flood = tokio::spawn(async move {
            let mut connections = VecDeque::new();
            for number in 0.. {
                let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
                    continue;
                };
                let sent: &[u8] = match number % 4 {
                    0 => b"",
                    1 => b"GET /oauth/callback?co",
                    2 => b"GET / HTTP/1.1\r\n\r\n",
                    _ => b"GET /oauth/callback?theirs HTTP/1.1\r\nHost: localhost\r\n\r\n",
                };
                drop(stream.write_all(sent).await);
                if number % 8 == 0 {
                    drop(stream.shutdown().await);
                }
                connections.push_back(stream);
                if connections.len() > 300 {
                    connections.pop_front();
                }
            }
        });
        sleep(Duration::from_millis(300)).await;
        let asking = ask(port, "GET /oauth/callback?code=1");
        let answer = timeout(CONNECTION_LIMIT / 2, asking).await;
        flood.abort();
        assert!(answer.expect("soon").contains("return to the terminal"));
        assert!(waiting.await.expect("no panic").is_ok());
    }

    #[tokio::test]
    async fn a_slow_request_is_read_until_its_time_is_over() {
        let callback = Callback::bind(None).await.expect("a free port");
        let port = callback.port;
        let address = callback.listener.local_addr().expect("bound");
        assert!(address.ip().is_loopback());
        let waiting = tokio::spawn(callback.wait(PATIENCE, accept));
        let request =
            format!("GET /oauth/callback?code=1 HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        let mut slow = TcpStream::connect(address).await.expect("it listens");
        for piece in request.as_bytes().chunks(7) {
            slow.write_all(piece).await.expect("taken");
            sleep(Duration::from_millis(5)).await;
        }
        assert!(waiting.await.expect("no panic").is_ok());

        // Without an end it is dropped. The clock is the test's.
        let (client, server) = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
            let address = listener.local_addr().expect("bound");
            let client = TcpStream::connect(address).await.expect("it listens");
            (client, listener.accept().await.expect("connected").0)
        };
        tokio::time::pause();
        assert!(talk(server, port, accept).await.is_none());
        drop(client);
    }

    #[tokio::test]
    async fn a_refused_answer_ends_the_wait_and_is_told_in_the_browser() {
        let (port, waiting) = listening().await;
        let answer = ask(port, "GET /oauth/callback?wrong").await;
        assert!(answer.contains("This did not work"), "{answer}");
        assert!(waiting.await.expect("no panic").is_err());
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_is_given_up() {
        let (port, waiting) = listening().await;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("it listens");
        let endless =
            "GET /oauth/callback?x HTTP/1.1\r\nA: ".to_owned() + &"a".repeat(LONGEST_HEAD);
        drop(stream.write_all(endless.as_bytes()).await);
        // It is closed, whether or not what was sent had been read.
        drop(stream.read(&mut [0]).await);
        ask(port, "GET /oauth/callback?x").await;
        assert!(waiting.await.expect("no panic").is_ok());
    }

    #[tokio::test]
    async fn nobody_is_waited_for_for_ever_and_a_taken_port_is_told() {
        let callback = Callback::bind(None).await.expect("a free port");
        let taken = Callback::bind(Some(callback.port)).await.err();
        let taken = taken.expect("it is in use");
        assert!(taken.message.contains(&callback.port.to_string()), "{taken}");
        let error = callback.wait(Duration::from_millis(20), accept).await;
        let error = error.expect_err("nobody came");
        assert!(error.message.contains("nobody signed in"), "{error}");
    }
}
