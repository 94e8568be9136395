//! A stream says the same as a whole, byte by byte, and in pieces; and it ends where the cursor stops, or earlier for what stands
//! in a message.

#![no_main]

use libfuzzer_sys::fuzz_target;

use wire::{Cursor, Limits, Peer, Received, Receiver, Violation};

const LIMITS: Limits = Limits { max_message_size: 300, max_fragments: 3 };

fuzz_target!(|input: &[u8]| {
    let [options, step, stream @ ..] = input else { return };
    let deflate = options & 1 == 1;
    let whole = said(stream, deflate, stream.len().max(1));
    for step in [1, usize::from(*step).max(1)] {
        assert_eq!(said(stream, deflate, step), whole);
    }
    let cursor = Cursor::new(Peer::Client, LIMITS);
    let mut cursor = if deflate { cursor.with_deflate() } else { cursor };
    let stop = cursor.advance(stream).err().map(|stop| stop.violation);
    match whole.1 {
        Some(Violation::InvalidUtf8 | Violation::InvalidClosePayload) => {}
        violation => assert_eq!(violation, stop),
    }
});

/// Everything that a stream says when it comes in pieces of `step` bytes, and why it ends, if it does.
fn said(stream: &[u8], deflate: bool, step: usize) -> (Vec<String>, Option<Violation>) {
    let (mut receiver, mut said, mut held) = (Receiver::new(LIMITS, deflate), Vec::new(), Vec::new());
    for piece in stream.chunks(step) {
        held.extend_from_slice(piece);
        loop {
            match receiver.next(&mut held) {
                Ok(Some((used, received))) => {
                    said.push(format!("{received:?}"));
                    if matches!(received, Received::Close(_)) {
                        return (said, None);
                    }
                    held.drain(..used);
                }
                Ok(None) => break,
                Err(violation) => return (said, Some(violation)),
            }
        }
    }
    (said, None)
}
