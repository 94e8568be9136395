//! The signals that ask the server to end, and the one that has it read its TLS files again.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::transport::Identity;

/// SIGINT and SIGTERM, caught from creation on.
#[derive(Debug)]
pub(super) struct ShutdownSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl ShutdownSignals {
    /// Catches the signals from now on. Needs a tokio runtime.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The number of the next signal to arrive.
    pub(super) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => SIGINT,
            _ = self.terminate.recv() => SIGTERM,
        }
    }
}

/// SIGHUP, caught from creation on where there is something to reload. Where there is nothing it ends the program, as it does
/// any other.
#[derive(Debug)]
pub(super) struct Hangups(Option<(Signal, Arc<Identity>)>);

impl Hangups {
    /// Catches the signal from now on, if there is an identity. Needs a tokio runtime.
    pub(super) fn install(identity: Option<Arc<Identity>>) -> io::Result<Self> {
        Ok(Self(match identity {
            Some(identity) => Some((signal(SignalKind::hangup())?, identity)),
            None => None,
        }))
    }

    /// Reloads the identity at every signal, for ever.
    pub(super) async fn reload(&mut self) {
        if let Some((signal, identity)) = &mut self.0 {
            while signal.recv().await.is_some() {
                identity.reload_aside().await;
            }
        }
        std::future::pending().await
    }
}

/// Signal numbers of POSIX; an exit code of 128 plus one of them says which signal ended a program.
const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;
