//! Masking against the RFC's sentence about it, for every alignment, distance and length.

use proptest::prelude::*;

use crate::model::unmasked;
use wire::{apply_mask, move_masked};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Bytes that do not repeat within any block the code might work in.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 167 + i / 251) as u8).collect()
}

fn check(len: usize, from: usize, to: usize, key: [u8; 4]) {
    let before = bytes(from + len + 70);
    let mut buf = before.clone();
    move_masked(&mut buf, from, to, len, key);
    assert_eq!(buf[..to], before[..to], "wrote before the destination");
    assert_eq!(buf[to..to + len], unmasked(&before[from..from + len], key), "{len} bytes from {from} to {to}");
    assert_eq!(buf[to + len..], before[to + len..], "wrote behind the destination");
}

#[test]
fn moving_equals_the_model_at_every_distance_and_length() {
    for len in 0..200 {
        for from in 0..70 {
            check(len, from, 0, KEY);
            check(len, from, from, KEY);
            check(len, from, from - from.min(4), KEY);
        }
    }
}

#[test]
fn in_place_equals_the_model_at_every_alignment_and_undoes_itself() {
    for len in (0..300).chain([1024, 4099]) {
        for start in 0..16 {
            let before = bytes(start + len);
            let mut buf = before.clone();
            apply_mask(&mut buf[start..], KEY);
            assert_eq!(buf[start..], unmasked(&before[start..], KEY));
            assert_eq!(buf[..start], before[..start]);
            apply_mask(&mut buf[start..], KEY);
            assert_eq!(buf, before);
        }
    }
}

#[test]
fn moves_towards_the_back_or_out_of_bounds_are_refused() {
    for (from, to, len) in [(0, 1, 1), (0, 0, 11), (11, 0, 0), (5, 0, 6), (usize::MAX, 0, 2), (2, 0, usize::MAX)] {
        let refused = std::panic::catch_unwind(|| move_masked(&mut [0; 10], from, to, len, KEY));
        assert!(refused.is_err(), "{len} bytes from {from} to {to}");
    }
}

proptest! {
    #[test]
    fn any_move_equals_the_model(len in 0..3000_usize, from in 0..300_usize, back in 0..300_usize, key: [u8; 4]) {
        check(len, from, from.saturating_sub(back), key);
    }
}
