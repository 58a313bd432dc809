//! Ctrl-C and its like (SIGTERM, SIGHUP, SIGQUIT; on Windows Ctrl-Break and the closed window), as a
//! value to wait for or to look at between two steps.
//!
//! Nothing is cleaned up in here: whoever is interrupted ends its own work in its own time.

use std::future::Future;
use std::io;

use crate::error::{Error, Result};

use tokio::sync::Mutex;

/// Listens from its creation on; must be created inside a tokio runtime.
pub struct Interrupt {
    signals: Mutex<Signals>,
}

#[cfg(unix)]
type Signals = [tokio::signal::unix::Signal; 4];

#[cfg(windows)]
struct Signals {
    ctrl_c: tokio::signal::windows::CtrlC,
    ctrl_break: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
}

impl Interrupt {
    pub fn listen() -> Result<Self> {
        Interrupt::handlers().map_err(|cause| Error::from(anyhow::Error::from(cause)))
    }

    #[cfg(unix)]
    fn handlers() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Interrupt {
            signals: Mutex::new([
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::quit())?,
            ]),
        })
    }

    #[cfg(windows)]
    fn handlers() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        Ok(Interrupt {
            signals: Mutex::new(Signals {
                ctrl_c: ctrl_c()?,
                ctrl_break: ctrl_break()?,
                close: ctrl_close()?,
            }),
        })
    }

    /// Waits for an interruption.
    pub async fn wait(&self) {
        let mut signals = self.signals.lock().await;
        #[cfg(unix)]
        {
            let [interrupt, terminate, hangup, quit] = &mut *signals;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = quit.recv() => {}
            }
        }
        #[cfg(windows)]
        tokio::select! {
            _ = signals.ctrl_c.recv() => {}
            _ = signals.ctrl_break.recv() => {}
            _ = signals.close.recv() => {}
        }
    }

    /// Whether an interruption arrived that nobody has waited for.
    pub async fn arrived(&self) -> bool {
        tokio::select! {
            biased;
            () = self.wait() => true,
            () = std::future::ready(()) => false,
        }
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

/// Runs a blocking read on a thread of its own, outside of any tokio runtime. On an interruption the
/// thread is left behind, because a blocked read cannot be ended; it ends with the process.
pub fn interruptible<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let runtime = signal_runtime()?;
    let interrupt = {
        let _inside = runtime.enter();
        Interrupt::listen()?
    };
    runtime.block_on(async {
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
pub fn signal_runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|cause| Error::from(anyhow::Error::from(cause)))
}

/// Runs `work` on a thread that nobody joins.
pub fn start_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> tokio::sync::oneshot::Receiver<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || drop(sender.send(work())));
    receiver
}
