//! TLS with a server: what is offered and trusted, made once for each server from the plan; the records of a connection
//! (`records`) on its socket (`channel`), also as a stream for what waits with tokio (`ready`); and what went wrong, in words.

mod asked;
mod channel;
mod ready;
mod records;
mod room;
mod sessions;
mod unchecked;
mod words;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, ClientConnection, InconsistentKeys, RootCertStore};
use server::tls_words;

use crate::plan::tls::{ClientCertificate, Tls, TlsVersion};
use crate::plan::url::in_ascii;
use asked::Asked;
pub use channel::Channel;
pub use ready::{EndedAfterCertificate, Ready};
pub use records::{Failure, Settled};
use sessions::Sessions;
use unchecked::Unchecked;

/// What a server is offered, and what is trusted of it.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// Those that are resumed, if any are.
    sessions: Option<Arc<Sessions>>,
    /// The generator's own certificate, if it has one.
    own: Option<Arc<Asked>>,
}

/// Why TLS cannot be spoken as it is to be.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that was given.
    #[error("{flag} {}: {why}", file.display())]
    File {
        /// The flag.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system trusts nobody.
    #[error("the system has no certificates of authorities that it trusts{0}; expected --cacert FILE, or --insecure")]
    NoRoots(String),
    /// The name is none that a certificate could have.
    #[error(
        "'{0}' is neither a domain name nor an IP address, as what a server is asked for must be; expected --tls-server-name NAME"
    )]
    Name(String),
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Refused(#[from] rustls::Error),
}

impl Client {
    /// For a server of this host name or address.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be, or there is nothing to trust.
    pub fn new(host: &str, how: &Tls) -> Result<Self, TlsError> {
        let name = how.server_name.as_deref().unwrap_or(host);
        let ascii = in_ascii(name).and_then(|name| ServerName::try_from(name).ok());
        let name = ascii.ok_or_else(|| TlsError::Name(name.to_owned()))?;
        let provider = Arc::new(provider());
        let versions: Vec<_> = how
            .versions
            .iter()
            .map(|version| match version {
                TlsVersion::V12 => &TLS12,
                TlsVersion::V13 => &TLS13,
            })
            .collect();
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&versions)?;
        let builder = if how.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider.clone())))
        } else {
            builder.with_root_certificates(roots(&how.cacert)?)
        };
        let own = how.client.as_ref().map(|client| shown(client, &provider)).transpose()?.map(Asked::new).map(Arc::new);
        let mut config = match own.clone() {
            None => builder.with_no_client_auth(),
            Some(own) => builder.with_client_cert_resolver(own),
        };
        let sessions = how.resume.then(|| Arc::new(Sessions::default()));
        config.resumption = sessions.clone().map_or_else(Resumption::disabled, |sessions| Resumption::store(sessions));
        // A handshake of WebSocket is HTTP/1.1 (RFC 6455, 4.1).
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), name, sessions, own })
    }

    /// A connection that has not sent anything yet, for those who wait in rustls' own streams.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn connection(&self) -> Result<ClientConnection, TlsError> {
        Ok(ClientConnection::new(self.config.clone(), self.name.clone())?)
    }

    /// Has sessions only be collected and none resumed until they are [released](Client::release_sessions), so that as many
    /// `connections` have one each when they come back: a connection that resumes a session uses up its ticket.
    pub fn hold_sessions_back(&self, connections: usize) {
        self.sessions.iter().for_each(|sessions| sessions.hold_back(connections));
    }

    /// Has sessions be resumed from now on.
    pub fn release_sessions(&self) {
        self.sessions.iter().for_each(|sessions| sessions.release());
    }

    /// Whether the server has asked for the generator's certificate, and was shown it.
    pub fn has_shown_its_certificate(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.was_asked())
    }

    /// The name that the server is asked for.
    pub fn name(&self) -> String {
        self.name.to_str().into_owned()
    }
}

/// The cryptography that TLS is spoken with.
fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// The authorities of these files; the system's where there are none.
fn roots(files: &[PathBuf]) -> Result<Arc<RootCertStore>, TlsError> {
    if files.is_empty() {
        return system_roots();
    }
    let mut roots = RootCertStore::empty();
    for file in files {
        for certificate in certificates("--cacert", file)? {
            roots.add(certificate).map_err(|error| {
                let why = format!("a certificate in it cannot be read: {}", tls_words::of_certificate(&error));
                TlsError::File { flag: "--cacert", file: file.clone(), why }
            })?;
        }
    }
    Ok(Arc::new(roots))
}

