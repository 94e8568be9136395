//! Certificates taken as they are (`--insecure`): nothing says who the server is. That it has the key to what it shows is checked
//! where that can be: not with a certificate that rustls cannot read, nor with a kind of key that it does not know.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// Takes any certificate.
#[derive(Debug)]
pub(super) struct Unchecked(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        taken(cert, signed, || verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        taken(cert, signed, || verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = self.0.signature_verification_algorithms.supported_schemes();
        known.into_iter().chain(NOT_CHECKED).collect()
    }
}

/// Takes a signature that cannot be checked, and what `check` says of the others.
fn taken(
    cert: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    check: impl FnOnce() -> Result<HandshakeSignatureValid, Error>,
) -> Result<HandshakeSignatureValid, Error> {
    if NOT_CHECKED.contains(&signed.scheme) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    match check() {
        Err(wrong @ Error::InvalidCertificate(CertificateError::BadSignature)) if !has_short_key(cert) => Err(wrong),
        Err(Error::InvalidCertificate(_)) => Ok(HandshakeSignatureValid::assertion()),
        checked => checked,
    }
}

/// Whether its key is of RSA and shorter than those that ring checks signatures of; any signature is wrong to it then.
fn has_short_key(cert: &CertificateDer<'_>) -> bool {
    let parsed = ParsedCertificate::try_from(cert);
    parsed.is_ok_and(|cert| {
        let key = cert.subject_public_key_info();
        key.len() < LEAST_RSA_BYTES && key.windows(RSA.len()).any(|bytes| bytes == RSA)
    })
}

/// Kinds of signatures that are offered and not checked, since ring knows none of them: those of P-521 and Ed448. They are of use
/// over TLS 1.3; in TLS 1.2 the curves of keys are agreed on besides.
const NOT_CHECKED: [SignatureScheme; 2] = [SignatureScheme::ECDSA_NISTP521_SHA512, SignatureScheme::ED448];

/// What tells a public key of RSA from others in DER: `rsaEncryption`, 1.2.840.113549.1.1.1 (RFC 8017, A.1).
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// Bytes of a public key of 2048 bits in DER, with the least exponent: 256 of the modulus, and 36 around it.
const LEAST_RSA_BYTES: usize = 292;
