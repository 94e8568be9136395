//! The turns of a lane whose connections are members of rooms, and beside them such of TCP alone. Sockets that are ready are
//! read; then what was said, and what other workers have sent, is written to every member, one write for each where its socket
//! takes all; then the lane waits.
//!
//! Nothing is read while anything is to be delivered: members who say more than can be delivered wait, as a peer of an echo does
//! that does not read.

use std::io;

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use slab::Slab;

use super::giving::{Fate, find_runs, flush, give, send_all};
use super::line::{Line, Served, Workspace};
use super::{BELL, Departed, Host, Lane, MAIL, Parting, TurnEnd};
use crate::dialogue::Dialogue;
use crate::limits::admission::Admission;
use crate::relay::{Delivery, Relay};
use crate::transport::Stream;

impl Lane {
    /// Takes a connection that is a member of a room from now on, and of which `ahead` has been read.
    ///
    /// # Errors
    /// The connection, once the worker drains.
    pub(crate) fn enter_room(
        &self,
        admission: Admission,
        stream: Stream,
        dialogue: Dialogue,
        ahead: Vec<u8>,
    ) -> Result<(), Departed> {
        let Some(relay) = &self.relay else { return self.enter(admission, stream, dialogue) };
        let mut lines = self.lock();
        let mut line = Line::of_member(stream, admission, dialogue, &relay.share, ahead);
        let Some(open) = lines.as_mut() else { return Err(line.depart(Parting::Drain)) };
        let entry = open.vacant_entry();
        let key = entry.key();
        if let Err(error) = epoll::add(&self.epoll, line.stream(), EventData::new_u64(key as u64), BOTH) {
            tracing::warn!("the lane cannot take a connection: {error}");
            return Ok(());
        }
        if let Some((member, _)) = line.member() {
            member.watches_room = true;
            member.place.slot = Some(relay.floor().enter(member.place.room.id, key));
        }
        entry.insert(line);
        Ok(())
    }

    /// As [`Lane::turn`], for members of rooms.
    pub(super) fn relay_turn(
        &self,
        relay: &Relay,
        workspace: &mut Workspace,
        host: &impl Host,
        patience: Option<&Timespec>,
    ) -> io::Result<TurnEnd> {
        let mut lines = self.lock();
        let Some(lines) = lines.as_mut() else { return Ok(TurnEnd::Idle) };
        let mut rung = false;
        loop {
            if !self.deliver(relay, lines, workspace, host) {
                workspace.ends_turn();
                return Ok(TurnEnd::Unfinished);
            }
            self.serve_again(lines, workspace, host);
            let full = self.read_members(lines, workspace, &mut rung, host)?;
            if workspace.ends_turn() {
                return Ok(TurnEnd::Unfinished);
            }
            if full || !workspace.again.is_empty() || !workspace.exchange.writing.is_empty() {
                continue;
            }
            if rung || (patience.is_none() && host.is_elsewhere(lines.len())) {
                return Ok(TurnEnd::Over);
            }
            if !workspace.batch.wait(&self.epoll, patience)? {
                return Ok(TurnEnd::Idle);
            }
        }
    }

    /// Goes on with the members of whose last read something is left, until enough was said to be handed out.
    fn serve_again(&self, lines: &mut Slab<Line>, workspace: &mut Workspace, host: &impl Host) {
        for _ in 0..workspace.again.len() {
            if workspace.exchange.writing.is_full() || workspace.exchange.turn.is_over() {
                return;
            }
            let Some(key) = workspace.again.pop_front() else { return };
            if let Some((member, _)) = lines.get_mut(key).and_then(Line::member) {
                member.goes_on = false;
            }
            self.serve_member(lines, key, workspace, host);
        }
    }

    /// Reads the members whose sockets are ready, until enough was said to be handed out or nobody says more; true if it is
    /// enough, and sockets may be left to be read.
    ///
    /// Whoever has spoken while others were read is read as well, as long as that is less work than a write for each member:
    /// these are written to once and not twice.
    fn read_members(
        &self,
        lines: &mut Slab<Line>,
        workspace: &mut Workspace,
        rung: &mut bool,
        host: &impl Host,
    ) -> io::Result<bool> {
        let mut spared = lines.len() / WRITES_FOR_A_LOOK;
        loop {
            let mut full = workspace.exchange.writing.is_full();
            while !full && let Some(key) = workspace.batch.next() {
                match key {
                    BELL => *rung = true,
                    // What lies in the mailbox is taken before the lane waits again.
                    MAIL => {}
                    key => self.serve_member(lines, key as usize, workspace, host),
                }
                full = workspace.exchange.writing.is_full() || workspace.exchange.turn.is_over();
            }
            if full || spared == 0 || workspace.exchange.writing.is_empty() || !workspace.again.is_empty() {
                return Ok(full);
            }
            spared -= 1;
            if !workspace.batch.wait(&self.epoll, Some(&NOW))? {
                return Ok(false);
            }
        }
    }

