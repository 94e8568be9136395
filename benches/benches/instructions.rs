//! Instructions of each kernel, counted by callgrind: the same on every run and nearly the same on every machine.
//!
//! `scripts/instructions` runs it, with what it needs, and compares with the recorded baselines. Every benchmark does its
//! work [`BATCH`] times, and what is printed there is the cost of one.

// The macros make items that nobody can document.
#![allow(missing_docs)]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use hdrhistogram::Histogram;

use benches::{BATCH, KEY, LIMITS, frames, header, recording};
use wire::{Cursor, OpCode, Peer, apply_mask, echo_in_place};

// Each function hands its input back, so that freeing it is not counted.

#[library_benchmark]
#[bench::length_2(header(OpCode::Binary, 64))]
#[bench::length_4(header(OpCode::Binary, 1024))]
#[bench::length_10(header(OpCode::Binary, 1 << 20))]
fn header_parse(bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..BATCH {
        let _ = black_box(wire::Header::parse(black_box(&bytes)));
    }
    bytes
}

#[library_benchmark]
#[bench::frames_of_64(frames(OpCode::Binary, 64))]
#[bench::frames_of_1024(frames(OpCode::Binary, 1024))]
fn cursor(bytes: Vec<u8>) -> Vec<u8> {
    let mut cursor = Cursor::new(Peer::Client, LIMITS);
    let _ = black_box(cursor.advance(black_box(&bytes)));
    black_box(&cursor);
    bytes
}

#[library_benchmark]
#[bench::of_16(vec![1; 16])]
#[bench::of_64(vec![1; 64])]
#[bench::of_1024(vec![1; 1024])]
#[bench::of_16384(vec![1; 16384])]
fn mask(mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..BATCH {
        apply_mask(black_box(&mut bytes), black_box(KEY));
    }
    bytes
}

#[library_benchmark]
#[bench::frames_of_16(frames(OpCode::Binary, 16))]
#[bench::frames_of_64(frames(OpCode::Binary, 64))]
#[bench::frames_of_1024(frames(OpCode::Binary, 1024))]
#[bench::frames_of_16384(frames(OpCode::Binary, 16384))]
#[bench::text_frames_of_64(frames(OpCode::Text, 64))]
#[bench::text_frames_of_1024(frames(OpCode::Text, 1024))]
fn echo(mut bytes: Vec<u8>) -> Vec<u8> {
    black_box(echo_in_place(black_box(&mut bytes), black_box(&LIMITS)));
    bytes
}

#[library_benchmark]
#[bench::latencies(recording())]
fn record((mut histogram, latencies): (Histogram<u64>, Vec<u64>)) -> (Histogram<u64>, Vec<u64>) {
    for &latency in black_box(&latencies) {
        histogram.saturating_record(latency);
    }
    (histogram, latencies)
}

library_benchmark_group!(name = kernels, benchmarks = [header_parse, cursor, mask, echo, record]);
main!(library_benchmark_groups = kernels);
