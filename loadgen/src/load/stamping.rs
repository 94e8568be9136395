//! Whether this machine's kernel stamps what reaches a socket, found out before anything is measured.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::load::error::RunError;
use crate::load::transport::Transport;
use crate::plan::Timestamps;

/// Whether the connections of a plan that asks for `timestamps` are to be stamped.
///
/// # Errors
/// When they must be and the kernel does not do so.
pub fn decide(timestamps: Timestamps) -> Result<bool, RunError> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    decide_by(timestamps, || FOUND.get_or_init(|| probe().map_err(|error| error.to_string())).clone())
}

/// As [`decide`]; `find` says whether the kernel does so, and is asked only if that matters.
fn decide_by(timestamps: Timestamps, find: impl FnOnce() -> Result<(), String>) -> Result<bool, RunError> {
    match timestamps {
        Timestamps::Off => Ok(false),
        Timestamps::Auto => Ok(find().is_ok()),
        Timestamps::On => find().map(|()| true).map_err(|why| RunError::Unstamped { why }),
    }
}

/// Sends bytes over a connection of its own until one of them is stamped: a kernel accepts the option before it begins to
/// stamp, and some never do.
fn probe() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let receiver = TcpStream::connect(listener.local_addr()?)?;
    let (sender, _) = listener.accept()?;
    receiver.set_read_timeout(Some(PATIENCE))?;
    let (mut sender, mut receiver) = (Transport::Tcp(sender), Transport::Tcp(receiver));
    receiver.set_stamped()?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        sender.write(&[0])?;
        if let (_, Some(_)) = receiver.read_stamped(&mut [0; 16])? {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "it accepts SO_TIMESTAMPING, but its reads bring no time"))
}

/// How long the kernel has to begin: it does so in a task of its own, in microseconds unless the machine is loaded.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it is tried.
const POLL: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_kernel_does_not_stamp_only_on_is_an_error() {
        let without = || Err("Protocol not available".to_owned());
        assert!(matches!(decide_by(Timestamps::Auto, without), Ok(false)));
        assert!(matches!(decide_by(Timestamps::Off, || unreachable!("nobody asked")), Ok(false)));
        let error = decide_by(Timestamps::On, without).unwrap_err().to_string();
        assert!(error.contains("--timestamps on") && error.contains("Protocol not available"), "{error}");
        for timestamps in [Timestamps::On, Timestamps::Auto] {
            assert!(matches!(decide_by(timestamps, || Ok(())), Ok(true)));
        }
    }

    #[test]
    fn this_kernel_stamps() {
        probe().unwrap();
    }
}
