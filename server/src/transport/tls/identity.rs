//! Who the server is to TLS clients: its certificate and what it asks of theirs, loaded at the start and again when the files
//! change. Connections keep what they began with.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::certificates::{Pair, certified, client_verifier};
use super::provider;
use crate::Error;
use crate::config::{Certificate, Endpoint, TlsOptions};

/// What handshakes begin with.
#[derive(Debug)]
pub(crate) struct Identity {
    options: TlsOptions,
    /// The certificate that was made because no files were asked for.
    made: Option<Pair>,
    /// Whether one of the files is a pipe that the program was started with.
    reads_pipes: bool,
    /// Locked from the look at the files until what they hold is in use, so that what was read later is never replaced by what was
    /// read before it.
    seen: Mutex<Seen>,
    current: RwLock<Arc<ServerConfig>>,
}

/// The files as they were at two times; `None` for one that was not there.
#[derive(Debug)]
struct Seen {
    /// Before they were read last.
    loaded: Vec<Option<Stamp>>,
    /// At the last look.
    looked_at: Vec<Option<Stamp>>,
    /// Why they could not be read last, if that was none of their fault.
    unread: Option<String>,
}

/// What tells that a file is another one, or has been written to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    modified: (i64, i64),
    /// When it was written to, renamed, or given another owner or other permissions, which may make it readable.
    changed: (i64, i64),
    bytes: u64,
}

impl Identity {
    /// What the options say, for these addresses.
    ///
    /// # Errors
    /// Files that cannot be used, by their flag.
    pub(crate) fn load(options: &TlsOptions, listen: &[Endpoint]) -> Result<Arc<Self>, Error> {
        let made = match options.certificate {
            Certificate::SelfSigned => Some(Pair::self_signed(listen)?),
            Certificate::Files { .. } => None,
        };
        let reads_pipes =
            files(options).any(|path| std::fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo()));
        // Before they are read: what is written to them meanwhile is seen as a change.
        let loaded = stamps(options);
        let current = RwLock::new(Arc::new(configure(options, made.as_ref())?));
        let seen = Mutex::new(Seen { looked_at: loaded.clone(), loaded, unread: None });
        Ok(Arc::new(Self { options: options.clone(), made, reads_pipes, seen, current }))
    }

    /// What a handshake begins with now.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again, whether they have changed or not.
    fn reload(&self) {
        if files(&self.options).next().is_none() {
            tracing::info!(
                "no TLS files are read: there are none with --tls-self-signed, whose certificate stays in use"
            );
            return;
        }
        if self.reads_pipes {
            tracing::info!("the TLS files are not read again, since a pipe can be read once");
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.options);
        self.load_into(&mut seen, now);
    }

    /// Reads the files again if they have changed since they were read, and not since the last look: certificate and key are not
    /// replaced at one time.
    fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.options);
        let settled = now == seen.looked_at;
        seen.looked_at.clone_from(&now);
        if settled && (now != seen.loaded || seen.unread.is_some()) {
            self.load_into(&mut seen, now);
        }
    }

    /// Reads the files, which are as `now` says. Where one cannot be used the log says why, and what was in use stays in use.
    fn load_into(&self, seen: &mut Seen, now: Vec<Option<Stamp>>) {
        match configure(&self.options, self.made.as_ref()) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                tracing::info!("new connections use the TLS files as they are now");
            }
            // The next look tries again.
            Err(error) if is_passing(&error) => {
                let why = error.to_string();
                if seen.unread.as_ref() != Some(&why) {
                    tracing::warn!("the TLS files are not loaded yet, and the former ones stay in use: {why}");
                    seen.unread = Some(why);
                }
                return;
            }
            Err(error) => tracing::warn!("the TLS files are not loaded, and the former ones stay in use: {error}"),
        }
        // Also where they cannot be used: that is said once.
        (seen.loaded, seen.unread) = (now, None);
    }

    /// Reads the files again.
    pub(crate) async fn reload_aside(self: &Arc<Self>) {
        self.aside(Self::reload).await;
    }

    /// Reloads the files once they have changed, for ever.
    pub(crate) async fn watch(self: &Arc<Self>) {
        if files(&self.options).next().is_none() {
            return std::future::pending().await;
        }
        loop {
            sleep(PERIOD).await;
            self.aside(Self::look).await;
        }
    }

    /// Does something with the files in a thread of its own, and waits for it: a file system that does not answer, such as one of
    /// another machine, must hold up neither the caller's thread nor the end of the program.
    async fn aside(self: &Arc<Self>, act: fn(&Self)) {
        let (done, ended) = oneshot::channel();
        let identity = Arc::clone(self);
        let act = move || {
            act(&identity);
            let _ = done.send(());
        };
        match thread::Builder::new().name("tls-files".into()).spawn(act) {
            Ok(_) => drop(ended.await),
            Err(error) => tracing::warn!("the TLS files are not read again: no thread for it: {error}"),
        }
    }
}

