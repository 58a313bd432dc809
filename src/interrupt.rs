//! Ctrl-C (and SIGTERM, SIGHUP, SIGQUIT; on Windows Ctrl-Break and the closed window) as a value to wait for or to look at between two steps.
//!
//! Nothing is cleaned up in here: whoever is interrupted ends its own work in its own time.

use std::future::Future;

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
    /// # Errors
    /// When the system refuses a signal handler.
    #[cfg(unix)]
    pub fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|cause| Error::from(anyhow::Error::from(cause)));
        Ok(Interrupt {
            signals: Mutex::new([
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
                listen(SignalKind::quit())?,
            ]),
        })
    }

    /// # Errors
    /// When the system refuses a console handler.
    #[cfg(windows)]
    pub fn listen() -> Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        let refused = |cause| Error::from(anyhow::Error::from(cause));
        Ok(Interrupt {
            signals: Mutex::new(Signals {
                ctrl_c: ctrl_c().map_err(refused)?,
                ctrl_break: ctrl_break().map_err(refused)?,
                close: ctrl_close().map_err(refused)?,
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

    /// Runs work that may be dropped at any point; reading, never changing.
    ///
    /// # Errors
    /// `Cancelled` on an interruption, else what the work returns.
    pub async fn or_cancel<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.wait() => Err(Error::cancelled()),
            result = work => result,
        }
    }
}
