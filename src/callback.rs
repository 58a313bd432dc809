//! Waits on this machine's loopback address for the one request with which a browser brings the
//! answer of a sign-in. Speaks just enough HTTP for that, and knows nothing of what the answer means.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

const PATH: &str = "/oauth/callback";
/// Of a request's head. An authorization code has up to two kilobytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long a connection may take to say what it wants, and to take its answer.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
/// Browsers open a few connections ahead; more than this is no browser.
const AT_ONCE: usize = 16;
/// Before asking again for a connection that the system could not give: often for want of files,
/// which takes a while.
const BREATH: Duration = Duration::from_millis(100);

/// A listener that nobody outside of this machine can reach.
pub struct Callback {
    listener: TcpListener,
    port: u16,
}

impl Callback {
    /// Without a port, the system chooses a free one.
    ///
    /// # Errors
    /// When the port is in use, or may not be used.
    pub async fn bind(port: Option<u16>) -> Result<Self> {
        let bound = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await?;
            let port = listener.local_addr()?.port();
            io::Result::Ok(Callback { listener, port })
        };
        bound.await.map_err(|cause| {
            let error = Error::failed(match port {
                Some(port) => format!("cannot listen on port {port} of this machine: {cause}"),
                None => format!("cannot listen on this machine's loopback address: {cause}"),
            });
            let error = error.caused_by(cause);
            match port {
                Some(_) => error.hint("choose another one with --redirect-port, or leave it out"),
                None => error.hint("sign in without a listener: cloudcred login --remote"),
            }
        })
    }

    /// Where the browser is to be sent.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the first request to [`Callback::address`] and ends with what `accept` makes of
    /// its query. The browser is told how it ended. Requests for anything else get 404, and so do
    /// those that no browser makes for a page that somebody opens: from within another page, or for
    /// a host name that somebody has led here. Connections that say nothing keep nobody from being
    /// heard.
    ///
    /// # Errors
    /// `accept`'s; or that nothing came within `limit`.
    pub async fn wait<T>(self, limit: Duration, accept: impl Fn(&str) -> Result<T>) -> Result<T> {
        timeout(limit, self.first(accept))
            .await
            .unwrap_or_else(|_| {
                Err(Error::failed(format!(
                    "nobody signed in within {} minutes",
                    limit.as_secs().div_ceil(60)
                ))
                .hint("run the command again, and finish the sign-in in the browser"))
            })
    }

    async fn first<T>(self, accept: impl Fn(&str) -> Result<T>) -> Result<T> {
        let mut requests: JoinSet<io::Result<Request>> = JoinSet::new();
        // The oldest first.
        let mut read_from: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            let request = tokio::select! {
                connection = self.listener.accept() => {
                    let Ok((stream, _)) = connection else {
                        // What is wrong with one connection is wrong with that one only.
                        sleep(BREATH).await;
                        continue;
                    };
                    read_from.retain(|reading| !reading.is_finished());
                    if read_from.len() >= AT_ONCE {
                        // The browser that somebody has signed in with comes last.
                        read_from.pop_front().iter().for_each(AbortHandle::abort);
                    }
                    read_from.push_back(requests.spawn(read(stream)));
                    continue;
                }
                Some(request) = requests.join_next() => request,
            };
            let Ok(Ok(request)) = request else {
                continue;
            };
            match request.query(self.port) {
                Some(query) => {
                    let accepted = accept(&query);
                    let text = match &accepted {
                        Ok(_) => "You can close this page and return to the terminal.",
                        Err(_) => "This did not work. Return to the terminal: it says why.",
                    };
                    request.answer("200 OK", text).await;
                    return accepted;
                }
                None => {
                    request
                        .answer("404 Not Found", "There is nothing here.")
                        .await
                }
            }
        }
    }
}

struct Request {
    stream: TcpStream,
    /// As it was sent; holds the code.
    head: Zeroizing<Vec<u8>>,
}

impl Request {
    /// The query, where a browser was sent to the callback's path on this port.
    fn query(&self, port: u16) -> Option<Zeroizing<String>> {
        let mut lines = std::str::from_utf8(&self.head).ok()?.lines();
        let target = lines.next()?.strip_prefix("GET ")?.split(' ').next()?;
        let (path, query) = target.split_once('?')?;
        let mut host = None;
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("host") && host.replace(value).is_some() {
                return None;
            }
            // Browsers tell why they ask (Fetch Metadata, W3C): an image's or a script's address
            // in somebody's page is none that a person was sent to.
            if name.eq_ignore_ascii_case("sec-fetch-mode") && value != "navigate" {
                return None;
            }
        }
        let here = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}"));
        let is_here = here.iter().any(|here| Some(here.as_str()) == host);
        (path == PATH && is_here).then(|| Zeroizing::new(query.to_owned()))
    }

    /// A browser that does not take its page is no reason to fail.
    async fn answer(mut self, status: &str, text: &str) {
        let page = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>cloudcred</title>\n\
             <body style=\"font: 1.2rem sans-serif; margin: 4rem\"><h1>cloudcred</h1>\n<p>{text}</p>\n"
        );
        // The page's address holds the code: it is neither kept nor told to anybody.
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n\
             Content-Length: {}\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
             Connection: close\r\n\r\n{page}",
            page.len()
        );
        let sent = async {
            self.stream.write_all(answer.as_bytes()).await?;
            self.stream.shutdown().await
        };
        drop(timeout(CONNECTION_LIMIT, sent).await);
    }
}

async fn read(mut stream: TcpStream) -> io::Result<Request> {
    // Of its whole size at once: growing would leave copies of the code behind.
    let mut head = Zeroizing::new(Vec::with_capacity(LONGEST_HEAD));
    let reading = async {
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let room = LONGEST_HEAD - head.len();
            if room == 0 || (&mut stream).take(room as u64).read_buf(&mut *head).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
        }
        Ok(())
    };
    timeout(CONNECTION_LIMIT, reading).await??;
    Ok(Request { stream, head })
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
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("it listens");
        let head = format!("{request} HTTP/1.1\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer
    }

    fn accept(query: &str) -> Result<String> {
        match query {
            "wrong" => Err(Error::failed("wrong")),
            query => Ok(query.to_owned()),
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
    async fn a_refused_answer_ends_the_wait_and_is_told_in_the_browser() {
        let (port, waiting) = listening().await;
        let answer = ask(port, "GET /oauth/callback?wrong").await;
        assert!(answer.contains("This did not work"), "{answer}");
        assert!(waiting.await.expect("no panic").is_err());
    }

    #[tokio::test]
    async fn a_head_without_end_is_given_up() {
        let (port, waiting) = listening().await;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("it listens");
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
        assert!(
            taken.message.contains(&callback.port.to_string()),
            "{taken}"
        );
        let error = callback.wait(Duration::from_millis(20), accept).await;
        let error = error.expect_err("nobody came");
        assert!(error.message.contains("nobody signed in"), "{error}");
    }
}
