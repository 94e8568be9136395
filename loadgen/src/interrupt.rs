//! Ctrl-C and SIGTERM: the first ends the run early, with a report of what there is; the second ends the program.

use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::trust::Verdict;

/// Whether the user wants the run to end.
#[derive(Debug)]
pub struct Interrupt {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    interrupted: AtomicBool,
    /// The servers that were started here.
    servers: Mutex<Vec<i32>>,
}

impl Interrupt {
    /// Takes the signals over from their default, which is to end the process.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn install() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let state = Arc::new(State::default());
        let shared = state.clone();
        thread::spawn(move || {
            for _ in signals.forever() {
                if shared.interrupted.swap(true, Ordering::Relaxed) {
                    let servers = shared.servers.lock().unwrap_or_else(PoisonError::into_inner);
                    for server in servers.iter().copied().filter_map(Pid::from_raw) {
                        // It may be gone already, which is as good.
                        let _ = kill_process_group(server, Signal::TERM);
                    }
                    process::exit(Verdict::Interrupted.exit_code().into());
                }
            }
        });
        Ok(Self { state })
    }

    /// Set once the first signal has come.
    pub fn flag(&self) -> &AtomicBool {
        &self.state.interrupted
    }

    /// Has a second signal stop these processes too, and no longer those given before.
    pub fn stops_with_it(&self, servers: Vec<i32>) {
        *self.state.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }
}
