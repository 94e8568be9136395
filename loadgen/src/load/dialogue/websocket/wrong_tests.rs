//! Messages that are not the replies they should be: pushes, corrupted, missing and repeated replies, in any order.

use proptest::prelude::*;

use super::*;
use crate::load::dialogue::websocket::frames::MOST_READ;

/// What a server does next.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Answers the oldest message that it has not answered.
    Right,
    /// Answers it with a wrong byte.
    Corrupt,
    /// Answers it as text instead of binary.
    Retype,
    /// Answers it and adds a byte, so that it may be longer than any reply.
    Lengthen,
    /// Forgets it.
    Forget,
    /// Repeats the last reply.
    Repeat,
    /// Sends what nobody asked for.
    Push,
    /// Sends a long message that nobody asked for.
    LongPush,
    /// Sends a Ping.
    Ping,
}

/// What became of everything.
#[derive(Debug, Default)]
struct Sums {
    sent: usize,
    /// Whole messages that the server sent.
    came: usize,
    seen: Seen,
}

/// Plays `acts` against a connection with `in_flight` messages in connection: of a closed loop, in which what is answered makes
/// room for the next message, or of an open one, in which messages are due whatever comes.
fn play(corpus: &Corpus, in_flight: usize, closed: bool, acts: &[Act], fragmented: bool) -> Sums {
    let mut connection = Connection::new(corpus, 3, 4, &PLAIN);
    let (mut sums, mut answered, mut last, mut per_worker) = (Sums::default(), 0, None, per_worker(corpus));
    let send = |connection: &mut Connection, sums: &mut Sums, count: usize| {
        for _ in 0..count {
            sums.sent += 1;
            connection.push(sums.sent as u64);
        }
        while !connection.unsent(corpus).is_empty() {
            let bytes = connection.unsent(corpus).len();
            connection.sent(corpus, bytes, 100);
        }
    };
    send(&mut connection, &mut sums, in_flight);
    for act in acts {
        if !closed && connection.messages.unsent() == 0 && answered == sums.sent {
            send(&mut connection, &mut sums, in_flight);
        }
        let Some(payload) = message(corpus, *act, sums.sent, &mut answered, &mut last) else { continue };
        let opcode = match act {
            Act::Ping => OpCode::Ping,
            Act::Retype => OpCode::Text,
            _ => OpCode::Binary,
        };
        sums.came += usize::from(opcode != OpCode::Ping);
        let stream = match payload.len() {
            len @ 2.. if fragmented && opcode != OpCode::Ping => [
                frame(false, opcode, &payload[..len / 2]),
                frame(true, OpCode::Ping, b"?"),
                frame(true, OpCode::Continuation, &payload[len / 2..]),
            ]
            .concat(),
            _ => frame(true, opcode, &payload),
        };
        let before = connection.len();
        for chunk in stream.chunks(23) {
            connection.received(corpus, &mut per_worker, chunk, &mut sums.seen).unwrap();
            if connection.websocket.owes_pongs() {
                send(&mut connection, &mut sums, 0);
            }
        }
        if closed {
            let room = before - connection.len();
            send(&mut connection, &mut sums, room);
            assert_eq!(connection.len(), in_flight, "what was answered, rightly or not, made room");
        }
    }
    connection.abandon(corpus, &mut sums.seen);
    sums
}

/// What the server sends, if anything, given how many messages it has got and answered.
fn message(corpus: &Corpus, act: Act, got: usize, answered: &mut usize, last: &mut Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut reply = || {
        let reply = (*answered < got).then(|| corpus.payload(corpus.after(3, *answered)).to_vec())?;
        *answered += 1;
        *last = Some(reply.clone());
        Some(reply)
    };
    match act {
        Act::Right | Act::Retype => reply(),
        Act::Corrupt => {
            let mut wrong = reply()?;
            wrong[7] ^= 1;
            Some(wrong)
        }
        Act::Lengthen => {
            let mut wrong = reply()?;
            wrong.push(b'\n');
            Some(wrong)
        }
        Act::Forget => {
            reply();
            None
        }
        Act::Repeat => last.clone(),
        Act::Push => Some(b"news".to_vec()),
        Act::LongPush => Some(vec![b'x'; 1_000]),
        Act::Ping => Some(b"there?".to_vec()),
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => Just(Act::Right),
        1 => Just(Act::Corrupt),
        1 => Just(Act::Retype),
        1 => Just(Act::Lengthen),
        1 => Just(Act::Forget),
        1 => Just(Act::Repeat),
        2 => Just(Act::Push),
        1 => Just(Act::LongPush),
        1 => Just(Act::Ping),
    ]
}

