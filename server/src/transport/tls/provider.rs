//! Who does the cryptography: the one place that names it.

use std::sync::Arc;

use rustls::Error;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::ProducesTickets;

/// Ciphers, key exchanges and signatures.
pub(super) fn cryptography() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What encrypts session tickets, by keys that are made anew every 6 hours.
///
/// # Errors
/// When the system gives no random numbers.
pub(super) fn ticketer() -> Result<Arc<dyn ProducesTickets>, Error> {
    ring::Ticketer::new()
}
