//! Certificates and keys: read from their files and checked, so that what is wrong with them is said at the start, by the
//! flag and the file, and not to the first client.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys, RootCertStore, SignatureAlgorithm};

use super::{files, words};
use crate::Error;
use crate::config::{Certificate, Endpoint};

/// A certificate with those that lead to the one that clients know, and its private key.
#[derive(Debug)]
pub(super) struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pair {
    /// One for `localhost` and these addresses, signed by itself.
    ///
    /// # Errors
    /// When none can be made.
    pub(super) fn self_signed(listen: &[Endpoint]) -> Result<Self, Error> {
        let fail = |error: rcgen::Error| Error::Tls(format!("a self-signed certificate cannot be made: {error}"));
        let addresses = listen.iter().map(|endpoint| endpoint.address.ip());
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(addresses.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()));
        let made = rcgen::generate_simple_self_signed(names).map_err(fail)?;
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        Ok(Self { chain: vec![made.cert.der().clone()], key })
    }
}

/// What the server shows, ready to sign with. One that is `made` already is taken where no files are asked for.
///
/// # Errors
/// Files that cannot be read, hold something else, do not belong together, or are out of their time.
pub(super) fn certified(
    certificate: &Certificate,
    made: Option<&Pair>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    let (chain, key, files) = match (certificate, made) {
        (Certificate::Files { chain, key }, _) => {
            (read_certificates(CERT, chain, provider)?, read_key(key)?, (chain, key))
        }
        (Certificate::SelfSigned, Some(made)) => {
            let signing = provider.key_provider.load_private_key(made.key.clone_key());
            return Ok(CertifiedKey::new(made.chain.clone(), signing.map_err(|error| Error::Tls(error.to_string()))?));
        }
        (Certificate::SelfSigned, None) => return Err(Error::Tls("no self-signed certificate was made".into())),
    };
    let unknown = |_| wrong(KEY, files.1, words::of_key());
    let signing = provider.key_provider.load_private_key(key).map_err(unknown)?;
    if signing.public_key().is_some_and(|key| signing.algorithm() == SignatureAlgorithm::RSA && key.len() > RSA_2048) {
        tracing::warn!(
            "{KEY} {}: RSA of more than 2048 bits makes handshakes slow; ECDSA P-256 is fast",
            files.1.display()
        );
    }
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        // Some kinds of keys do not tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(wrong(KEY, files.1, format!("it is not the key of the certificate in {}", files.0.display())))
        }
        Err(error) => Err(wrong(CERT, files.0, words::of_certificate(&error))),
    }
}

/// What has clients show a certificate that one of those in `file` has signed.
///
/// # Errors
/// As [`certified`].
pub(super) fn client_verifier(
    file: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(CLIENT_CA, file, provider)? {
        roots.add(certificate).map_err(|error| wrong(CLIENT_CA, file, words::of_certificate(&error)))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    verifier.build().map_err(|error| wrong(CLIENT_CA, file, error))
}

/// The certificates in a file, all of them in their time.
fn read_certificates(
    flag: &'static str,
    path: &Path,
    provider: &CryptoProvider,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(flag, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| not_pem(flag, path, &error))?;
    if found.is_empty() {
        return Err(wrong(
            flag,
            path,
            "no certificate is in it; expected PEM, which begins with -----BEGIN CERTIFICATE-----",
        ));
    }
    for (at, certificate) in found.iter().enumerate() {
        let number = at + 1;
        let parsed = ParsedCertificate::try_from(certificate).map_err(|error| {
            let why = words::of_certificate(&error);
            wrong(flag, path, format!("certificate {number} in it cannot be read: {why}"))
        })?;
        if let Some(reason) = out_of_time(&parsed, provider) {
            return Err(wrong(flag, path, format!("certificate {number} in it {reason}")));
        }
    }
    Ok(found)
}

/// Whether a certificate has expired or is not valid yet. The time is the first thing that is looked at when it is verified, and
/// what else that says is not asked here: who has signed it is for the clients to judge.
fn out_of_time(certificate: &ParsedCertificate<'_>, provider: &CryptoProvider) -> Option<String> {
    let algorithms = provider.signature_verification_algorithms.all;
    let nobody = RootCertStore::empty();
    let verified = verify_server_cert_signed_by_trust_anchor(certificate, &nobody, &[], UnixTime::now(), algorithms);
    let date = |time: UnixTime| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    match verified {
        Err(rustls::Error::InvalidCertificate(error)) => match error {
            CertificateError::ExpiredContext { not_after, .. } => Some(format!("has expired on {}", date(not_after))),
            CertificateError::NotValidYetContext { not_before, .. } => {
                Some(format!("is not valid before {}", date(not_before)))
            }
            CertificateError::Expired => Some("has expired".into()),
            CertificateError::NotValidYet => Some("is not valid yet".into()),
            _ => None,
        },
        _ => None,
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let file = read(KEY, path)?;
    PrivateKeyDer::from_pem_slice(&file).map_err(|error| wrong(KEY, path, words::of_key_file(&file, &error)))
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    files::read(path).map_err(|source| Error::TlsUnread { flag, path: path.to_owned(), source })
}

fn not_pem(flag: &'static str, path: &Path, error: &pem::Error) -> Error {
    wrong(flag, path, format!("it is no PEM: {}", words::of_pem(error)))
}

fn wrong(flag: &'static str, path: &Path, reason: impl ToString) -> Error {
    Error::TlsFile { flag, path: PathBuf::from(path), reason: reason.to_string() }
}

const CERT: &str = "--tls-cert";
const KEY: &str = "--tls-key";
const CLIENT_CA: &str = "--tls-client-ca";

/// Bytes of an RSA public key of 2048 bits, with what says of which kind it is (RFC 3279, 2.3.1).
const RSA_2048: usize = 294;