proptest! {
    #[test]
    fn every_message_has_one_fate_and_whatever_else_came_was_unexpected(
        acts in prop::collection::vec(act(), 0..200),
        in_flight in 1usize..6,
        closed: bool,
        fragmented: bool,
    ) {
        let sums = play(&corpus("20..90"), in_flight, closed, &acts, fragmented);
        let Seen { verified, reordered, corrupted, lost, unexpected, mismatches, pongs } = &sums.seen;
        let mut fates = [&verified[..], reordered, corrupted, lost].concat();
        fates.sort_unstable();
        prop_assert_eq!(fates, (1..=sums.sent as u64).collect::<Vec<_>>(), "each message once");
        let answered = verified.len() + reordered.len() + corrupted.len();
        prop_assert_eq!(answered + *unexpected as usize, sums.came, "each message that came once");
        prop_assert_eq!(mismatches.len(), corrupted.len() + *unexpected as usize);
        prop_assert!(pongs.is_empty(), "no Ping was sent");
    }

    #[test]
    fn pushes_and_repeated_replies_take_no_right_reply_away(
        acts in prop::collection::vec(
            prop_oneof![3 => Just(Act::Right), 1 => Just(Act::Repeat), 1 => Just(Act::Push), 1 => Just(Act::LongPush)],
            0..100,
        ),
        in_flight in 1usize..6,
        closed: bool,
        fragmented: bool,
    ) {
        // In the end the server answers all that is left.
        let all = acts.iter().copied().chain([Act::Right; 200]).collect::<Vec<_>>();
        let sums = play(&corpus("64"), in_flight, closed, &all, fragmented);
        prop_assert_eq!(sums.seen.corrupted.len(), 0);
        let not_replies = acts.iter().filter(|act| !matches!(act, Act::Right));
        prop_assert!(sums.seen.unexpected as usize <= not_replies.count());
    }
}

#[test]
fn a_server_whose_every_reply_is_wrong_is_asked_on() {
    let corpus = corpus("64");
    for act in [Act::Corrupt, Act::Retype, Act::Lengthen] {
        let sums = play(&corpus, 1, true, &[act; 1_000], false);
        assert_eq!((sums.sent, sums.seen.corrupted.len(), sums.seen.lost.len()), (1_001, 1_000, 1), "{act:?}");
    }
}

#[test]
fn a_push_while_a_message_is_in_flight_is_unexpected_and_the_reply_counts() {
    let corpus = corpus("64");
    let mut connection = flying(&corpus, 1);
    let mut seen = receive(&mut connection, &corpus, &frame(true, OpCode::Text, b"news\n"));
    assert_eq!(
        (&seen.corrupted[..], seen.unexpected, connection.len(), connection.websocket.has_ambiguous()),
        (&[1][..], 0, 0, true)
    );
    connection.received(&corpus, &mut per_worker(&corpus), corpus.replies(3, 1), &mut seen).unwrap();
    let example = "a message that nothing had asked for: text, 5 bytes, beginning \"news\\n\"".to_owned();
    let mismatches = vec![(MismatchKind::Unasked, example)];
    assert_eq!(seen, Seen { verified: vec![1], unexpected: 1, mismatches, ..Seen::default() });
    assert!(
        connection.messages.is_empty()
            && !connection.websocket.has_ambiguous()
            && connection.websocket.reader.is_none()
    );
}

#[test]
fn the_reply_to_a_later_message_ends_the_wait_for_the_true_one() {
    let corpus = corpus("64");
    let mut connection = flying(&corpus, 2);
    let mut wrong = corpus.payload(3).to_vec();
    wrong[40] = !wrong[40];
    let mut seen = receive(&mut connection, &corpus, &frame(true, OpCode::Binary, &wrong));
    connection.received(&corpus, &mut per_worker(&corpus), corpus.replies(4, 1), &mut seen).unwrap();
    assert_eq!((&seen.corrupted[..], &seen.verified[..], seen.unexpected), (&[1][..], &[2][..], 0));
    let (kind, example) = &seen.mismatches[0];
    assert_eq!(*kind, MismatchKind::Content);
    assert!(example.starts_with("64 bytes, of which the first 40 are right, then \""), "{example}");
    assert!(connection.messages.is_empty() && connection.websocket.reader.is_none(), "regular again");
}

#[test]
fn where_all_messages_are_alike_a_wrong_reply_keeps_no_right_one_waiting() {
    let corpus = corpus("0");
    let sums = play(&corpus, 1, true, &[Act::Right, Act::Push, Act::Right, Act::Right], false);
    assert_eq!((sums.seen.verified.len(), sums.seen.corrupted.len() as u64 + sums.seen.unexpected), (3, 1));
}

#[test]
fn ambiguous_messages_are_bounded() {
    let corpus = corpus("64");
    let mut connection = flying(&corpus, 1_000);
    let mut seen = Seen::default();
    for _ in 0..1_000 {
        connection.received(&corpus, &mut per_worker(&corpus), &frame(true, OpCode::Text, b"no"), &mut seen).unwrap();
        assert!(
            connection.messages.queue.len() - connection.len()
                <= crate::load::dialogue::websocket::attribution::MOST_AMBIGUOUS
        );
    }
    assert_eq!((connection.len(), seen.corrupted.len()), (0, 1_000));
}