    /// Serves a line. What a member says goes into its room's batch; what waits for it is sent as far as its socket takes it.
    fn serve_member(&self, lines: &mut Slab<Line>, key: usize, workspace: &mut Workspace, host: &impl Host) {
        let Some(line) = lines.get_mut(key) else { return };
        match line.member() {
            // Of TCP alone, which is in no room.
            None => return self.serve(lines, key, workspace, host),
            Some((member, _)) if member.goes_on => return,
            Some(_) => {}
        }
        line.mark(false);
        match line.serve(workspace) {
            // `settle` has its socket watched for what it waits for.
            Served::Waits | Served::WaitsFor(_) => {}
            Served::Leaves(parting) => return self.part(lines, key, parting, host),
            Served::Ends => return drop(lines.remove(key)),
        }
        let stopped = line.stopped();
        let Some((member, stream)) = line.member() else { return };
        if stopped {
            // It has more to say. Its peer need not send anything, so that no socket may tell of it.
            member.goes_on = true;
            workspace.again.push_back(key);
        }
        let fate = flush(member, stream, &mut workspace.exchange.turn);
        self.settle(lines, key, fate, workspace, host);
    }

    /// Writes to every member what is there for it; false if the turn is over before that is done.
    fn deliver(&self, relay: &Relay, lines: &mut Slab<Line>, workspace: &mut Workspace, host: &impl Host) -> bool {
        let writing = &mut workspace.exchange.writing;
        let mut floor = relay.floor();
        let mut took_mail = writing.take_mail(relay, &mut floor);
        writing.hand_out(relay, &mut floor);
        let posted = writing.post(relay);
        loop {
            let Some((delivery, members)) = floor.current() else {
                if took_mail {
                    break;
                }
                // It came while the rest of a former turn was to be delivered, and its bell does not ring again.
                took_mail = workspace.exchange.writing.take_mail(relay, &mut floor);
                continue;
            };
            let (bytes, mut through) = (delivery.same_for_all().map(<[u8]>::len), 0);
            while let Some(member) = members.get(delivery.next)
                && !workspace.exchange.turn.is_over()
            {
                delivery.next += 1;
                let Some((key, line)) = member.and_then(|key| Some((key, lines.get_mut(key)?))) else { continue };
                match send_all(line.stream(), delivery) {
                    Some(Ok(sent)) if Some(sent) == bytes => {
                        workspace.exchange.turn.add_write(sent);
                        through += 1;
                    }
                    begun => self.deliver_to(lines, key, (relay, delivery), begun, workspace, host),
                }
            }
            let written = through * delivery.messages();
            relay.counts().delivered(written, 0, written);
            if workspace.exchange.turn.is_over() {
                return false;
            }
            floor.done(|batch| workspace.exchange.writing.take_back(batch));
        }
        drop(floor);
        match posted {
            Ok(()) => true,
            Err(worker) => {
                relay.wait_for_room(worker);
                false
            }
        }
    }

    /// Gives a member what it is to have of a delivery. `begun`: it is to have all, of which so many bytes are sent.
    #[inline(never)]
    fn deliver_to(
        &self,
        lines: &mut Slab<Line>,
        key: usize,
        (relay, delivery): (&Relay, &mut Delivery),
        begun: Option<io::Result<usize>>,
        workspace: &mut Workspace,
        host: &impl Host,
    ) {
        let Some(line) = lines.get_mut(key) else { return };
        line.mark(false);
        let Some((member, stream)) = line.member() else { return };
        let exclude = !relay.to_sender() && workspace.exchange.writing.has_said(member.said);
        debug_assert!(begun.is_none() || !exclude, "a member that has said something is not marked");
        find_runs(&mut workspace.runs, &delivery.batches, exclude.then_some(member.place.member));
        let fate = give(member, stream, relay, delivery, &workspace.runs, begun, &mut workspace.exchange.turn);
        self.settle(lines, key, fate, workspace, host);
        if let Some(line) = lines.get_mut(key)
            && let Some((member, _)) = line.member()
        {
            let is_free = !exclude && member.outbox.is_empty() && !member.watches_room;
            line.mark(is_free);
        }
    }

    /// Does with a member what its fate is, and has its socket watched for what it waits for.
    fn settle(&self, lines: &mut Slab<Line>, key: usize, fate: Fate, workspace: &mut Workspace, host: &impl Host) {
        match fate {
            Fate::Stays => {}
            Fate::Closed => return self.part(lines, key, Parting::SlowReader, host),
            Fate::Lost => return drop(lines.remove(key)),
        }
        let Some((member, stream)) = lines.get_mut(key).and_then(Line::member) else { return };
        let waits = !member.outbox.is_empty();
        if (waits || member.watches_room) && !member.count() {
            workspace.exchange.turn.end();
        }
        if waits == member.watches_room {
            return;
        }
        member.watches_room = waits;
        let interest = if waits { BOTH } else { EventFlags::IN };
        if epoll::modify(&self.epoll, stream, EventData::new_u64(key as u64), interest).is_err() {
            lines.remove(key);
        }
    }

    /// Takes a member off the lane.
    fn part(&self, lines: &mut Slab<Line>, key: usize, parting: Parting, host: &impl Host) {
        let line = lines.remove(key);
        self.remove(&line);
        host.depart(line.depart(parting));
    }
}

/// Writes that take as long as to look for sockets that are ready and to read one of them, at the most.
const WRITES_FOR_A_LOOK: usize = 4;

/// No time at all.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What the socket of a member is watched for while something waits for it.
const BOTH: EventFlags = EventFlags::IN.union(EventFlags::OUT);
