//! What one member of a room is given: sent as far as its socket takes it, counted, and the rest put into its queue.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use super::turn::Turn;
use crate::limits::admission::Admission;
use crate::limits::budget::Charge;
use crate::relay::{Batch, Cause, Delivery, Held, MOST_SLICES, Member, Offered, Relay};
use crate::transport::Stream;

/// What becomes of a member that was written to.
#[derive(Debug)]
pub(super) enum Fate {
    Stays,
    /// More waits for it than may.
    Closed,
    /// Its socket failed.
    Lost,
}

/// Messages of one batch that follow each other.
#[derive(Debug)]
pub(super) struct Run {
    /// Which batch of a delivery.
    batch: usize,
    messages: Range<usize>,
}

/// Lists the messages that are for a member: all, or those that it did not send.
pub(super) fn find_runs(runs: &mut Vec<Run>, batches: &[Arc<Batch>], exclude: Option<u64>) {
    runs.clear();
    for (at, batch) in batches.iter().enumerate() {
        match exclude {
            None => runs.push(Run { batch: at, messages: 0..batch.len() }),
            Some(member) => batch.runs_of_others(member, |messages| runs.push(Run { batch: at, messages })),
        }
    }
}

/// Sends all of a delivery to a member that is marked, from which nothing else is looked at than its stream; tells how many
/// bytes its socket took. `None` where that cannot be done: the member is to be given what it is to have ([`give`]).
///
/// A member is marked while nothing waits for it, its socket is not watched for room to write, and it has said nothing that it
/// might have to be left out of: then it is to have every byte of every batch.
#[inline]
pub(super) fn send_all(stream: &Stream<Admission>, delivery: &Delivery) -> Option<io::Result<usize>> {
    match delivery.same_for_all() {
        Some(bytes) if stream.is_marked() => Some(stream.send(bytes)),
        _ => None,
    }
}

/// Gives a member these messages: what its socket takes now is sent, the rest waits. `begun`: they were sent already, so many
/// bytes of them.
pub(super) fn give(
    member: &mut Member,
    stream: &Stream<Admission>,
    relay: &Relay,
    delivery: &mut Delivery,
    runs: &[Run],
    begun: Option<io::Result<usize>>,
    turn: &mut Turn,
) -> Fate {
    let total: usize = runs.iter().map(|run| run.messages.len()).sum();
    let (counts, queue) = (relay.counts(), relay.queue());
    let sent = match begun {
        Some(sent) => sent.map(|sent| {
            turn.add_write(sent);
            (0, sent)
        }),
        None if member.outbox.is_empty() => send(member, stream, &delivery.batches, runs, turn),
        None => Ok((0, 0)),
    };
    let Ok((whole, mut sent)) = sent else {
        counts.delivered(total, 0, 0);
        counts.dropped(Cause::Left, total);
        return Fate::Lost;
    };
    let mut written: usize = runs[..whole].iter().map(|run| run.messages.len()).sum();
    let mut all = Offered::default();
    for Run { batch, messages } in &runs[whole..] {
        let mut messages = messages.clone();
        let frames = &delivery.batches[*batch];
        while sent > 0 {
            let len = frames.bytes(messages.start..messages.start + 1, member.outbox.encoding()).len();
            if sent < len {
                break;
            }
            sent -= len;
            messages.start += 1;
            written += 1;
        }
        let held = delivery.held[*batch].get_or_insert_with(|| {
            let mut charge = Charge::new(&relay.share);
            if !charge.set(frames.memory()) {
                turn.end();
            }
            Held::new(frames, charge)
        });
        let offered = member.outbox.offer(held, messages, std::mem::take(&mut sent), &queue);
        all.queued += offered.queued;
        all.dropped += offered.dropped;
        all.close = offered.close;
        if all.close {
            break;
        }
    }
    // Also what is dropped at once takes its time.
    turn.add_messages(total - written, 0, 0, 0);
    counts.delivered(total, all.queued, written);
    if all.close {
        counts.dropped(Cause::SlowReaderClosed, total - written - all.queued);
        counts.slow_reader();
        return Fate::Closed;
    }
    counts.dropped(Cause::of(queue.slow_reader), all.dropped);
    Fate::Stays
}

/// Sends what the socket takes of these messages; returns how many runs are sent whole, and bytes of the next.
fn send(
    member: &Member,
    stream: &Stream<Admission>,
    batches: &[Arc<Batch>],
    runs: &[Run],
    turn: &mut Turn,
) -> io::Result<(usize, usize)> {
    let encoding = member.outbox.encoding();
    let mut whole = 0;
    while whole < runs.len() {
        let now = &runs[whole..runs.len().min(whole + MOST_SLICES)];
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let mut bytes = 0;
        for (slot, run) in slices.iter_mut().zip(now) {
            *slot = IoSlice::new(batches[run.batch].bytes(run.messages.clone(), encoding));
            bytes += slot.len();
        }
        let sent = match now.len() {
            1 => stream.send(&slices[0])?,
            count => stream.send_vectored(&slices[..count])?,
        };
        turn.add_write(sent);
        if sent < bytes {
            return Ok(skip_whole(&slices[..now.len()], whole, sent));
        }
        whole += now.len();
    }
    Ok((whole, 0))
}

