//! What the dialogues of one worker's connections share to compress messages and to check replies.

use wire::deflate::{Effort, Shared};

use crate::plan::messages::Corpus;

/// A compressor, a decompressor, and the compressed replies that are known to be right.
#[derive(Debug)]
pub struct PerWorker {
    pub(super) shared: Shared,
    pub(super) known: Known,
}

/// By message: the frame of the last reply to it that was inflated and found right, as far as replies stand for
/// themselves; the same bytes are the same message. It is no larger than the replies to one cycle of messages.
#[derive(Debug)]
pub(super) struct Known(Vec<Reply>);

#[derive(Debug, Clone, Default)]
struct Reply {
    frame: Vec<u8>,
    header_len: usize,
}

impl PerWorker {
    /// For the messages of `corpus`, compressed with `effort`.
    pub fn new(corpus: &Corpus, effort: Effort) -> Self {
        Self { shared: Shared::new(effort), known: Known(vec![Reply::default(); corpus.len()]) }
    }

    /// Lengths of the frame at the start of `bytes` and of its header, if it is whole and known to be right as a reply to
    /// this message.
    #[inline]
    pub(super) fn knows(&self, message: usize, bytes: &[u8]) -> Option<(usize, usize)> {
        let Reply { frame, header_len } = &self.known.0[message];
        (!frame.is_empty() && bytes.starts_with(frame)).then_some((frame.len(), *header_len))
    }
}

impl Known {
    /// This frame is a right reply to this message.
    pub(super) fn learn(&mut self, message: usize, frame: &[u8], header_len: usize) {
        let known = &mut self.0[message];
        known.header_len = header_len;
        known.frame.clear();
        known.frame.extend_from_slice(frame);
    }
}
