//! Who the server is to TLS clients: its certificate and what it asks of theirs, loaded at the start and again when the files
//! change. Connections keep what they began with.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
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
    /// The files as they were when they were loaded first.
    loaded: Vec<Option<Stamp>>,
    current: RwLock<Arc<ServerConfig>>,
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
        // Before they are read: what is written to them meanwhile is seen as a change.
        let loaded = stamps(options);
        let current = RwLock::new(Arc::new(configure(options, made.as_ref())?));
        Ok(Arc::new(Self { options: options.clone(), made, loaded, current }))
    }

    /// What a handshake begins with now.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again. Where one cannot be used the log says why, and what was in use stays in use.
    fn reload(&self) {
        if self.loaded.is_empty() {
            tracing::info!(
                "no TLS files are read: there are none with --tls-self-signed, whose certificate stays in use"
            );
            return;
        }
        match configure(&self.options, self.made.as_ref()) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                tracing::info!("new connections use the TLS files as they are now");
            }
            Err(error) => tracing::warn!("the TLS files are not loaded, and the former ones stay in use: {error}"),
        }
    }

    /// The same in a thread of its own, which is waited for: a file system that does not answer, such as one of another machine,
    /// must hold up neither the caller's thread nor the end of the program.
    pub(crate) async fn reload_aside(self: &Arc<Self>) {
        let (done, ended) = oneshot::channel();
        let identity = Arc::clone(self);
        let reload = move || {
            identity.reload();
            let _ = done.send(());
        };
        match thread::Builder::new().name("tls-files".into()).spawn(reload) {
            Ok(_) => drop(ended.await),
            Err(error) => tracing::warn!("the TLS files are not read again: no thread for it: {error}"),
        }
    }

    /// Reloads the files once they have changed, for ever. Certificate and key are not replaced at one time: they are read when
    /// nothing has changed for a period.
    pub(crate) async fn watch(self: &Arc<Self>) {
        let mut loaded = self.loaded.clone();
        let mut before = loaded.clone();
        loop {
            sleep(PERIOD).await;
            let now = stamps(&self.options);
            if now != loaded && now == before {
                loaded.clone_from(&now);
                self.reload_aside().await;
            }
            before = now;
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

/// The files as they are; `None` for one that is not there.
fn stamps(options: &TlsOptions) -> Vec<Option<Stamp>> {
    let pair = match &options.certificate {
        Certificate::SelfSigned => [None, None],
        Certificate::Files { chain, key } => [Some(chain), Some(key)],
    };
    pair.into_iter().chain([options.client_ca.as_ref()]).flatten().map(|path| stamp(path)).collect()
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
}
