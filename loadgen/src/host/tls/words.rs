//! What went wrong with TLS, in plain words, and what to try.

use std::net::Ipv6Addr;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerMisbehaved};
use server::tls_words;

/// Why the handshake failed, or the connection later.
pub(super) fn of(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => {
            let hint = hint(*alert).map_or_else(String::new, |hint| format!(": {hint}"));
            format!("the server refused with the alert {}{hint}", name(*alert))
        }
        Error::PeerIncompatible(what) => format!(
            "the server and loadgen have no version or cipher suite in common ({}); loadgen offers those that rustls has of \
             TLS 1.2 and 1.3, as far as --tls-versions lets it",
            tls_words::of_name(&format!("{what:?}"))
        ),
        Error::DecryptError => "the server sent a record that cannot be decrypted".to_owned(),
        Error::PeerSentOversizedRecord => "the server sent a record that is too long".to_owned(),
        Error::NoCertificatesPresented => "the server showed no certificate".to_owned(),
        // What --insecure offers for TLS 1.3 servers of TLS 1.2 see too.
        Error::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm) => {
            "the server's key is of a kind that loadgen does not take over TLS 1.2".to_owned()
        }
        Error::PeerMisbehaved(what) => {
            format!("the server broke the protocol: {}", tls_words::of_name(&format!("{what:?}")))
        }
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
            "the server sent a message of the handshake that is larger than loadgen takes (64 KiB): its certificates are too large"
                .to_owned()
        }
        Error::InvalidMessage(what) => {
            format!("the server sent a message that is none of TLS: {}", tls_words::of_name(&format!("{what:?}")))
        }
        other => format!("the server broke the protocol: {other}"),
    }
}

/// What the server speaks that has answered with something else than TLS.
pub(super) fn foreign(came: &[u8]) -> Option<String> {
    // The types of records (RFC 8446, 5.1).
    if came.first().is_none_or(|first| (20..=24).contains(first)) {
        return None;
    }
    Some(if came.starts_with(b"HTTP/") {
        "the server answered in plain HTTP: its port is not for TLS, expected ws:// in place of wss://".to_owned()
    } else {
        let shown: String = came.iter().take(MOST_SHOWN).map(|byte| byte.escape_ascii().to_string()).collect();
        format!("the server did not answer in TLS: it sent \"{shown}\"")
    })
}

/// What is wrong with the server's certificate.
fn certificate(error: &CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => {
            "the server's certificate is of no authority that is trusted: expected --cacert FILE with its authority's, or --insecure; or \
             the server does not show the certificates between the two"
                .to_owned()
        }
        E::Expired => format!("{CHAIN} has expired"),
        E::ExpiredContext { not_after, .. } => format!("{CHAIN} has expired: it was valid until {}", date(*not_after)),
        E::NotValidYet => format!("{CHAIN} is not valid yet"),
        E::NotValidYetContext { not_before, .. } => {
            format!("{CHAIN} is not valid yet: it will be from {} on", date(*not_before))
        }
        E::NotValidForName => "the server's certificate is for another name than it was asked for; expected --tls-server-name".to_owned(),
        E::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is not for {}, which it was asked for, but {}; --tls-server-name NAME asks for another",
            expected.to_str(),
            match presented.as_slice() {
                [] => "for no name at all".to_owned(),
                names => {
                    let names: Vec<_> = names.iter().map(|name| plain(name)).collect();
                    format!("for {}", names.join(", "))
                }
            }
        ),
        E::BadSignature => "a signature of the server's is wrong: its certificate is not signed by the authority that it names, or it does \
             not have the key to it, or the key is of RSA with fewer than 2048 bits, which --insecure takes"
            .to_owned(),
        E::UnsupportedSignatureAlgorithmContext { .. } | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the server's certificate has a key or a signature of a kind that loadgen cannot check: expected RSA of 2048 bits or more \
             with SHA-256 or better, ECDSA on P-256 or P-384, or Ed25519; --insecure takes it"
                .to_owned()
        }
        E::Revoked => "the server's certificate was revoked".to_owned(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "the server's certificate is not one for servers".to_owned(),
        E::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server's certificate is an authority's, which no server may use as its own; --insecure takes it".to_owned()
        }
        other => {
            let why = tls_words::of_certificate(&Error::InvalidCertificate(other.clone()));
            format!("the server's certificate is not valid: {why}; --insecure takes it")
        }
    }
}

/// What to try.
fn hint(alert: AlertDescription) -> Option<&'static str> {
    match alert {
        AlertDescription::CertificateRequired => {
            Some("it wants a certificate of the client's: expected --client-cert and --client-key")
        }
        AlertDescription::HandshakeFailure => Some(
            "it may want a certificate of the client's (--client-cert, --client-key), or other versions or cipher suites, or have a key \
             that loadgen cannot check (P-521, Ed448), which --insecure takes over TLS 1.3",
        ),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => {
            Some("it does not take the certificate of --client-cert, or wants one")
        }
        AlertDescription::ProtocolVersion => Some("it speaks none of the versions of --tls-versions"),
        AlertDescription::UnrecognisedName => Some("it knows no server of that name (--tls-server-name)"),
        AlertDescription::NoApplicationProtocol => Some("it does not speak HTTP/1.1 over TLS, which WebSocket needs"),
        _ => None,
    }
}

/// The alert as the RFCs write it: `handshake_failure`.
fn name(alert: AlertDescription) -> String {
    let mut name = String::new();
    let mut after_lowercase = false;
    for c in format!("{alert:?}").chars() {
        if c.is_ascii_uppercase() && after_lowercase {
            name.push('_');
        }
        after_lowercase = c.is_ascii_lowercase();
        name.push(c.to_ascii_lowercase());
    }
    name.replace("recognised", "recognized")
}

/// A name of a certificate, which webpki gives as `DnsName("echo.example")` or `IpAddress(127.0.0.1)`. Addresses of IPv6 it
/// writes in a way of its own, `0::1`.
fn plain(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.parse().map_or_else(|_| inner.trim_matches('"').to_owned(), |address: Ipv6Addr| address.to_string())
}

fn date(time: UnixTime) -> String {
    let since = std::time::Duration::from_secs(time.as_secs());
    let time = std::time::UNIX_EPOCH.checked_add(since);
    time.map_or_else(|| "a time beyond all".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string())
}

/// What has been looked at when a time is wrong; webpki does not tell which of them it is.
const CHAIN: &str = "the server's certificate, or one that leads from it to its authority,";

/// Bytes shown of what is no TLS.
const MOST_SHOWN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_named_as_the_rfcs_do() {
        for (alert, expected) in [
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
            (AlertDescription::UnrecognisedName, "unrecognized_name"),
            (AlertDescription::CertificateRequired, "certificate_required"),
        ] {
            assert_eq!(name(alert), expected);
        }
        let said = of(&Error::AlertReceived(AlertDescription::CertificateRequired));
        assert!(said.contains("the alert certificate_required: it wants a certificate"), "{said}");
    }

    #[test]
    fn names_are_told_as_people_write_them() {
        for (name, told) in [("DnsName(\"echo.example\")", "echo.example"), ("IpAddress(0::1)", "::1"), ("x", "x")] {
            assert_eq!(plain(name), told);
        }
    }
}
