//! Who is told what became of the messages of a connection.

use super::pending::Pending;
use crate::load::pings::Pong;
use crate::measure::mismatch::{Mismatch, MismatchKind};
use crate::plan::messages::Volume;

/// Is told what became of the messages.
pub trait Observer {
    /// `count` replies were right in length, content, type and order.
    fn verified(&mut self, pending: Pending, count: u64);
    /// A reply was right but came after the reply to a later message.
    fn reordered(&mut self, pending: Pending);
    /// A wrong message came where the reply to this one was awaited. Returns whether it came within the measured phase.
    fn corrupted(&mut self, pending: Pending) -> bool;
    /// What was told to be the corrupted reply to this message was unexpected: its true reply has come, and is told next.
    /// `in_window` is what was returned then.
    fn withdrawn(&mut self, pending: Pending, in_window: bool);
    /// A message came that nothing in flight accounts for.
    fn unexpected(&mut self);
    /// A message that was corrupted or unexpected for good is of this kind; `example` describes it.
    fn mismatched(&mut self, kind: MismatchKind, example: impl FnOnce() -> Mismatch);
    /// No reply to this message came, and none will.
    fn lost(&mut self, pending: Pending);
    /// What UDP may do to a message or to its reply has been done to one.
    fn datagram(&mut self, what: Datagram);
    /// So much has come, whatever it was.
    fn received(&mut self, volume: Volume);
    /// The reply to this message was checked in another way than by comparing all of it as it came.
    fn checked(&mut self, pending: Pending, how: Checked);
    /// A Pong came on a connection on which Pings were sent.
    fn pong(&mut self, _pong: Pong) {}
}

/// What UDP may do to a message or to its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram {
    /// No reply to this message came in time.
    Lost(Pending),
    /// The reply to a message came that was lost before.
    Late,
    /// A further reply came to a message that has one.
    Duplicated,
    /// The reply came after that to a later message; it is told of as verified next.
    Reordered,
}

/// How a reply was checked, where it was not compared with the message as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Inflated and compared.
    Inflated,
    /// Compared with a compressed reply to the same message that had been inflated and compared.
    Identical,
    /// By its length alone, inflated if it came compressed.
    Length,
    /// By its frame alone: the message may have that length.
    Frame,
    /// Not at all: it came next.
    Order,
}
