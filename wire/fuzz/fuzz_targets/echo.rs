//! The echo in place does what the model does, and touches nothing that it has not consumed.

#![no_main]

use libfuzzer_sys::fuzz_target;

use wire::{End, Limits, echo_in_place};
use wire_fuzz::model;

const LIMITS: Limits = Limits { max_message_size: 3000, max_fragments: 1 };

fuzz_target!(|stream: &[u8]| {
    let mut buf = stream.to_vec();
    let echoed = echo_in_place(&mut buf, &LIMITS);
    let model = model::echo(stream, &LIMITS);
    assert_eq!((echoed.consumed, echoed.messages), (model.consumed, model.messages));
    assert_eq!(buf[..echoed.written], model.replies);
    assert_eq!(buf[echoed.consumed..], stream[echoed.consumed..]);
    match model.end {
        Some(end) => assert_eq!(echoed.end, end),
        None => assert!(matches!(echoed.end, End::Partial | End::Detour)),
    }
});
