//! A stream gets the same verdict at the same offset as a whole, byte by byte, and in pieces; and it is the model's.

#![no_main]

use libfuzzer_sys::fuzz_target;

use wire::{Cursor, Limits, Peer, Stop, Violation};
use wire_fuzz::model::{Verdict, verdict};

const LIMITS: Limits = Limits { max_message_size: 300, max_fragments: 3 };

fuzz_target!(|input: &[u8]| {
    let [peer, step, stream @ ..] = input else { return };
    let peer = if peer & 1 == 0 { Peer::Client } else { Peer::Server };

    let mut cursor = Cursor::new(peer, LIMITS);
    let whole = cursor.advance(stream);
    match verdict(stream, peer, &LIMITS) {
        Verdict::Lawful { boundary } => {
            assert_eq!(whole, Ok(()));
            assert_eq!(cursor.at_message_boundary(), boundary);
        }
        Verdict::Unlawful(at) => assert_eq!(whole.map_err(|stop| stop.lawful), Err(at)),
        Verdict::Unfinished(at) => assert!(whole.is_ok() || whole.is_err_and(|stop| stop.lawful == at)),
    }

    for step in [1, usize::from(*step).max(1)] {
        let mut pieces = Cursor::new(peer, LIMITS);
        match (whole, in_pieces(&mut pieces, stream, step)) {
            (Ok(()), None) => {
                assert_eq!(pieces.at_message_boundary(), cursor.at_message_boundary());
                assert_eq!(pieces.closed(), cursor.closed());
            }
            (Err(stop), Some((start, lawful, violation))) => {
                assert_eq!(violation, stop.violation);
                // A frame that began in an earlier piece is reported at the start of this one.
                assert_eq!(start + lawful, stop.lawful.max(start));
            }
            (whole, pieces) => panic!("whole: {whole:?}, in pieces of {step}: {pieces:?}"),
        }
    }
});

/// The start of the piece in which it stopped, what of that was lawful, and why.
fn in_pieces(cursor: &mut Cursor, stream: &[u8], step: usize) -> Option<(usize, usize, Violation)> {
    for (i, piece) in stream.chunks(step).enumerate() {
        if let Err(Stop { lawful, violation }) = cursor.advance(piece) {
            return Some((i * step, lawful, violation));
        }
    }
    None
}
