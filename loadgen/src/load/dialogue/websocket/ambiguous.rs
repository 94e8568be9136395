//! Replies of which it is not known yet whether they answer a message wrongly or nothing at all.

use crate::load::dialogue::observer::Checked;
use crate::measure::glimpse::EXCERPT_BYTES;
use crate::measure::mismatch::MismatchKind;
use crate::plan::Kind;

/// A wrong message that came in the place of a reply, where the true one may still come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ambiguous {
    /// Whether it counted as a reply within the measured phase.
    pub(super) in_window: bool,
    pub(super) checked: Option<Checked>,
    pub(super) difference: Difference,
}

/// How a wrong message differs from the one whose reply was awaited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Difference {
    pub(super) kind: MismatchKind,
    pub(super) of: Kind,
    pub(super) bytes: Option<u64>,
    /// Bytes of payload before the excerpt.
    pub(super) offset: usize,
    pub(super) excerpt: [u8; EXCERPT_BYTES],
    pub(super) excerpt_len: u8,
}
