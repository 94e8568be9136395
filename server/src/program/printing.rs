//! What the program says on stdout and stderr beside its log. `loadgen` writes to stdout by the same functions.

use std::io::{self, Write};
use std::time::Duration;

use super::logging;
use crate::Error;

/// Writes an error to stderr. `eprintln!` would panic where stderr cannot be written; the exit code is left to tell it.
pub(super) fn complain(error: &Error) {
    let _ = logging::write_within(io::stderr(), format!("error: {error}\n").as_bytes(), READER_PATIENCE);
}

/// Writes all of `content` to `to`, such as stdout, and flushes it. A reader that has closed its end had enough, which is
/// no error.
///
/// # Errors
/// When `to` does not take it: a disk is full, for example.
pub fn print(mut to: impl Write, content: &[u8]) -> io::Result<()> {
    unless_closed(to.write_all(content).and_then(|()| to.flush()))
}

/// The result of writing, where a reader that has closed its end is no error.
///
/// # Errors
/// Whatever else `written` says.
pub fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// How long whoever reads the ready line or an error may take until there is room for it in the pipe: a reader that is
/// merely slow gets it, and one that never reads does not keep the server from serving or from ending.
pub(super) const READER_PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufWriter, Read as _};

    use super::*;

    #[test]
    fn what_is_printed_is_there_at_once() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut buffered = BufWriter::new(writer);
        print(&mut buffered, b"report\n").unwrap();
        let mut there = [0; 7];
        reader.read_exact(&mut there).unwrap();
        assert_eq!(&there, b"report\n");
    }

    #[test]
    fn a_reader_that_has_closed_its_end_is_no_error_and_a_full_disk_is_one() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        print(writer, b"report\n").unwrap();
        let full = BufWriter::new(File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(print(full, b"report\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
