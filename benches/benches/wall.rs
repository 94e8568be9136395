//! Wall clock of the same kernels as in `instructions`, for a quick look; on a shared machine it is no verdict.

use std::hint::black_box;

use divan::{Bencher, counter::BytesCount};

use benches::{KEY, LIMITS, frames, header, recording};
use wire::{Cursor, Header, OpCode, Peer, apply_mask, echo_in_place};

fn main() {
    divan::main();
}

#[divan::bench(args = [64, 1024, 1 << 20])]
fn header_parse(bencher: Bencher, payload_len: usize) {
    let bytes = header(OpCode::Binary, payload_len);
    bencher.bench(|| Header::parse(black_box(&bytes)));
}

#[divan::bench(args = [64, 1024])]
fn cursor(bencher: Bencher, payload_len: usize) {
    let bytes = frames(OpCode::Binary, payload_len);
    bencher.bench(|| Cursor::new(Peer::Client, LIMITS).advance(black_box(&bytes)));
}

#[divan::bench(args = [16, 64, 1024, 16384])]
fn mask(bencher: Bencher, len: usize) {
    let mut bytes = vec![1; len];
    bencher.counter(BytesCount::new(len)).bench_local(|| apply_mask(black_box(&mut bytes), black_box(KEY)));
}

#[divan::bench(args = [16, 64, 1024, 16384])]
fn echo_binary(bencher: Bencher, payload_len: usize) {
    echo(bencher, frames(OpCode::Binary, payload_len));
}

#[divan::bench(args = [64, 1024])]
fn echo_text(bencher: Bencher, payload_len: usize) {
    echo(bencher, frames(OpCode::Text, payload_len));
}

#[divan::bench]
fn record(bencher: Bencher) {
    let (mut histogram, latencies) = recording();
    bencher.bench_local(|| {
        for &latency in black_box(&latencies) {
            histogram.saturating_record(latency);
        }
    });
}

/// The echo overwrites its input, so every iteration gets a copy of its own, made outside of the measured time.
fn echo(bencher: Bencher, bytes: Vec<u8>) {
    bencher
        .counter(BytesCount::new(bytes.len()))
        .with_inputs(|| bytes.clone())
        .bench_local_refs(|bytes| echo_in_place(bytes, black_box(&LIMITS)));
}
