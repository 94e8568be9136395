//! The flags of TLS, and of the proxy before a server.

use std::path::PathBuf;

use clap::Args;

use super::Switch;
use crate::plan::tls::{ClientCertificate, Tls, TlsVersion};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS, where the server's URL is wss://")]
pub(super) struct TlsArgs {
    /// Trust the certificates of the authorities in this file (PEM), and no others; repeatable [default: those that the
    /// system trusts]
    #[arg(long, value_name = "FILE")]
    cacert: Vec<PathBuf>,
    /// Take any certificate, unchecked; the report says so
    #[arg(long, conflicts_with = "cacert")]
    insecure: bool,
    /// The name that the server is asked for (SNI), and that its certificate must have [default: the URL's host]
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// Resume the sessions of earlier connections, where the server lets it. Off, each connection is that of a client that
    /// comes for the first time, whose full handshake costs the server most
    #[arg(long, value_name = "ON|OFF", default_value = "off")]
    tls_resume: Switch,
    /// The generator's own certificate, with those that lead to its authority (PEM)
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The key to it (PEM, without a password)
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// The versions of TLS to offer
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',', default_value = "1.2,1.3")]
    tls_versions: Vec<TlsVersion>,
}

impl TlsArgs {
    pub(super) fn lower(self) -> Tls {
        let mut versions = self.tls_versions;
        versions.sort_unstable();
        versions.dedup();
        Tls {
            cacert: self.cacert,
            insecure: self.insecure,
            server_name: self.tls_server_name,
            resume: self.tls_resume == Switch::On,
            client: self.client_cert.zip(self.client_key).map(|(cert, key)| ClientCertificate { cert, key }),
            versions,
        }
    }
}
