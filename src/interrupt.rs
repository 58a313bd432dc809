//! Ctrl-C and its like, as a value to wait for or to look at between two steps. Nothing is cleaned
//! up in here: whoever is interrupted ends its own work in its own time.

use std::future::{Future, poll_fn};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, oneshot};

use crate::error::{Error, Result};

/// Listens from its creation on; must be created inside a tokio runtime.
pub struct Interrupt {
    signals: Mutex<Vec<Signal>>,
}

/// Polls for one kind of signal.
type Signal = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<()>> + Send>;

#[cfg(unix)]
fn signals() -> io::Result<Vec<Signal>> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| {
        let mut signal = signal(kind)?;
        Ok(Box::new(move |context: &mut Context<'_>| signal.poll_recv(context)) as Signal)
    };
    let ends = [SignalKind::interrupt(), SignalKind::terminate()];
    ends.into_iter().chain([SignalKind::hangup(), SignalKind::quit()]).map(listen).collect()
}

#[cfg(windows)]
fn signals() -> io::Result<Vec<Signal>> {
    use tokio::signal::windows;
    let (mut ctrl_c, mut ctrl_break) = (windows::ctrl_c()?, windows::ctrl_break()?);
    let mut close = windows::ctrl_close()?;
    Ok(vec![
        Box::new(move |context| ctrl_c.poll_recv(context)),
        Box::new(move |context| ctrl_break.poll_recv(context)),
        Box::new(move |context| close.poll_recv(context)),
    ])
}

impl Interrupt {
    pub fn listen() -> Result<Self> {
        Ok(Interrupt { signals: Mutex::new(signals()?) })
    }

    pub async fn wait(&self) {
        let mut signals = self.signals.lock().await;
        poll_fn(|context| {
            let arrived = signals.iter_mut().any(|signal| signal(context).is_ready());
            if arrived { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether an interruption arrived that nobody has waited for.
    pub async fn arrived(&self) -> bool {
        tokio::time::timeout(Duration::ZERO, self.wait()).await.is_ok()
    }

    /// Runs work that may be dropped at any point because it changes nothing.
    pub async fn or_cancel<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.wait() => Err(Error::cancelled()),
            result = work => result,
        }
    }
}

/// Runs a blocking read on a thread of its own, which an interruption leaves behind until exit.
pub fn interruptible<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    signal_runtime()?.block_on(async {
        let interrupt = Interrupt::listen()?;
        tokio::select! {
            biased;
            () = interrupt.wait() => Err(Error::cancelled().hint("nothing was changed")),
            answer = start_thread(read) => {
                answer.map_err(|_| Error::failed("a read ended without a result"))
            }
        }
    })
}

/// Only waits, for signals and for time, on the thread that blocks on it.
pub fn signal_runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Runs `work` on a thread that nobody joins.
pub fn start_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || drop(sender.send(work())));
    receiver
}