#[test]
fn messages_of_any_length_are_read_and_dropped_as_they_come() {
    let corpus = corpus("64");
    let len = MOST_READ as usize;
    let header = Header { fin: true, rsv: 0, opcode: OpCode::Text, mask: None, payload_len: MOST_READ };
    let mut head = [0; MAX_HEADER_LEN];
    let head_len = header.encode(&mut head);
    let mut connection = flying(&corpus, 1);
    let mut seen = receive(&mut connection, &corpus, &head[..head_len]);
    for _ in 0..len / (1 << 16) {
        connection.received(&corpus, &mut per_worker(&corpus), &[b'{'; 1 << 16], &mut seen).unwrap();
        let reader = connection.websocket.reader.as_ref().unwrap();
        let kept = reader.stream.capacity() + reader.message.as_ref().map_or(0, |m| m.payload.capacity());
        assert!(kept < 1_000, "{kept} bytes are kept");
    }
    connection.received(&corpus, &mut per_worker(&corpus), corpus.replies(3, 1), &mut seen).unwrap();
    let braces = "{".repeat(32);
    let example = format!("a message that nothing had asked for: text, 16,777,216 bytes, beginning \"{braces}\"");
    assert_eq!(seen.mismatches, [(MismatchKind::Unasked, example)]);
    assert_eq!((seen.verified, seen.unexpected), (vec![1], 1));
}

#[test]
fn a_message_beyond_the_limit_ends_the_connection_in_one_frame_or_in_many() {
    let corpus = corpus("64");
    let too_long = Gone::TooLong(MOST_READ);
    assert_eq!(too_long.close_code(), Some(CloseCode::MESSAGE_TOO_BIG));
    let one = [0x82, 127, 0, 0, 0, 0, 1, 0, 0, 1];
    let gone = flying(&corpus, 1).received(&corpus, &mut per_worker(&corpus), &one, &mut Seen::default());
    assert_eq!(gone, Err(too_long.clone()));
    let mut connection = flying(&corpus, 1);
    receive(&mut connection, &corpus, &frame(false, OpCode::Binary, &[b'x'; 60]));
    let fragment = frame(false, OpCode::Continuation, &[b'x'; 1 << 16]);
    let pieces = (0..).map_while(|_| {
        let taken = connection.received(&corpus, &mut per_worker(&corpus), &fragment, &mut Seen::default());
        taken.map_err(|gone| assert_eq!(gone, too_long)).ok()
    });
    assert_eq!(pieces.count() as u64, MOST_READ / (1 << 16) - 1);
}

#[test]
fn what_is_ambiguous_when_the_connection_ends_is_corrupted() {
    let corpus = corpus("64");
    let mut connection = flying(&corpus, 2);
    let mut seen = Seen::default();
    let bytes = [frame(true, OpCode::Binary, b"no"), vec![0x88, 0]].concat();
    connection.received(&corpus, &mut per_worker(&corpus), &bytes, &mut seen).unwrap_err();
    connection.abandon(&corpus, &mut seen);
    assert_eq!((&seen.corrupted[..], &seen.lost[..], seen.unexpected), (&[1][..], &[2][..], 0));
    assert_eq!(seen.mismatches.len(), 1);
}

#[test]
fn a_greeting_is_passed_over_and_a_right_reply_is_not() {
    let corpus = corpus("64");
    let greeting = [frame(true, OpCode::Text, b"hello"), frame(true, OpCode::Text, &[b'x'; 500])].concat();
    let terms = Terms { skip: 2, ..PLAIN };
    for (came, verified, unexpected) in [
        ([&greeting[..], corpus.replies(3, 3)].concat(), 3, 0),
        ([corpus.replies(3, 1), &greeting, corpus.replies(4, 2)].concat(), 3, 1),
        (corpus.replies(3, 3).to_vec(), 3, 0),
        ([&greeting[..], &greeting].concat(), 0, 2),
    ] {
        for split in 0..came.len() {
            let mut connection = Connection::new(&corpus, 3, 4, &terms);
            let mut seen = Seen::default();
            (1..=3).for_each(|due| connection.push(due));
            let bytes = connection.unsent(&corpus).len();
            // A greeting may come before anything is sent.
            connection.received(&corpus, &mut per_worker(&corpus), &came[..split.min(greeting.len())], &mut seen).ok();
            connection.sent(&corpus, bytes, 100);
            connection
                .received(&corpus, &mut per_worker(&corpus), &came[split.min(greeting.len())..], &mut seen)
                .unwrap();
            if came.starts_with(&greeting) {
                assert_eq!(seen.verified.len(), verified, "split at {split}");
            }
            if split == 0 {
                let wrong = seen.unexpected + seen.corrupted.len() as u64;
                assert_eq!((seen.verified.len(), wrong), (verified, unexpected));
            }
        }
    }
}
