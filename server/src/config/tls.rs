//! How connections to `wss://` addresses are encrypted.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// TLS on the connections to `wss://` addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsOptions {
    /// What the server shows of itself.
    pub certificate: Certificate,
    /// Certificates (PEM) of those who sign the certificates that clients must show; `None`: they need none.
    #[serde(serialize_with = "path_if_any")]
    pub client_ca: Option<PathBuf>,
    /// Session tickets sent after a handshake of TLS 1.3; 0: no session is resumed, in TLS 1.2 neither.
    pub tickets: u32,
}

/// The server's certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// Made at the start, signed by nobody else.
    SelfSigned,
    /// Read from files in PEM.
    Files {
        /// The certificate, and behind it those that lead to the one that clients know.
        #[serde(serialize_with = "path")]
        chain: PathBuf,
        /// The certificate's private key.
        #[serde(serialize_with = "path")]
        key: PathBuf,
    },
}

/// A path that is not UTF-8 is shown as nearly as it can be.
fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn path_if_any<S: Serializer>(file: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match file {
        Some(file) => path(file, serializer),
        None => serializer.serialize_none(),
    }
}
