//! What one connection keeps of permessage-deflate, and what all connections of a thread share.

use super::compressor::{Compressor, Effort, Workspace};
use super::decompressor::{Decompressor, Output};
use super::negotiation::{Agreed, Direction};
use super::window::WindowBits;
use crate::cursor::Peer;
use crate::violation::Violation;

/// What the connections of one thread share: buffers, and the compressor and decompressor of those that take no context
/// over.
#[derive(Debug)]
pub struct Shared {
    effort: Effort,
    compressor: Compressor,
    decompressor: Decompressor,
    workspace: Workspace,
    output: Output,
    /// A reply before it is compressed, where it is not the message itself.
    pub(super) reply: Vec<u8>,
}

/// One connection's state: what was agreed, and what refers to earlier messages, once there has been one.
#[derive(Debug)]
pub struct Codec {
    sending: Direction,
    receiving: Direction,
    compressor: Option<Box<Compressor>>,
    decompressor: Option<Box<Decompressor>>,
}

impl Shared {
    /// For compressing with `effort`.
    pub fn new(effort: Effort) -> Self {
        Self {
            effort,
            compressor: Compressor::new(effort, WindowBits::MAX, false),
            decompressor: Decompressor::new(false),
            workspace: Workspace::new(),
            output: Output::default(),
            reply: Vec::new(),
        }
    }

    /// Gives back the memory that a large message took.
    pub fn trim(&mut self) {
        self.output.trim();
        if self.reply.capacity() > KEPT_REPLY {
            self.reply = Vec::new();
        }
    }
}

impl Codec {
    /// For a connection with `peer`, after the handshake.
    pub fn new(agreed: Agreed, peer: Peer) -> Self {
        let (sending, receiving) = match peer {
            Peer::Client => (agreed.server, agreed.client),
            Peer::Server => (agreed.client, agreed.server),
        };
        Self { sending, receiving, compressor: None, decompressor: None }
    }

    /// Appends the compressed payload of `message` to `out`.
    pub fn compress(&mut self, shared: &mut Shared, message: &[u8], out: &mut Vec<u8>) {
        let Shared { effort, compressor, workspace, .. } = shared;
        self.compress_with(*effort, compressor, workspace, message, out);
    }

    /// The message whose compressed payload, over all its fragments, is `payload`. The connection is to be closed after an
    /// error.
    ///
    /// # Errors
    /// As [`Decompressor::decompress`].
    pub fn decompress<'s>(
        &mut self,
        shared: &'s mut Shared,
        payload: &[u8],
        limit: u64,
    ) -> Result<&'s mut [u8], Violation> {
        self.decompress_with(&mut shared.decompressor, payload, limit, &mut shared.output)
    }

    /// Decompresses `payload` and, if `accept` says so, appends the message to `out` compressed again; tells what it said.
    pub(crate) fn recompress(
        &mut self,
        shared: &mut Shared,
        payload: &[u8],
        limit: u64,
        out: &mut Vec<u8>,
        accept: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<bool, Violation>,
    ) -> Result<bool, Violation> {
        let Shared { effort, compressor, decompressor, workspace, output, .. } = shared;
        let message = self.decompress_with(decompressor, payload, limit, output)?;
        let accepted = accept(message, out)?;
        if accepted {
            self.compress_with(*effort, compressor, workspace, message, out);
        }
        Ok(accepted)
    }

    fn compress_with(
        &mut self,
        effort: Effort,
        shared: &mut Compressor,
        workspace: &mut Workspace,
        message: &[u8],
        out: &mut Vec<u8>,
    ) {
        let Direction { context_takeover, window } = self.sending;
        let compressor = if context_takeover {
            &mut **self.compressor.get_or_insert_with(|| Box::new(Compressor::new(effort, window, true)))
        } else {
            shared
        };
        compressor.compress(message, window, workspace, out);
    }

    fn decompress_with<'o>(
        &mut self,
        shared: &mut Decompressor,
        payload: &[u8],
        limit: u64,
        output: &'o mut Output,
    ) -> Result<&'o mut [u8], Violation> {
        let decompressor = if self.receiving.context_takeover {
            &mut **self.decompressor.get_or_insert_with(|| Box::new(Decompressor::new(true)))
        } else {
            shared
        };
        decompressor.decompress(payload, limit, output)
    }
}

/// Bytes of a reply that there is room for all the time.
const KEPT_REPLY: usize = 256 << 10;
