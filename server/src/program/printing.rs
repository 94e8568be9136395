//! What the program says on stdout and stderr beside its log.

use std::io::{self, Write as _};
use std::time::Duration;

use super::logging;
use crate::Error;

/// Writes an error to stderr. `eprintln!` would panic where stderr cannot be written; the exit code is left to tell it.
pub(super) fn complain(error: &Error) {
    let _ = logging::write_within(io::stderr(), format!("error: {error}\n").as_bytes(), READER_PATIENCE);
}

/// Writes to stdout at once.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// How long whoever reads the ready line or an error may take until there is room for it in the pipe: a reader that is
/// merely slow gets it, and one that never reads does not keep the server from serving or from ending.
pub(super) const READER_PATIENCE: Duration = Duration::from_secs(1);
