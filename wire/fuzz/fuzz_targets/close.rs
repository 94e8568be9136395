//! A Close payload that is read is written back to the same bytes, and one that is refused was wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;

use wire::{CloseCode, MAX_CONTROL_PAYLOAD, Violation, close_payload, parse_close};

fuzz_target!(|payload: &[u8]| {
    let payload = &payload[..payload.len().min(MAX_CONTROL_PAYLOAD)];
    let valid_code = |payload: &[u8]| CloseCode::is_valid_on_wire(u16::from_be_bytes([payload[0], payload[1]]));
    match parse_close(payload) {
        Ok(None) => assert!(payload.is_empty()),
        Ok(Some((code, reason))) => {
            assert_eq!(close_payload(code, reason, &mut [0; MAX_CONTROL_PAYLOAD]), payload);
        }
        Err(Violation::InvalidUtf8) => assert!(valid_code(payload) && str::from_utf8(&payload[2..]).is_err()),
        Err(Violation::InvalidClosePayload) => assert!(payload.len() == 1 || !valid_code(payload)),
        Err(other) => panic!("no verdict on a payload: {other}"),
    }
});
