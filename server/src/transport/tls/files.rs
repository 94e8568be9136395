//! Files of certificates and keys as bytes. Nobody may have to wait for one: a pipe that nobody writes to would stop the program
//! where no signal ends it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// All of a file, or of a pipe that the program was started with (`<(command)` of a shell, `/dev/stdin`).
///
/// # Errors
/// What is no such file, cannot be read, is larger than 1 MiB, or a pipe from which nothing comes for 10 seconds.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() && !is_descriptor(path) {
        return Err(io::Error::other("it is a named pipe; expected a file"));
    }
    if kind.is_dir() {
        return Err(io::Error::other("it is a directory; expected a file"));
    }
    if !kind.is_file() && !kind.is_fifo() {
        return Err(io::Error::other("it is a device; expected a file"));
    }
    let mut bytes = Vec::new();
    let mut rest = (&file).take(FILE_BYTES + 1);
    loop {
        match rest.read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 > FILE_BYTES => {
                return Err(io::Error::other(format!("it is larger than {} MiB", FILE_BYTES >> 20)));
            }
            Ok(_) => return Ok(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_more(&file)?,
            Err(error) => return Err(error),
        }
    }
}

/// Whether a path names what the program was started with.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") || path == Path::new("/dev/stdin")
}

/// Waits for more in a pipe, or for its end.
fn wait_for_more(pipe: &File) -> io::Result<()> {
    match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&PATIENCE)) {
        Ok(0) => Err(io::Error::other(format!("it is a pipe from which nothing comes for {} s", PATIENCE.tv_sec))),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Bytes of a file: all the certificates that a system trusts take a fifth of it.
const FILE_BYTES: u64 = 1 << 20;

/// How long a command may take that writes a certificate or a key: one that asks another machine for it takes a second or two.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for (path, expected) in [
            (fifo.as_path(), "it is a named pipe; expected a file"),
            (folder.path(), "it is a directory; expected a file"),
            (Path::new("/dev/zero"), "it is a device; expected a file"),
        ] {
            assert_eq!(read(path).unwrap_err().to_string(), expected, "{}", path.display());
        }
        let large = folder.path().join("large");
        std::fs::write(&large, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert_eq!(read(&large).unwrap_err().to_string(), "it is larger than 1 MiB");
    }

    #[test]
    fn a_pipe_that_the_program_was_started_with_is_read_to_its_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let writing = std::thread::spawn(move || {
            for piece in [&b"first "[..], b"second"] {
                std::thread::sleep(std::time::Duration::from_millis(50));
                io::Write::write_all(&mut writer, piece).unwrap();
            }
        });
        assert_eq!(read(&path).unwrap(), b"first second");
        writing.join().unwrap();
    }
}
