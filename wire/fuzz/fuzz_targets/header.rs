//! A header that is read is written back to the same bytes, and a verdict on a prefix is final.

#![no_main]

use libfuzzer_sys::fuzz_target;

use wire::{Header, MAX_HEADER_LEN};

fuzz_target!(|bytes: &[u8]| {
    let whole = Header::parse(bytes);
    if let Ok(Some((header, len))) = whole {
        let mut out = [0; MAX_HEADER_LEN];
        assert_eq!(header.encode(&mut out), len);
        assert_eq!(header.encoded_len(), len);
        assert_eq!(out[..len], bytes[..len]);
    }
    let mut decided = false;
    for end in 0..bytes.len().min(MAX_HEADER_LEN) {
        let verdict = Header::parse(&bytes[..end]);
        decided |= verdict != Ok(None);
        assert!(!decided || verdict == whole, "{end} bytes: {verdict:?}, all: {whole:?}");
    }
});