/// How many runs are sent whole, with those before, and bytes of the next, after a write that took only `sent` of the slices.
fn skip_whole(slices: &[IoSlice<'_>], before: usize, mut sent: usize) -> (usize, usize) {
    for (at, slice) in slices.iter().enumerate() {
        if sent < slice.len() {
            return (before + at, sent);
        }
        sent -= slice.len();
    }
    (before + slices.len(), 0)
}

/// Sends what waits for a member, as far as its socket takes it.
pub(super) fn flush(member: &mut Member, stream: &Stream<Admission>, turn: &mut Turn) -> Fate {
    let (mut written, mut taken) = (0, 0);
    let fate = loop {
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let count = member.outbox.next(&mut slices);
        if count == 0 || taken >= FLUSHED {
            break Fate::Stays;
        }
        let bytes: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        let Ok(sent) = stream.send_vectored(&slices[..count]) else { break Fate::Lost };
        turn.add_write(sent);
        written += member.outbox.advance(sent);
        taken += sent;
        if sent < bytes {
            break Fate::Stays;
        }
    };
    member.place.relay.counts().delivered(0, 0, written);
    fate
}

/// Bytes that are sent to a member before others have their turn: as many as are read from one.
const FLUSHED: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::AtomicUsize;

    use wire::{Limits, OpCode};

    use super::*;
    use crate::config::{RelayOptions, RelayTo, SlowReader};
    use crate::limits::admission::Admissions;
    use crate::limits::budget::Share;

    /// A member of the only room of a relay, the stream to it, and its peer.
    fn member(slow_reader: SlowReader) -> (Arc<Relay>, Member, Stream<Admission>, TcpStream) {
        let options = RelayOptions { to: RelayTo::All, queue: 100_000, slow_reader, rooms: 1 };
        let share = &Share::split(1 << 30, 1, &Arc::default())[0];
        let relay = Relay::for_workers(&options, std::slice::from_ref(share)).unwrap().remove(0);
        let admission = Admissions::new(&Arc::new(AtomicUsize::new(0)), 1, share).admit().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let limits = Limits { max_message_size: 1, max_fragments: 1 };
        let member = Member::new(relay.enter("/", false).unwrap(), None, limits);
        (relay, member, Stream::tcp(stream).with(admission), listener.accept().unwrap().0)
    }

    /// A delivery of one batch.
    fn delivery(batch: Batch) -> Delivery {
        Delivery { batches: vec![Arc::new(batch)], held: vec![None], ..Delivery::default() }
    }

    #[test]
    fn a_turn_ends_also_where_all_messages_are_queued_or_dropped() {
        const MESSAGES: usize = 10_000;
        for slow_reader in [SlowReader::DropNewest, SlowReader::DropOldest] {
            let (relay, mut member, stream, _peer) = member(slow_reader);
            // It waits to be told that it can be written to.
            member.outbox.answer_ping(b"");
            let mut batch = Batch::default();
            (0..MESSAGES).for_each(|_| batch.push(1, OpCode::Binary, b""));
            let (mut delivery, mut runs) = (delivery(batch), Vec::new());
            find_runs(&mut runs, &delivery.batches, None);
            let mut turn = Turn::default();
            let mut given = 0;
            while !turn.is_over() {
                assert!(given < 100, "a million messages in one turn");
                let fate = give(&mut member, &stream, &relay, &mut delivery, &runs, None, &mut turn);
                assert!(matches!(fate, Fate::Stays));
                given += 1;
            }
        }
    }

    #[test]
    fn what_the_socket_of_a_marked_member_does_not_take_waits_for_it() {
        const MESSAGES: usize = 2_000;
        let (relay, mut member, mut stream, mut peer) = member(SlowReader::DropNewest);
        let mut batch = Batch::default();
        // More than the kernel's buffers hold, and each message more than its own.
        (0..MESSAGES).for_each(|at| batch.push(1, OpCode::Binary, &vec![at as u8; 16 << 10]));
        let (mut delivery, mut runs, mut turn) = (delivery(batch), Vec::new(), Turn::default());
        assert!(send_all(&stream, &delivery).is_none(), "it is not marked");
        stream.mark(true);
        let sent = send_all(&stream, &delivery).unwrap().unwrap();
        let all = delivery.same_for_all().unwrap().to_vec();
        assert!(0 < sent && sent < all.len(), "{sent} bytes are sent of {}", all.len());
        find_runs(&mut runs, &delivery.batches, None);
        let fate = give(&mut member, &stream, &relay, &mut delivery, &runs, Some(Ok(sent)), &mut turn);
        // The message that is begun, and as many as the queue takes behind it.
        let frame = all.len() / MESSAGES;
        let end = (sent / frame + member.outbox.messages()) * frame;
        assert!(matches!(fate, Fate::Stays) && sent < end && end < all.len(), "{end} bytes of {} wait", all.len());
        let (mut came, mut piece) = (Vec::new(), vec![0; 1 << 20]);
        while came.len() < end {
            assert!(matches!(flush(&mut member, &stream, &mut turn), Fate::Stays));
            let count = std::io::Read::read(&mut peer, &mut piece).unwrap();
            came.extend_from_slice(&piece[..count]);
        }
        assert!(came == all[..end], "every byte comes once and in order");
        assert!(member.outbox.is_empty());
    }

    #[test]
    fn a_delivery_that_is_not_the_same_for_all_is_not_sent_at_once() {
        let (_relay, _member, mut stream, _peer) = member(SlowReader::DropNewest);
        stream.mark(true);
        let plain = || {
            let mut batch = Batch::default();
            batch.push(1, OpCode::Binary, b"abc");
            batch
        };
        assert_eq!(send_all(&stream, &delivery(plain())).unwrap().unwrap(), 2 + 3);
        let mut compressed = plain();
        compressed.compress_last(|_, out| out.push(0));
        assert!(send_all(&stream, &delivery(compressed)).is_none(), "some take it compressed");
        let mut two = delivery(plain());
        two.batches.push(Arc::new(plain()));
        assert!(send_all(&stream, &two).is_none(), "there are several batches");
    }
}
