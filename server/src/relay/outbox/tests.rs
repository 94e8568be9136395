use super::*;
use crate::limits::budget::Share;

/// A batch of binary messages, each of which says its number in so many bytes.
fn batch(numbers: Range<u8>, len: usize) -> Arc<Held> {
    let mut batch = Batch::default();
    numbers.for_each(|number| batch.push(0, OpCode::Binary, &vec![number; len]));
    let share = &Share::split(1 << 20, 1, &Arc::default())[0];
    Held::new(&Arc::new(batch), Charge::new(share))
}

/// Room for so many messages of 8 bytes.
fn queue(messages: usize, slow_reader: SlowReader) -> Queue {
    Queue { bytes: messages * (10 + MESSAGE_BYTES), slow_reader }
}

/// Takes up to `most` bytes out, and says how many messages are through.
fn send(outbox: &mut Outbox, most: usize, into: &mut Vec<u8>) -> usize {
    let mut slices = [IoSlice::new(&[]); 3];
    let count = outbox.next(&mut slices);
    let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
    into.extend_from_slice(&bytes);
    outbox.advance(bytes.len())
}

fn send_all(outbox: &mut Outbox, step: usize) -> (Vec<u8>, usize) {
    let (mut sent, mut through) = (Vec::new(), 0);
    while !outbox.is_empty() {
        through += send(outbox, step, &mut sent);
    }
    assert_eq!((outbox.bytes, outbox.begun, outbox.rest().len()), (0, 0, 0));
    (sent, through)
}

/// The frames of these messages of 8 bytes.
fn frames(numbers: impl IntoIterator<Item = u8>) -> Vec<u8> {
    numbers.into_iter().flat_map(|number| [&[0x82, 8][..], &[number; 8]].concat()).collect()
}

#[test]
fn everything_is_sent_in_order_in_any_steps() {
    for step in 1..60 {
        let mut outbox = Outbox::new(Encoding::Plain);
        let (first, second) = (batch(0..3, 8), batch(3..6, 8));
        let queue = queue(9, SlowReader::DropNewest);
        // Of the first message 4 bytes are sent, and one is left out.
        assert_eq!(outbox.offer(&first, 0..1, 4, &queue).queued, 1);
        assert_eq!(outbox.offer(&first, 2..3, 0, &queue).queued, 1);
        assert_eq!(outbox.offer(&second, 0..3, 0, &queue).queued, 3);
        assert_eq!((outbox.messages(), outbox.waiting.len()), (5, 3));
        let (sent, through) = send_all(&mut outbox, step);
        assert_eq!((sent, through), (frames([0, 2, 3, 4, 5])[4..].to_vec(), 5), "in steps of {step}");
    }
}

#[test]
fn what_waits_for_several_members_lies_in_memory_once_for_each_encoding() {
    let mut batch = Batch::default();
    batch.push(0, OpCode::Binary, &[1; 100]);
    batch.compress_last(|_, out| out.extend_from_slice(b"packed"));
    batch.finish();
    let share = &Share::split(1 << 20, 1, &Arc::default())[0];
    let held = Held::new(&Arc::new(batch), Charge::new(share));
    let address = |encoding| {
        let mut outbox = Outbox::new(encoding);
        assert_eq!(outbox.offer(&held, 0..1, 0, &queue(9, SlowReader::Close)).queued, 1);
        let mut slices = [IoSlice::new(&[])];
        assert_eq!(outbox.next(&mut slices), 1);
        slices[0].as_ptr().addr()
    };
    let [plain, compressed] = [Encoding::Plain, Encoding::Compressed].map(|encoding| {
        let (one, other) = (address(encoding), address(encoding));
        assert_eq!(one, other, "{encoding:?}");
        one
    });
    assert_ne!(plain, compressed);
}

