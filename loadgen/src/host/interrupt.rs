//! The signals that end a program: SIGINT (Ctrl-C), SIGTERM, SIGHUP (the terminal is closed) and SIGQUIT (Ctrl-\\). The
//! first ends the run early, with a report of what there is; the second ends the program.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use procfs::process::Process;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::host::leftovers;
use crate::host::target::no_thread;

/// Whether the user wants the run to end.
#[derive(Debug)]
pub struct Interrupt {
    interrupted: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes the signals over from their default, which is to end the process. The second one ends it with
    /// `exit_code`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn install(exit_code: u8) -> io::Result<Self> {
        let mut signals = Signals::new(taken(ignored()))?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let shared = interrupted.clone();
        let watch = move || {
            for _ in signals.forever() {
                if shared.swap(true, Ordering::Relaxed) {
                    leftovers::dispose();
                    process::exit(exit_code.into());
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(no_thread)?;
        Ok(Self { interrupted })
    }

    /// Set once the first signal has come.
    pub fn flag(&self) -> &AtomicBool {
        &self.interrupted
    }
}

/// The signals to take over, where those of the mask `ignored` were ignored when the program began. nohup has SIGHUP
/// ignored and a shell SIGQUIT for what runs in the background, and both are meant to stay so. SIGINT, which a shell has
/// ignored there too, is taken all the same: whoever sends it to a process by its id wants it to end.
fn taken(ignored: u64) -> Vec<i32> {
    let stays_ignored = |signal: i32| matches!(signal, SIGHUP | SIGQUIT) && ignored & (1 << (signal - 1)) != 0;
    [SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter().filter(|signal| !stays_ignored(*signal)).collect()
}

/// The signals that this process ignores, as bits from 0 for signal 1; none where /proc does not tell.
fn ignored() -> u64 {
    Process::myself().and_then(|own| own.status()).map_or(0, |status| status.sigign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_or_a_shell_has_ignored_stays_ignored() {
        let bit = |signal: i32| 1 << (signal - 1);
        assert_eq!(taken(0), [SIGINT, SIGTERM, SIGHUP, SIGQUIT]);
        assert_eq!(taken(bit(SIGHUP)), [SIGINT, SIGTERM, SIGQUIT]);
        assert_eq!(taken(bit(SIGINT) | bit(SIGQUIT)), [SIGINT, SIGTERM, SIGHUP]);
    }
}
