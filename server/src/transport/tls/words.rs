//! What is wrong with a file of TLS, in plain words: for both programs, since rustls says it in the words of its source.

use rustls::pki_types::pem;
use rustls::{CertificateError, Error};

/// The kinds of keys that TLS is spoken with. Those of ring, with which rustls signs.
pub const KEYS: &str = "RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, or Ed25519";

/// Why a key cannot be signed by; rustls does not say.
pub fn of_key() -> String {
    format!("its kind of key is not taken, or it is damaged; expected {KEYS}")
}

/// Why a file that should hold a private key holds none that can be read.
pub fn of_key_file(file: &[u8], error: &pem::Error) -> String {
    let holds = |words: &[u8]| file.windows(words.len()).any(|part| part == words);
    // Of PKCS #8 (RFC 7468, 11), and of OpenSSL's older form, which has headers (RFC 1421, 4.6).
    if holds(b"BEGIN ENCRYPTED PRIVATE KEY") || holds(b"ENCRYPTED\n") || holds(b"ENCRYPTED\r") {
        return "it has a password; expected a key without one, as openssl pkey -in FILE -out NEW writes it".to_owned();
    }
    match error {
        pem::Error::NoItemsFound => NO_KEY.to_owned(),
        error => format!("it is no PEM: {}", of_pem(error)),
    }
}

/// Why a file is no PEM.
pub fn of_pem(error: &pem::Error) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().escape_debug().to_string();
    match error {
        pem::Error::MissingSectionEnd { end_marker } => format!("it has no line -----END {}-----", text(end_marker)),
        pem::Error::IllegalSectionStart { line } => format!("a section of it begins with {}", text(line)),
        pem::Error::Base64Decode(why) => format!("a section of it is not in base64: {why}"),
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "nothing that could be used is in it".to_owned(),
        pem::Error::SectionTooLarge => "a section of it is larger than 256 MB".to_owned(),
        _ => error.to_string(),
    }
}

/// Why a certificate cannot be read or used, as the end of a sentence about it.
pub fn of_certificate(error: &Error) -> String {
    let Error::InvalidCertificate(error) = error else { return error.to_string() };
    match error {
        CertificateError::BadEncoding => "its bytes are no X.509 certificate".to_owned(),
        CertificateError::UnhandledCriticalExtension => CRITICAL.to_owned(),
        // webpki's own errors are known by their names alone.
        CertificateError::Other(other) => match other.to_string().as_str() {
            "UnsupportedCriticalExtension" => CRITICAL.to_owned(),
            "UnsupportedCertVersion" => "it is of X.509 version 1 or 2; expected version 3".to_owned(),
            name => format!("rustls calls it {}", of_name(name)),
        },
        error => error.to_string(),
    }
}

/// The name of an error in rustls, taken apart: `MalformedExtensions` as `malformed extensions`. What is more than a name stays as
/// it is.
pub fn of_name(name: &str) -> String {
    if !name.chars().all(char::is_alphanumeric) {
        return name.to_owned();
    }
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

const NO_KEY: &str =
    "no private key is in it; expected PEM, which begins with -----BEGIN PRIVATE KEY-----, without a password";

const CRITICAL: &str = "it has an extension that is critical and that rustls does not know";

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    #[test]
    fn what_is_wrong_with_pem_is_said_in_its_own_lines() {
        for (text, said) in [
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "it has no line -----END CERTIFICATE-----"),
            ("-----BEGIN CERTIFICATE\nAAAA\n", "a section of it begins with -----BEGIN CERTIFICATE"),
            ("-----BEGIN CERTIFICATE-----\nA!\n-----END CERTIFICATE-----\n", "a section of it is not in base64"),
        ] {
            let error = CertificateDer::from_pem_slice(text.as_bytes()).unwrap_err();
            assert!(of_pem(&error).starts_with(said), "{}", of_pem(&error));
        }
    }

    #[test]
    fn a_key_with_a_password_is_told_from_what_is_none() {
        let pkcs8 = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let older = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
                     -----END EC PRIVATE KEY-----\n";
        for (file, why) in [
            (pkcs8, "it has a password; "),
            (older, "it has a password; "),
            ("hello", "no private key is in it; "),
            ("-----BEGIN PRIVATE KEY-----\nA!\n-----END PRIVATE KEY-----\n", "it is no PEM: "),
        ] {
            let error = PrivateKeyDer::from_pem_slice(file.as_bytes()).unwrap_err();
            let said = of_key_file(file.as_bytes(), &error);
            assert!(said.starts_with(why), "{file}: {said}");
        }
    }

    #[test]
    fn names_of_errors_are_taken_apart() {
        assert_eq!(of_name("MalformedExtensions"), "malformed extensions");
        assert_eq!(of_name("InvalidCertRequest(x)"), "InvalidCertRequest(x)");
    }
}
