use wire::deflate::{Decompressor, Effort, Output};

use super::*;
use crate::plan::tests::plan;
use crate::plan::{ContextTakeover, Demand};

fn corpus(kind: Kind, payload: Payload, size: &str, seed: u64) -> Corpus {
    let message = Message { kind, payload, size: size.parse().unwrap() };
    Corpus::new(&Plan { message, seed, ..plan() }, None)
}

#[test]
fn frames_are_masked_and_replies_are_their_echo() {
    let corpus = corpus(Kind::Binary, Payload::Random, "0..70000", 1);
    for i in 0..corpus.len() {
        let request = corpus.requests(Encoding::Plain, i, 1);
        let (header, at) = Header::parse(request).unwrap().unwrap();
        assert!(header.fin && header.rsv == 0 && header.opcode == OpCode::Binary);
        let mut payload = request[at..].to_vec();
        apply_mask(&mut payload, header.mask.expect("a client masks"));
        assert_eq!(payload.len() as u64, header.payload_len);
        assert_eq!(payload, corpus.payload(i));
        assert_eq!(Header::parse(corpus.replies(i, 1)).unwrap().unwrap().0.mask, None);
    }
}

fn whole((volume, rest): (Volume, usize)) -> (u64, usize) {
    (volume.messages, rest)
}

#[test]
fn a_batch_is_one_slice_across_the_end_of_the_cycle() {
    let corpus = corpus(Kind::Text, Payload::Random, "5..900", 2);
    let n = corpus.len();
    let batch = corpus.requests(Encoding::Plain, n - 1, 3);
    let expected = [
        corpus.requests(Encoding::Plain, n - 1, 1),
        corpus.requests(Encoding::Plain, 0, 1),
        corpus.requests(Encoding::Plain, 1, 1),
    ]
    .concat();
    assert_eq!(batch, expected);
    assert_eq!(corpus.after(n - 1, 3), 2 % n);
    assert_eq!(whole(corpus.whole_requests(Encoding::Plain, n - 1, batch.len())), (3, 0));
    assert_eq!(
        whole(corpus.whole_requests(Encoding::Plain, n - 1, batch.len() - 1)),
        (2, corpus.requests(Encoding::Plain, 1, 1).len() - 1)
    );
    assert_eq!(whole(corpus.whole_replies(0, 0)), (0, 0));
}

#[test]
fn text_is_utf8_json_is_json_and_one_seed_is_one_corpus() {
    for payload in [Payload::Random, Payload::Json] {
        let made = |seed| corpus(Kind::Text, payload.clone(), "1..500", seed);
        let corpus = made(3);
        assert!((0..corpus.len()).all(|i| std::str::from_utf8(corpus.payload(i)).is_ok()));
        assert_eq!(corpus.requests.bytes, made(3).requests.bytes);
        assert_ne!(corpus.requests.bytes, made(4).requests.bytes);
    }
    let corpus = corpus(Kind::Text, Payload::Json, "400", 3);
    let text = std::str::from_utf8(corpus.payload(0)).unwrap();
    let first = &text[..=text.find('}').unwrap()];
    assert!(serde_json::from_str::<serde_json::Value>(first).unwrap()["price"].is_number());
}

#[test]
fn a_file_is_one_message_under_several_masks() {
    let corpus = Corpus::new(
        &Plan {
            message: Message { kind: Kind::Text, payload: Payload::File("x".into()), size: "64".parse().unwrap() },
            ..plan()
        },
        Some(b"hello"),
    );
    assert_eq!(corpus.payload(0), b"hello");
    assert_eq!(corpus.payload(1), b"hello");
    assert_ne!(corpus.requests(Encoding::Plain, 0, 1), corpus.requests(Encoding::Plain, 1, 1));
}

#[test]
fn compressed_requests_are_the_same_messages_from_the_threshold_on() {
    let corpus = corpus(Kind::Text, Payload::Json, "20..400", 7);
    let window = WindowBits::new(9).unwrap();
    let deflate = Deflate {
        demand: Demand::On,
        effort: Effort::default(),
        threshold: 100,
        context_takeover: ContextTakeover::Off,
        window,
    };
    let encoding = corpus.prepare(&deflate, window);
    let (mut decompressor, mut output) = (Decompressor::new(false), Output::default());
    for i in 0..corpus.len() {
        let (frame, message) = (corpus.requests(encoding, i, 1), corpus.payload(i));
        let (header, at) = Header::parse(frame).unwrap().unwrap();
        let mut payload = frame[at..].to_vec();
        apply_mask(&mut payload, header.mask.expect("a client masks"));
        assert_eq!(header.rsv == RSV1, message.len() >= 100);
        if header.rsv == RSV1 {
            payload = decompressor.decompress(&payload, 400, &mut output).unwrap().to_vec();
        }
        assert_eq!(payload, message);
    }
}

#[test]
fn where_context_is_taken_over_the_cycle_does_not_fit_into_the_window() {
    let cycle = |context_takeover| {
        let window = WindowBits::MAX;
        let deflate = Deflate { demand: Demand::On, effort: Effort::default(), threshold: 0, context_takeover, window };
        let mut plan = plan();
        plan.connect.permessage_deflate = Some(deflate);
        let corpus = Corpus::new(&plan, None);
        (0..corpus.len()).map(|i| corpus.payload(i).len()).sum::<usize>()
    };
    assert!(cycle(ContextTakeover::Off) < 32 << 10, "which keeps it in the cache");
    for takeover in [ContextTakeover::Server, ContextTakeover::Client, ContextTakeover::Both] {
        assert!(cycle(takeover) > 32 << 10, "{takeover:?}");
    }
}
