//! Waits on this machine's loopback address for the one request with which a browser brings the
//! answer of a sign-in. Speaks just enough HTTP for that, and knows nothing of what the answer means.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

const PATH: &str = "/oauth/callback";
/// Of a request's head. An authorization code has up to two kilobytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long a connection may take to say what it wants, and to take its answer.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
/// Browsers open a few connections ahead; more than this is no browser.
const AT_ONCE: usize = 16;

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
    /// its query. The browser is told how it ended; requests for anything else get 404, and
    /// connections that say nothing keep nobody from being heard.
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
        loop {
            let request = tokio::select! {
                connection = self.listener.accept() => {
                    // What is wrong with one connection is wrong with that one only.
                    if let (Ok((stream, _)), true) = (connection, requests.len() < AT_ONCE) {
                        requests.spawn(read(stream));
                    }
                    continue;
                }
                Some(request) = requests.join_next() => request,
            };
            let Ok(Ok(request)) = request else {
                continue;
            };
            match request.query() {
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
    /// Of a GET; holds the code.
    target: Option<Zeroizing<String>>,
}

impl Request {
    /// The query, where the request is for the callback's path.
    fn query(&self) -> Option<Zeroizing<String>> {
        let (path, query) = self.target.as_ref()?.split_once('?')?;
        (path == PATH).then(|| Zeroizing::new(query.to_owned()))
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
    let target = std::str::from_utf8(&head).ok().and_then(|head| {
        let mut words = head.lines().next()?.split(' ');
        let is_get = words.next() == Some("GET");
        let target = words.next().filter(|_| is_get)?;
        Some(Zeroizing::new(target.to_owned()))
    });
    Ok(Request { stream, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn ask(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("taken");
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
            "GET /favicon.ico HTTP/1.1\r\n\r\n",
            "GET /oauth/callback HTTP/1.1\r\n\r\n",
            "GET /oauth/callback/x?a HTTP/1.1\r\n\r\n",
            "POST /oauth/callback?a HTTP/1.1\r\n\r\n",
        ] {
            let answer = ask(port, other).await;
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        }
        let answer = ask(
            port,
            "GET /oauth/callback?code=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        .await;
        assert!(answer.contains("return to the terminal"), "{answer}");
        let query = waiting.await.expect("no panic").expect("accepted");
        assert_eq!(query, "code=1");
        drop(silent);
        // One answer, and nobody listens any more.
        let second = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        assert!(second.is_err(), "a second callback finds nobody");
    }

    #[tokio::test]
    async fn a_refused_answer_ends_the_wait_and_is_told_in_the_browser() {
        let (port, waiting) = listening().await;
        let answer = ask(port, "GET /oauth/callback?wrong HTTP/1.1\r\n\r\n").await;
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
        ask(port, "GET /oauth/callback?x HTTP/1.1\r\n\r\n").await;
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
