//! Logs: to stderr, as text or JSON, filtered by RUST_LOG. And how lines are written that nobody may wait for.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends the logs of this process to stderr. An embedding program that has set up its own keeps it.
pub(crate) fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(|| Log)
        // Otherwise a line that cannot be written is reported with `eprintln!`, which panics for the same reason. A
        // reader that has gone or a full disk costs the line and nothing else.
        .log_internal_errors(false);
    // An error only says that a subscriber is already there.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Stderr for a thread that must not wait for whoever reads it: what is not taken at once is lost.
struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = write_within(io::stderr(), line, Duration::ZERO);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes `bytes` as far as they are taken within `patience`.
///
/// O_NONBLOCK would do this too, but it is set for everybody who has the same pipe or terminal open, the shell that started
/// the server among them. Instead it is asked before each write whether something is taken, and no more is written than
/// a pipe takes then. This can still wait if another process fills the pipe in between, or on a terminal that takes less.
///
/// # Errors
/// `TimedOut` if not everything is taken in time, or whatever the write says.
pub(crate) fn write_within(to: impl AsFd, mut bytes: &[u8], patience: Duration) -> io::Result<()> {
    // Of two threads that are told that there is room, one might take it all and the other would wait.
    let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let deadline = Instant::now() + patience;
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let ready = &mut [PollFd::new(&to, PollFlags::OUT)];
        let written = match poll(ready, Timespec::try_from(left).ok().as_ref()) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            // If it is an error that is ready, it is the write that says which; it does not wait then.
            Ok(_) => rustix::io::write(&to, &bytes[..bytes.len().min(TAKEN_AT_ONCE)]),
            Err(error) => Err(error),
        };
        match written {
            Ok(written) => bytes = &bytes[written..],
            // The time that is left bounds this.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

static WRITING: Mutex<()> = Mutex::new(());

/// Bytes: PIPE_BUF of Linux. A pipe that is writable has room for so many, so that writing them does not wait (pipe(7)).
const TAKEN_AT_ONCE: usize = 4096;

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::thread;

    use super::*;

    #[test]
    fn what_a_pipe_does_not_take_in_time_is_not_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        // More than a pipe holds by default, 64 KiB, and not a multiple of what is written at once.
        let line = vec![b'x'; (1 << 20) + 1];
        for patience in [Duration::ZERO, Duration::from_millis(50)] {
            let error = write_within(&writer, &line, patience).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        // A reader that is merely slow gets everything that follows.
        let reading = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            read
        });
        write_within(&writer, &line, Duration::from_secs(60)).unwrap();
        drop(writer);
        let read = reading.join().unwrap();
        assert!(read.len() > line.len() && read.iter().all(|&byte| byte == b'x'), "{} bytes", read.len());
    }

    #[test]
    fn a_reader_that_has_gone_is_an_error_also_if_the_pipe_is_full() {
        let (reader, writer) = io::pipe().unwrap();
        let _ = write_within(&writer, &[b'x'; 1 << 20], Duration::ZERO);
        drop(reader);
        let error = write_within(&writer, b"line", Duration::from_secs(60)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
