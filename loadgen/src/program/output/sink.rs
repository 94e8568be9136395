//! One file that a report is written to. A regular file is replaced as a whole: the report is written beside it and renamed,
//! so that whatever goes wrong leaves the old file or the new one, never half of one. Devices, pipes and what /proc leads to
//! (/dev/stdout among them) have no old content to keep and are written directly.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use server::printing::print;
use tempfile::NamedTempFile;

use crate::host::leftovers;

/// A file that can be written to.
#[derive(Debug)]
pub struct Sink {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Written directly.
    Stream(File),
    /// A regular file, there already or not, behind any symbolic links.
    Regular(PathBuf),
}

impl Sink {
    /// Makes sure that `path` can be written to. What a regular file holds stays, and one that is not there is not made.
    ///
    /// # Errors
    /// When it cannot.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (target, stream) = follow(path)?;
        let mut writing = OpenOptions::new();
        writing.write(true);
        let place = match fs::metadata(&target) {
            // By another descriptor of the same file something may have been written.
            Ok(file) if stream && file.is_file() => Place::Stream(writing.append(true).open(&target)?),
            Ok(file) if !file.is_file() => Place::Stream(writing.open(&target)?),
            Ok(_) => {
                writing.open(&target)?;
                Place::Regular(target)
            }
            Err(error) if error.kind() == ErrorKind::NotFound && target.file_name().is_some() => {
                // Removed at once.
                beside(&target)?;
                Place::Regular(target)
            }
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), place })
    }

    /// What it was opened as.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `content` the file's, or writes it to a device or pipe; a reader that has closed its end had enough, and is no
    /// error.
    ///
    /// # Errors
    /// When it does not take it.
    pub fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        match &mut self.place {
            Place::Stream(file) => print(file, content),
            Place::Regular(target) => replace(target, content),
        }
    }
}

fn replace(target: &Path, content: &[u8]) -> io::Result<()> {
    let old = fs::metadata(target).ok();
    let new = match beside(target) {
        Ok(new) => new,
        Err(error) if old.is_some() && is_refusal(&error) => return overwrite(target, content),
        Err(error) => return Err(error),
    };
    let name = new.path().to_owned();
    leftovers::unfinished(&name);
    let result = fill(&new, old.as_ref(), content).and_then(|()| match new.persist(target) {
        Ok(_) => Ok(()),
        Err(error) if old.is_some() && is_refusal(&error.error) => overwrite(target, content),
        Err(error) => Err(error.error),
    });
    leftovers::finished(&name);
    result
}

/// Writes the new file, with the owner and the permissions of the old one.
fn fill(new: &NamedTempFile, old: Option<&fs::Metadata>, content: &[u8]) -> io::Result<()> {
    let mut file = new.as_file();
    file.write_all(content)?;
    if let Some(old) = old {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            // Only root may give files away.
            let _ = fchown(file, Some(old.uid()), Some(old.gid()));
        }
        file.set_permissions(old.permissions())?;
    }
    // Some file systems say only now that they are full.
    file.sync_all()
}

/// A file that can be written to in a directory that cannot, or that is a mount of its own, as in a container.
fn overwrite(target: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(target)?.write_all(content)
}

/// Whether the file can only be written to where it is.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::ResourceBusy)
}

/// A new file beside `target`, with the permissions of any new file; removed unless it is renamed.
fn beside(target: &Path) -> io::Result<NamedTempFile> {
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(".loadgen-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .map_err(|error| plain(&error))
}

/// The error without the name that was tried, which is none of the user's.
fn plain(error: &io::Error) -> io::Error {
    let cause = error.get_ref().and_then(std::error::Error::source).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.unwrap_or(error).raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// The file that `path` leads to by symbolic links, and whether the last of them is one of /proc to an open file.
fn follow(path: &Path) -> io::Result<(PathBuf, bool)> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(next) = fs::read_link(&path) else { return Ok((path, false)) };
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        if fs::canonicalize(&directory).is_ok_and(|directory| directory.starts_with("/proc")) {
            return Ok((path, true));
        }
        path = directory.join(next);
    }
    Err(Errno::LOOP.into())
}

/// As many symbolic links as Linux follows (path_resolution(7)).
const MOST_LINKS: usize = 40;