/// Those that the system trusts: read once, since they are hundreds.
fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, String>> = OnceLock::new();
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // What the system trusts and rustls cannot read is old, and no reason to trust nobody.
        let _ = roots.add_parsable_certificates(found.certs);
        let why = || found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        if roots.is_empty() { Err(why()) } else { Ok(Arc::new(roots)) }
    };
    ROOTS.get_or_init(read).clone().map_err(TlsError::NoRoots)
}

/// The certificates of a file in PEM, at least one.
fn certificates(flag: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |why: String| TlsError::File { flag, file: file.to_owned(), why };
    let bytes = server::tls_files::read(file).map_err(|error| wrong(error.to_string()))?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => {
            Err(wrong("no certificate is in it; expected PEM, -----BEGIN CERTIFICATE-----".to_owned()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(wrong(format!("it is no PEM: {}", tls_words::of_pem(&error)))),
    }
}

/// The generator's own certificate, with the key that it signs by. A certificate that rustls cannot read, such as one of X.509
/// version 1, is shown as it is: whether it is taken is the server's affair.
fn shown(
    ClientCertificate { cert, key }: &ClientCertificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let of_key = |why: String| TlsError::File { flag: "--client-key", file: key.clone(), why };
    let chain = certificates("--client-cert", cert)?;
    let signing = provider.key_provider.load_private_key(private_key(key)?).map_err(|_| of_key(tls_words::of_key()))?;
    let shown = CertifiedKey::new(chain, signing);
    match shown.keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(of_key(format!("it is not the key of --client-cert {}", cert.display())))
        }
        Err(error @ rustls::Error::InvalidCertificate(CertificateError::BadEncoding)) => {
            let why = format!("the first certificate in it cannot be read: {}", tls_words::of_certificate(&error));
            Err(TlsError::File { flag: "--client-cert", file: cert.clone(), why })
        }
        _ => Ok(shown),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let wrong = |why: String| TlsError::File { flag: "--client-key", file: file.to_owned(), why };
    let bytes = server::tls_files::read(file).map_err(|error| wrong(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| wrong(tls_words::of_key_file(&bytes, &error)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn refused(how: &Tls) -> String {
        Client::new("localhost", how).unwrap_err().to_string()
    }

    #[test]
    fn files_that_are_not_what_they_should_be_are_named_with_their_flag() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let (missing, text) = (directory.path().join("missing"), file("text", "hello"));
        let broken = file("broken", "-----BEGIN CERTIFICATE-----\nMII!\n-----END CERTIFICATE-----\n");
        for (path, why) in [(&missing, "No such file"), (&text, "no certificate is in it"), (&broken, "it is no PEM")] {
            let said = refused(&Tls { cacert: vec![path.clone()], ..Tls::default() });
            assert!(said.starts_with(&format!("--cacert {}: {why}", path.display())), "{said}");
        }
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        let (cert, key) = (file("cert", &cert.pem()), file("key", &signing_key.serialize_pem()));
        let other = file("other", &other.serialize_pem());
        let with = |cert: &PathBuf, key: &PathBuf| Tls {
            insecure: true,
            client: Some(ClientCertificate { cert: cert.clone(), key: key.clone() }),
            ..Tls::default()
        };
        assert!(Client::new("localhost", &with(&cert, &key)).is_ok());
        assert!(refused(&with(&text, &key)).starts_with(&format!("--client-cert {}: no cert", text.display())));
        assert!(refused(&with(&cert, &text)).starts_with(&format!("--client-key {}: no private", text.display())));
        assert!(refused(&with(&cert, &other)).contains("it is not the key of --client-cert"));
    }

    #[test]
    fn a_name_is_a_domain_s_or_an_address() {
        let named = |host: &str, name: Option<&str>| {
            let how = Tls { insecure: true, server_name: name.map(str::to_owned), ..Tls::default() };
            Client::new(host, &how).map(|client| client.name())
        };
        assert_eq!(named("::1", None).unwrap(), "::1");
        assert_eq!(named("127.0.0.1", Some("echo.example")).unwrap(), "echo.example");
        assert_eq!(named("127.0.0.1", Some("bücher.example")).unwrap(), "xn--bcher-kva.example");
        assert!(named("h", Some("a b")).unwrap_err().to_string().contains("'a b' is neither a domain name"));
    }
}
