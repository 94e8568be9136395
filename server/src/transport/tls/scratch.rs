//! The buffers of a thread that the bytes of all its TLS connections pass through: nothing is in them between two calls.

use std::cell::RefCell;

/// Room for what is received, what is gathered to be encrypted, and what is to be sent.
pub(super) struct Scratch {
    /// The beginning of a record that had come before, and what comes at once.
    pub(super) incoming: Box<[u8]>,
    /// Bytes that lie in several places, one behind the other.
    pub(super) gathered: Vec<u8>,
    /// Records to be sent.
    pub(super) outgoing: Vec<u8>,
}

/// Calls `act` with the buffers of this thread, which are made at the first call.
pub(super) fn with<R>(act: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        act(scratch.get_or_insert_with(|| Scratch {
            incoming: vec![0; PARTIAL_AT_MOST + RECEIVED_AT_MOST].into_boxed_slice(),
            gathered: Vec::new(),
            outgoing: vec![0; SENT_AT_MOST + SENT_AT_MOST / 64 + 4096],
        }))
    })
}

thread_local! {
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

/// Bytes of a record that is not whole, and then some: a record has at most 16 KiB of plaintext, 2 KiB of what encryption adds
/// (RFC 5246, 6.2.3), and a header.
pub(super) const PARTIAL_AT_MOST: usize = 20 << 10;

/// Bytes that are received at once: several large records, and so few that they are in the core's cache when they are decrypted.
pub(super) const RECEIVED_AT_MOST: usize = 128 << 10;

/// Bytes that are encrypted for one write: likewise.
pub(super) const SENT_AT_MOST: usize = 128 << 10;
