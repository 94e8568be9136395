//! How TLS is spoken with a server (`wss://`), as data: which certificates are trusted, and what is offered. The files are
//! read where connections are opened.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How TLS is spoken with a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tls {
    /// Files, in PEM, of the authorities whose certificates are trusted; the system's where there are none.
    pub cacert: Vec<PathBuf>,
    /// Whether any certificate is taken, unchecked.
    pub insecure: bool,
    /// The name that the server is asked for (SNI) and that its certificate must have; null for the URL's host.
    pub server_name: Option<String>,
    /// Whether a connection resumes the session of an earlier one, where the server lets it.
    pub resume: bool,
    /// The generator's own certificate; null where it has none.
    pub client: Option<ClientCertificate>,
    /// The versions that are offered.
    pub versions: Vec<TlsVersion>,
}

/// The generator's own certificate, and the key to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientCertificate {
    /// The file of the certificate and those that lead to its authority, in PEM.
    pub cert: PathBuf,
    /// The file of the key, in PEM.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    #[value(name = "1.2")]
    V12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    #[value(name = "1.3")]
    V13,
}

impl Default for Tls {
    /// Certificates are checked by the system's authorities, and every connection makes a full handshake.
    fn default() -> Self {
        Self {
            cacert: Vec::new(),
            insecure: false,
            server_name: None,
            resume: false,
            client: None,
            versions: vec![TlsVersion::V12, TlsVersion::V13],
        }
    }
}

impl Tls {
    /// Whether nothing was said of it.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What a report notes of it, whatever was measured.
    pub fn note(&self) -> Option<String> {
        self.insecure.then(|| "certificates were not checked (--insecure): nothing says who the server is".to_owned())
    }

    /// Why this is nothing for a server that TLS is not spoken with; `None` where nothing was said of it.
    pub fn unfit_without(&self) -> Option<String> {
        let flag = self.given()?;
        Some(format!(
            "{flag} is for TLS, and the server's URL is not wss://; expected wss://HOST:PORT/PATH, or no such flag"
        ))
    }

    /// The first flag that was given of those that say something of TLS.
    fn given(&self) -> Option<&'static str> {
        let default = Self::default();
        let given = [
            ("--cacert", self.cacert != default.cacert),
            ("--insecure", self.insecure != default.insecure),
            ("--tls-server-name", self.server_name != default.server_name),
            ("--tls-resume", self.resume != default.resume),
            ("--client-cert", self.client != default.client),
            ("--tls-versions", self.versions != default.versions),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}