#[test]
fn what_does_not_fit_is_dropped_as_the_policy_says() {
    let whole = batch(0..8, 8);
    let mut newest = Outbox::new(Encoding::Plain);
    let offered = newest.offer(&whole, 0..8, 0, &queue(3, SlowReader::DropNewest));
    assert_eq!(offered, Offered { queued: 3, dropped: 5, close: false });
    assert_eq!(send_all(&mut newest, 7).0, frames(0..3));
    let mut oldest = Outbox::new(Encoding::Plain);
    let offered = oldest.offer(&whole, 0..8, 0, &queue(3, SlowReader::DropOldest));
    assert_eq!(offered, Offered { queued: 8, dropped: 5, close: false });
    assert_eq!(send_all(&mut oldest, 7).0, frames(5..8));
    let mut begun = Outbox::new(Encoding::Plain);
    let offered = begun.offer(&whole, 0..8, 5, &queue(3, SlowReader::DropOldest));
    assert_eq!(offered, Offered { queued: 8, dropped: 5, close: false });
    assert_eq!(begun.rest(), frames([0])[5..], "what is begun is sent to its end");
    assert_eq!(send_all(&mut begun, 7).0, frames([0, 6, 7])[5..]);
    let mut closed = Outbox::new(Encoding::Plain);
    let offered = closed.offer(&whole, 0..8, 0, &queue(3, SlowReader::Close));
    assert_eq!(offered, Offered { queued: 3, dropped: 0, close: true });
}

#[test]
fn an_empty_queue_takes_any_message_and_no_other_beside_it() {
    let (large, small) = (batch(1..2, 5_000), batch(2..3, 8));
    for slow_reader in [SlowReader::DropNewest, SlowReader::DropOldest] {
        let mut outbox = Outbox::new(Encoding::Plain);
        assert_eq!(outbox.offer(&large, 0..1, 100, &queue(3, slow_reader)).queued, 1);
        assert_eq!(outbox.offer(&small, 0..1, 0, &queue(3, slow_reader)).dropped, 1, "{slow_reader:?}");
        assert_eq!(send_all(&mut outbox, 999).1, 1);
        assert_eq!(outbox.offer(&small, 0..1, 0, &queue(3, slow_reader)).queued, 1);
    }
}

#[test]
fn nothing_is_dropped_for_a_message_that_does_not_fit_beside_the_one_that_is_begun() {
    let (small, large) = (batch(0..3, 8), batch(3..4, 170));
    let queue = queue(4, SlowReader::DropOldest);
    let mut outbox = Outbox::new(Encoding::Plain);
    outbox.offer(&small, 0..3, 5, &queue);
    assert_eq!(outbox.offer(&large, 0..1, 0, &queue), Offered { queued: 0, dropped: 1, close: false });
    assert_eq!(send_all(&mut outbox, 7).0, frames(0..3)[5..]);
    // Without one that is begun there is room once the others are dropped.
    outbox.offer(&small, 0..3, 0, &queue);
    assert_eq!(outbox.offer(&large, 0..1, 0, &queue), Offered { queued: 1, dropped: 3, close: false });
}

#[test]
fn pongs_come_between_two_messages() {
    for step in 1..40 {
        let mut outbox = Outbox::new(Encoding::Plain);
        outbox.offer(&batch(0..2, 8), 0..2, 3, &queue(9, SlowReader::Close));
        outbox.answer_ping(b"first");
        outbox.answer_ping(b"");
        outbox.answer_ping(b"last");
        let expected = [&frames([0])[3..], b"\x8a\x05first\x8a\x00\x8a\x04last", &frames([1])].concat();
        assert_eq!(send_all(&mut outbox, step).0, expected, "in steps of {step}");
    }
}

#[test]
fn of_too_many_pings_the_last_is_answered() {
    for begun in [0, 3] {
        let mut outbox = Outbox::new(Encoding::Plain);
        let mut sent = Vec::new();
        outbox.answer_ping(b"begun");
        send(&mut outbox, begun, &mut sent);
        (0..100).for_each(|_| outbox.answer_ping(&[b'x'; 125]));
        outbox.answer_ping(b"last");
        assert!(outbox.pongs.len() <= MOST_PONGS + 127, "{}", outbox.pongs.len());
        assert_eq!(outbox.rest(), if begun > 0 { &b"egun"[..] } else { b"" });
        sent.extend(send_all(&mut outbox, 50).0);
        assert!(sent.ends_with(b"\x8a\x04last"));
        assert_eq!(sent.starts_with(b"\x8a\x05begun\x8a"), begun > 0);
    }
}
