//! What the compressor writes, another implementation reads; and it is as small as it should be.

use proptest::prelude::*;
use wire::deflate::{Compressor, Effort, Level, MemoryLevel, WindowBits, Workspace};

use crate::sample::{Unzlib, Zlib, bits, json, level, noise};

fn compressor(level: Level, window: u8, takeover: bool) -> Compressor {
    Compressor::new(Effort { level, memory: MemoryLevel::default() }, bits(window), takeover)
}

fn compress(compressor: &mut Compressor, workspace: &mut Workspace, message: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    compressor.compress(message, WindowBits::MAX, workspace, &mut out);
    assert!(out.starts_with(b"before"));
    out.split_off(6)
}

#[test]
fn an_empty_message_is_one_byte() {
    for takeover in [false, true] {
        let mut compressor = compressor(Level::default(), 15, takeover);
        assert_eq!(compress(&mut compressor, &mut Workspace::new(), b""), [0x00]);
    }
}

#[test]
fn every_level_and_window_is_read_by_zlib() {
    let mut workspace = Workspace::new();
    let runs = [json(1, 100_000), vec![7; 70_000], noise(2, 70_000), json(3, 9), b"a".to_vec(), Vec::new()];
    for (grade, window, takeover) in
        (1..=9).flat_map(|grade| (8..=15).flat_map(move |bits| [(grade, bits, false), (grade, bits, true)]))
    {
        let mut compressor = compressor(level(grade), window, takeover);
        // zlib cannot be told of a window of 256 bytes only.
        let mut zlib = Unzlib::new(window.max(9));
        for _ in 0..2 {
            for message in &runs {
                if !takeover {
                    zlib = Unzlib::new(window.max(9));
                }
                let payload = compress(&mut compressor, &mut workspace, message);
                let read = zlib.decompress(&payload, message.len());
                assert!(read == *message, "level {grade}, window {window}, takeover {takeover}, {} B", message.len());
            }
        }
    }
}

#[test]
fn a_reference_reaches_no_further_than_the_window() {
    // The only repetition is 300 bytes back.
    let message = [noise(1, 300), noise(1, 300)].concat();
    for takeover in [false, true] {
        let len = |window| {
            let mut compressor = compressor(level(9), 15, takeover);
            let mut out = Vec::new();
            compressor.compress(&message, bits(window), &mut Workspace::new(), &mut out);
            out.len()
        };
        assert!(len(8) > 600, "{}", len(8));
        assert!(len(9) < 400, "{}", len(9));
    }
}

#[test]
fn earlier_messages_are_referred_to_only_with_takeover() {
    let mut workspace = Workspace::new();
    let message = noise(5, 200);
    for (takeover, most) in [(true, 12), (false, 220)] {
        let mut compressor = compressor(Level::default(), 15, takeover);
        compress(&mut compressor, &mut workspace, &message);
        let again = compress(&mut compressor, &mut workspace, &message);
        assert!(again.len() <= most && (takeover || again.len() > 200), "{} B", again.len());
    }
}

#[test]
fn what_cannot_be_compressed_grows_by_a_few_bytes() {
    let mut workspace = Workspace::new();
    for len in [1, 10, 100, 1000, 65_535, 65_536, 1 << 20] {
        let mut compressor = compressor(Level::default(), 15, false);
        let payload = compress(&mut compressor, &mut workspace, &noise(1, len));
        assert!(payload.len() <= len + 6 + len / 1000, "{len} B became {}", payload.len());
    }
}

/// What the default level promises: at most a tenth more than zlib at its default, level 6.
#[test]
fn json_is_at_most_a_tenth_larger_than_by_zlib() {
    let mut workspace = Workspace::new();
    for len in [64, 512, 4096] {
        for takeover in [false, true] {
            let (mut ours, mut theirs) = (0, 0);
            let mut compressor = compressor(Level::default(), 15, takeover);
            let mut zlib = Zlib::new(15);
            for seed in 0..50 {
                if !takeover {
                    zlib = Zlib::new(15);
                }
                ours += compress(&mut compressor, &mut workspace, &json(seed, len)).len();
                theirs += zlib.compress(&json(seed, len)).len();
            }
            assert!(ours * 10 <= theirs * 11, "{len} B, takeover {takeover}: {ours} to {theirs}");
        }
    }
}

#[test]
fn memory_is_what_the_documentation_says() {
    let mut workspace = Workspace::new();
    let mut compressor = compressor(Level::default(), 15, true);
    (0..1000).for_each(|seed| drop(compress(&mut compressor, &mut workspace, &json(seed, 4096))));
    assert!(compressor.memory() <= 168 << 10, "{} B", compressor.memory());
    let mut odd = self::compressor(Level::default(), 15, true);
    (0..1000).for_each(|seed| drop(compress(&mut odd, &mut workspace, &json(seed, 1000))));
    assert!(odd.memory() <= 168 << 10, "{} B after messages of 1,000 B", odd.memory());
    drop(compress(&mut compressor, &mut workspace, &noise(1, 4 << 20)));
    assert!(compressor.memory() <= 168 << 10, "{} B after 4 MiB", compressor.memory());
    assert!(workspace.memory() <= 160 << 10, "{} B of workspace", workspace.memory());
}

proptest! {
    #[test]
    fn any_messages_are_read_by_zlib(
        messages in prop::collection::vec(prop::collection::vec(0..4_u8, 0..2000), 1..8),
        grade in 1..=9_u8,
        window in 9..=15_u8,
        takeover: bool,
    ) {
        let mut workspace = Workspace::new();
        let mut compressor = compressor(level(grade), window, takeover);
        let mut zlib = Unzlib::new(window);
        for message in messages {
            if !takeover {
                zlib = Unzlib::new(window);
            }
            let payload = compress(&mut compressor, &mut workspace, &message);
            prop_assert_eq!(zlib.decompress(&payload, message.len()), message);
        }
    }
}
