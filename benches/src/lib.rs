//! The inputs that the micro-benchmarks share, so that instruction counts and wall clock speak of the same work.

use hdrhistogram::Histogram;
use wire::{Header, Limits, MAX_HEADER_LEN, OpCode, apply_mask};

/// Frames per buffer, and values per recording: divide by it for the cost of one.
pub const BATCH: usize = 16;

/// Limits that nothing here reaches.
pub const LIMITS: Limits = Limits { max_message_size: 16 << 20, max_fragments: 1024 };

/// A masking key of four different bytes.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// [`BATCH`] unfragmented client frames, each with `payload_len` bytes of ASCII.
pub fn frames(opcode: OpCode, payload_len: usize) -> Vec<u8> {
    let mut frame = header(opcode, payload_len);
    let start = frame.len();
    frame.extend((b' '..=b'~').cycle().take(payload_len));
    apply_mask(&mut frame[start..], KEY);
    frame.repeat(BATCH)
}

/// A client frame's header.
pub fn header(opcode: OpCode, payload_len: usize) -> Vec<u8> {
    let mut bytes = [0; MAX_HEADER_LEN];
    let header = Header { fin: true, rsv: 0, opcode, mask: Some(KEY), payload_len: payload_len as u64 };
    let len = header.encode(&mut bytes);
    bytes[..len].to_vec()
}

/// A histogram of 1 ns to 1 h with three significant digits, and [`BATCH`] latencies to record: 10 us to 160 ms.
pub fn recording() -> (Histogram<u64>, Vec<u64>) {
    let histogram = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("lawful bounds");
    (histogram, (0..BATCH as u32).map(|i| 10_000 + (1_u64 << i) * 4_900).collect())
}