/// What handshakes are made with. The keys of tickets are new every time: a session must not outlive the certificates of clients
/// that it was granted for.
fn configure(options: &TlsOptions, made: Option<&Pair>) -> Result<ServerConfig, Error> {
    let fail = |error: rustls::Error| Error::Tls(error.to_string());
    let provider = provider::cryptography();
    let certified = certified(&options.certificate, made, &provider)?;
    let verifier = options.client_ca.as_ref().map(|file| client_verifier(file, &provider)).transpose()?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(fail)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Sessions are kept by the clients, in their tickets: nothing here grows with them.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = options.tickets as usize;
    if options.tickets > 0 {
        config.ticketer = provider::ticketer().map_err(fail)?;
    }
    Ok(config)
}

/// Whether the files could not be read because this process, or the system, lacks descriptors or memory at this time.
fn is_passing(error: &Error) -> bool {
    let Error::TlsUnread { source, .. } = error else { return false };
    source.raw_os_error().is_some_and(|code| [libc::EMFILE, libc::ENFILE, libc::ENOMEM].contains(&code))
}

/// The files that are read.
fn files(options: &TlsOptions) -> impl Iterator<Item = &PathBuf> {
    let pair = match &options.certificate {
        Certificate::SelfSigned => [None, None],
        Certificate::Files { chain, key } => [Some(chain), Some(key)],
    };
    pair.into_iter().chain([options.client_ca.as_ref()]).flatten()
}

/// The files as they are; `None` for one that is not there.
fn stamps(options: &TlsOptions) -> Vec<Option<Stamp>> {
    files(options).map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    let (inode, modified) = ((file.dev(), file.ino()), (file.mtime(), file.mtime_nsec()));
    let changed = (file.ctime(), file.ctime_nsec());
    // A pipe that the program was started with is read once; its times change with that.
    file.is_file().then_some(Stamp { inode, modified, changed, bytes: file.len() })
}

/// Between two looks at the files.
const PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_becomes_readable_counts_as_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(&path, "key").unwrap();
        set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
        let before = stamp(&path).unwrap();
        // The times of files have the resolution of the kernel's clock, a few milliseconds.
        thread::sleep(Duration::from_millis(50));
        assert_eq!(stamp(&path).unwrap(), before);
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_ne!(stamp(&path).unwrap(), before);
    }

    /// Writes a certificate of a new key, and that.
    fn write_pair(options: &TlsOptions) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let Certificate::Files { chain, key } = &options.certificate else { panic!("no files") };
        write(chain, made.cert.pem()).unwrap();
        write(key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_change_is_loaded_once_whoever_sees_it_first() {
        let folder = tempfile::tempdir().unwrap();
        let [chain, key] = ["chain", "key"].map(|name| folder.path().join(name));
        let certificate = Certificate::Files { chain, key: key.clone() };
        let options = TlsOptions { certificate, client_ca: None, tickets: 0 };
        write_pair(&options);
        let identity = Identity::load(&options, &[]).unwrap();
        let looked = |times: usize, loads: bool, why: &str| {
            let before = identity.current();
            (0..times).for_each(|_| identity.look());
            assert_eq!(!Arc::ptr_eq(&before, &identity.current()), loads, "{why}");
        };
        // The times of files have the resolution of the kernel's clock, a few milliseconds.
        let change = || {
            thread::sleep(Duration::from_millis(50));
            write_pair(&options);
        };
        looked(3, false, "nothing has changed");
        change();
        looked(1, false, "it may not be all yet");
        looked(1, true, "it has stayed as it was");
        looked(3, false, "it is loaded");
        change();
        let before = identity.current();
        identity.reload();
        assert!(!Arc::ptr_eq(&before, &identity.current()), "it was asked for");
        looked(3, false, "it is loaded, by another");
        // What cannot be used is not tried again until it has changed once more.
        thread::sleep(Duration::from_millis(50));
        write(&key, "no key").unwrap();
        looked(3, false, "it cannot be used");
        assert_eq!(identity.seen.lock().unwrap().loaded, stamps(&options));
        change();
        looked(3, true, "it can be used");
    }

    #[test]
    fn a_pipe_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let [chain, key] = ["chain", "key"].map(|name| folder.path().join(name));
        let options = TlsOptions {
            certificate: Certificate::Files { chain: chain.clone(), key: key.clone() },
            client_ca: None,
            tickets: 0,
        };
        write_pair(&options);
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&std::fs::read(&chain).unwrap()).unwrap();
        drop(writer);
        let chain = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let options = TlsOptions { certificate: Certificate::Files { chain, key }, ..options };
        let identity = Identity::load(&options, &[]).unwrap();
        let before = identity.current();
        identity.reload();
        assert!(Arc::ptr_eq(&before, &identity.current()) && identity.reads_pipes);
    }
}
