//! Messages, and what other implementations make of them.

use wire::deflate::{Agreed, Direction, Level, WindowBits};
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

/// JSON-like text of `len` bytes, which differs with the seed.
pub fn json(seed: u64, len: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut state = seed;
    while text.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, side, qty) = (state >> 40, if state >> 63 == 0 { "buy" } else { "sell" }, (state >> 33) % 50);
        text += &format!("{{\"id\":{id},\"symbol\":\"BTC-USD\",\"side\":\"{side}\",\"qty\":{qty}}},");
    }
    text.truncate(len);
    text.into_bytes()
}

/// Bytes that nothing makes smaller.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A sender by zlib-rs.
pub struct Zlib {
    deflate: Deflate,
    window_bits: u8,
}

impl Zlib {
    pub fn new(window_bits: u8) -> Self {
        Self { deflate: Deflate::new(6, false, window_bits), window_bits }
    }

    /// The compressed payload, which may refer to earlier ones.
    pub fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = self.flush(message, DeflateFlush::SyncFlush);
        assert!(payload.ends_with(&[0, 0, 0xff, 0xff]));
        payload.truncate(payload.len() - 4);
        payload
    }

    /// The same ended by a last block, as RFC 7692, 7.2.3.4, allows.
    pub fn finish(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = self.flush(message, DeflateFlush::Finish);
        payload.push(0);
        self.deflate = Deflate::new(6, false, self.window_bits);
        payload
    }

    fn flush(&mut self, message: &[u8], flush: DeflateFlush) -> Vec<u8> {
        let mut out = vec![0; message.len() * 2 + 1024];
        let before = self.deflate.total_out();
        self.deflate.compress(message, &mut out, flush).unwrap();
        out.truncate((self.deflate.total_out() - before) as usize);
        out
    }
}

/// A receiver by zlib-rs that has just the window it was told of, and so fails where a message refers further back.
pub struct Unzlib(Inflate);

impl Unzlib {
    pub fn new(window_bits: u8) -> Self {
        Self(Inflate::new(false, window_bits))
    }

    pub fn decompress(&mut self, payload: &[u8], len: usize) -> Vec<u8> {
        let mut out = vec![0; len + 64];
        let (mut filled, mut input) = (0, [payload, &[0, 0, 0xff, 0xff]].concat());
        // Room for a window at a time, so that what is further back is gone from the receiver's own memory too.
        while !input.is_empty() {
            let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
            let end = out.len().min(filled + 128);
            let status = self.0.decompress(&input, &mut out[filled..end], InflateFlush::SyncFlush).unwrap();
            assert_ne!(status, Status::StreamEnd);
            input.drain(..(self.0.total_in() - before_in) as usize);
            filled += (self.0.total_out() - before_out) as usize;
        }
        out.truncate(filled);
        out
    }
}

pub fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

pub fn level(level: u8) -> Level {
    Level::new(level).unwrap()
}

pub fn agreed(context_takeover: bool) -> Agreed {
    let direction = Direction { context_takeover, window: WindowBits::MAX };
    Agreed { server: direction, client: direction }
}
