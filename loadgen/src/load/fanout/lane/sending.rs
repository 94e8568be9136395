//! The sending side of a lane: what is due is numbered, written, and kept where the socket is full.

use std::io::ErrorKind;
use std::sync::atomic::Ordering;

use rustix::event::epoll::{self, EventData, EventFlags};

use super::{Lane, Shared, State};
use crate::load::fanout::ledger::Ledger;
use crate::load::fanout::members::{Member, Role};
use crate::load::fanout::timetable::{Part, Timetable};

impl Lane<'_> {
    /// Sends what is due.
    #[inline]
    pub(super) fn send_due(&mut self, state: &mut State, now: &mut u64) {
        // Bounded, since a schedule that is faster than the sends would otherwise never let anything be read.
        for _ in 0..SENDS {
            let Some(due) = self.next_due(state).filter(|due| due <= now) else { return };
            let id = self.turns.next().expect("it is due");
            self.turns.advance();
            let (number, _) = self.timetable.sender(id);
            let measured = self.timetable.part(due) == Part::Measured;
            self.ledger.sent.due += u64::from(measured);
            let index = self.senders[number - self.turns.first()];
            if let Some(Member { role: Role::Sender(sender), blocked, .. }) = &mut self.members[index]
                && sender.backlog.len() < MOST_BACKLOG
            {
                sender.backlog.push_back(id);
                // Where the socket is full, the lateness is the server's.
                if !*blocked {
                    if measured {
                        self.ledger.send_lag.saturating_record(now.saturating_sub(due));
                    }
                    self.flush(state, index);
                }
            }
            *now = self.clock.now();
        }
    }

    /// Sends all that a member has to send, or as much as its socket takes.
    pub(super) fn flush(&mut self, state: &mut State, index: usize) {
        let Some(member) = &mut self.members[index] else { return };
        let mut full = false;
        while !full {
            let next = match (&mut member.role, member.unsent.is_empty()) {
                (_, false) => None,
                (Role::Receiver(_), true) => break,
                (Role::Sender(sender), true) => {
                    if let Some(id) = sender.in_part.take() {
                        sent(id, self.timetable, self.shared, &mut self.ledger);
                    }
                    let Some(id) = sender.backlog.pop_front() else { break };
                    self.message.number(&mut state.frame, id);
                    Some(id)
                }
            };
            let bytes = if next.is_some() { &state.frame } else { &member.unsent };
            let written = match member.stream.write(bytes) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::Interrupted => 0,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    full = true;
                    0
                }
                Err(error) => return self.lose(state, index, &format!("sending: {error}")),
            };
            match (next, &mut member.role) {
                (Some(id), Role::Sender(_)) if written == state.frame.len() => {
                    sent(id, self.timetable, self.shared, &mut self.ledger);
                }
                (Some(id), Role::Sender(sender)) if written == 0 => sender.backlog.push_front(id),
                (Some(id), Role::Sender(sender)) => {
                    member.unsent.extend_from_slice(&state.frame[written..]);
                    sender.in_part = Some(id);
                }
                _ => drop(member.unsent.drain(..written)),
            }
        }
        if !full {
            // What TLS has encrypted may wait for room.
            match member.stream.flush() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => full = true,
                Err(error) => return self.lose(state, index, &format!("sending: {error}")),
            }
        }
        if full != member.blocked {
            member.blocked = full;
            let interest = if full { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            if let Err(error) = epoll::modify(&self.epoll, &member.stream, EventData::new_u64(index as u64), interest) {
                self.lose(state, index, &format!("epoll: {error}"));
            }
        }
    }
}

/// A message has been sent whole.
fn sent(id: u64, timetable: &Timetable, shared: &Shared, ledger: &mut Ledger<'_>) {
    let part = timetable.part(timetable.due(id));
    let room = timetable.room_of[timetable.sender(id).0];
    shared.sent[part as usize][room as usize].fetch_add(1, Ordering::Relaxed);
    ledger.sent.sent += u64::from(part == Part::Measured);
}

/// Due messages sent before something is read again: as many as there are ready connections in one turn.
const SENDS: usize = 64;

/// Messages that one sender may have due and unsent, 8 bytes each.
const MOST_BACKLOG: usize = 1 << 16;
