//! The generator's own certificate, and whether a server has asked for it: one that does not take it may say so or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// A certificate to show.
#[derive(Debug)]
pub(super) struct Asked {
    certificate: SingleCertAndKey,
    asked: AtomicBool,
}

impl Asked {
    /// One that nobody has asked for.
    pub fn new(certificate: CertifiedKey) -> Self {
        Self { certificate: certificate.into(), asked: AtomicBool::new(false) }
    }

    /// Whether it was asked for on any connection.
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certificate.resolve(hints, schemes)
    }

    fn only_raw_public_keys(&self) -> bool {
        ResolvesClientCert::only_raw_public_keys(&self.certificate)
    }

    fn has_certs(&self) -> bool {
        self.certificate.has_certs()
    }
}
