//! The flags of TLS.

use std::path::PathBuf;

use super::numbers::count_in;
use crate::Error;
use crate::config::{Certificate, Endpoint, Scheme, TlsOptions};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TLS (for --listen wss://HOST:PORT)")]
pub(super) struct TlsArgs {
    /// Certificate in PEM, and behind it those that lead to one that clients know. Read again on SIGHUP and when a file has
    /// changed; a file that cannot be used then is logged, and the former one stays in use
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "tls_self_signed")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM, not encrypted: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, or Ed25519
    #[arg(long, value_name = "FILE", requires = "tls_cert", conflicts_with = "tls_self_signed")]
    tls_key: Option<PathBuf>,
    /// Make a certificate for localhost and the addresses of --listen at every start, to try TLS: no client trusts it
    #[arg(long)]
    tls_self_signed: bool,
    /// Certificates in PEM: a client must show one that one of these has signed [default: clients need none]
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
    /// Session tickets sent after each handshake of TLS 1.3, at most 16: a client resumes one session with each, which spares
    /// both sides the certificate and its signature. 0: no session is resumed, in TLS 1.2 neither [default: 2]
    #[arg(long, value_name = "N", value_parser = count_in::<u32, 0, 16>)]
    tls_tickets: Option<u32>,
}

impl TlsArgs {
    /// How the addresses for TLS among `listen` are served, if there are any.
    pub(super) fn lower(self, listen: &[Endpoint]) -> Result<Option<TlsOptions>, Error> {
        let given = [
            ("--tls-cert", self.tls_cert.is_some()),
            ("--tls-key", self.tls_key.is_some()),
            ("--tls-self-signed", self.tls_self_signed),
            ("--tls-client-ca", self.tls_client_ca.is_some()),
            ("--tls-tickets", self.tls_tickets.is_some()),
        ];
        let Some(&address) = listen.iter().find(|endpoint| endpoint.scheme == Scheme::Wss) else {
            return match given.iter().find(|(_, given)| *given) {
                Some(&(flag, _)) => Err(Error::NoTls { flag }),
                None => Ok(None),
            };
        };
        let certificate = match (self.tls_cert, self.tls_key) {
            (Some(chain), Some(key)) => Certificate::Files { chain, key },
            _ if self.tls_self_signed => Certificate::SelfSigned,
            _ => return Err(Error::NoCertificate { address }),
        };
        Ok(Some(TlsOptions {
            certificate,
            client_ca: self.tls_client_ca,
            tickets: self.tls_tickets.unwrap_or(DEFAULT_TICKETS),
        }))
    }
}

/// Tickets: as many as OpenSSL sends.
const DEFAULT_TICKETS: u32 = 2;
