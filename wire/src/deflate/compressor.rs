//! From a message to its compressed payload (RFC 7692, 7.2.1).
//!
//! General compressors prepare for megabytes: they clear or allocate tables of 128 KiB before the first byte, which takes
//! longer than to compress 512 bytes. This one keeps its tables from message to message without clearing them.

use std::fmt;

use super::bits::BitWriter;
use super::block::{self, SMALLEST_PIECE, Tokens};
use super::matcher::{Matcher, Search};
use super::window::WindowBits;

/// How hard to compress, 1 (fastest) to 9 (smallest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(u8);

/// How much memory to look for matches with, 1 to 9: 2^(5 + this) positions of 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLevel(u8);

/// How a compressor goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// How hard it tries.
    pub level: Level,
    /// How much memory it uses for that.
    pub memory: MemoryLevel,
}

/// The sending end of one direction.
///
/// Without context takeover one serves any number of connections, a message at a time.
#[derive(Debug)]
pub struct Compressor {
    matcher: Matcher,
    /// What messages may refer to, and the message itself; `None` without context takeover.
    history: Option<Vec<u8>>,
    window: WindowBits,
}

/// What compressors need while they compress, lent to one after the other.
#[derive(Debug)]
pub struct Workspace(Tokens);

impl Compressor {
    /// One that refers at most `window` back, into earlier messages too if `context_takeover`.
    pub fn new(effort: Effort, window: WindowBits, context_takeover: bool) -> Self {
        let search = effort.level.search(context_takeover);
        Self {
            matcher: Matcher::new(search, effort.memory.hash_bits(), window.size()),
            history: context_takeover.then(Vec::new),
            window,
        }
    }

    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        self.matcher.memory() + self.history.as_ref().map_or(0, Vec::capacity)
    }

    /// Appends the compressed payload of `message` to `out`. It refers at most `window` back, if that is less than what it
    /// was made for.
    pub fn compress(&mut self, message: &[u8], window: WindowBits, workspace: &mut Workspace, out: &mut Vec<u8>) {
        let window = window.min(self.window).size();
        let start = out.len();
        out.resize(start + block::most_bytes(message.len()) + BitWriter::SPARE, 0);
        let mut bits = BitWriter::new(&mut out[start..]);
        match &mut self.history {
            None => {
                compress(&mut self.matcher, message, 0, window, workspace, &mut bits);
                self.matcher.slide(message.len());
            }
            Some(history) => {
                // In pieces, so that a large message makes no large history.
                for piece in message.chunks(self.window.size().max(SMALLEST_PIECE)) {
                    let gone = history.len().saturating_sub(self.window.size());
                    if gone > 0 && history.len() + piece.len() > 2 * self.window.size() {
                        history.drain(..gone);
                        self.matcher.slide(gone);
                    }
                    let (start, needed) = (history.len(), history.len() + piece.len());
                    if needed > history.capacity() {
                        // Twice as much each time, and twice the window at the end: the vector's own growth may go beyond.
                        let most = (2 * self.window.size()).max(needed);
                        history.reserve_exact(needed.next_power_of_two().min(most) - start);
                    }
                    history.extend_from_slice(piece);
                    compress(&mut self.matcher, history, start, window, workspace, &mut bits);
                }
            }
        }
        // An empty stored block, whose lengths are left out (RFC 7692, 7.2.1).
        bits.put(0, 3);
        let written = bits.finish();
        out.truncate(start + written);
    }
}

fn compress(
    matcher: &mut Matcher,
    data: &[u8],
    start: usize,
    window: usize,
    workspace: &mut Workspace,
    bits: &mut BitWriter<'_>,
) {
    let mut from = start;
    while from < data.len() {
        let to = matcher.parse(data, from, window, &mut workspace.0);
        workspace.0.write(&data[from..to], bits);
        from = to;
    }
}

impl Workspace {
    /// One without buffers yet.
    pub fn new() -> Self {
        Self(Tokens::new())
    }

    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Level {
    /// This level, if it is 1 to 9.
    pub const fn new(level: u8) -> Option<Self> {
        if matches!(level, 1..=9) { Some(Self(level)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Measured: without earlier messages a second look seldom finds more; with them it does, and is worth its time.
    const fn search(self, context_takeover: bool) -> Search {
        let far = context_takeover && self.0 > 2;
        let (depth, nice, lazy) = match self.0 {
            1 => (1, 258, 0),
            2 => (1, 258, 8),
            3 => (1, 258, if far { 64 } else { 32 }),
            4 => (2, 32, 16),
            5 => (4, 32, 16),
            6 => (8, 64, 32),
            7 => (32, 128, 64),
            8 => (128, 258, 128),
            _ => (1024, 258, 258),
        };
        let depth = if far { depth * 4 } else { depth };
        Search { depth, nice, lazy, entered: if far || self.0 > 3 { usize::MAX } else { 1 } }
    }
}

impl From<Level> for u8 {
    fn from(value: Level) -> Self {
        value.0
    }
}

impl Default for Level {
    fn default() -> Self {
        Self(3)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl MemoryLevel {
    /// This level, if it is 1 to 9.
    pub const fn new(level: u8) -> Option<Self> {
        if matches!(level, 1..=9) { Some(Self(level)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    const fn hash_bits(self) -> u32 {
        5 + self.0 as u32
    }
}

impl From<MemoryLevel> for u8 {
    fn from(value: MemoryLevel) -> Self {
        value.0
    }
}

impl Default for MemoryLevel {
    fn default() -> Self {
        Self(8)
    }
}

impl fmt::Display for MemoryLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
