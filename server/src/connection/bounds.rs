//! The place off the lane for what is limited, timed or counted per connection; its counterpart on the lane is
//! `lane::bounds`. Today that is the bytes that a connection holds (`--max-buffered`), the turn of those that are to
//! give up theirs, and the drain.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::worker::Worker;
use crate::engine::Ended;
use crate::engine::conversation::{Conversation, Step};
use crate::limits::budget::Holding;

/// What bounds one connection while it is off the lane.
pub(super) struct TaskBounds {
    worker: Arc<Worker>,
    holding: Holding,
}

impl TaskBounds {
    pub(super) fn new(worker: Arc<Worker>) -> Self {
        Self { holding: Holding::new(&worker.share), worker }
    }

    /// Whether the connection is to be closed, since others need the room.
    pub(super) fn evicted(&self) -> bool {
        self.holding.evicted()
    }

    /// Goes on with a conversation as far as the socket, `--max-buffered` and the other connections let it.
    pub(super) fn go_on(&mut self, conversation: &mut Conversation, cx: &mut Context<'_>) -> Poll<Next> {
        if self.holding.evicted() {
            return Poll::Ready(Next::Evicted);
        }
        if self.worker.share.is_leaving() {
            // The tasks that are to give up what they hold run before this one is polled again.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let stopping = self.worker.drain.started();
        let step = conversation.poll(cx, stopping);
        self.worker.share.freed(conversation.take_worked());
        if !self.holding.set(conversation.held(), cx.waker()) {
            self.worker.relieve();
            if self.holding.evicted() && !matches!(step, Step::Ended(_)) {
                return Poll::Ready(Next::Evicted);
            }
        }
        match step {
            Step::Ended(ended) => Poll::Ready(Next::Ended(ended)),
            Step::Idle | Step::Reading if stopping => Poll::Ready(Next::Drained),
            Step::Idle if self.worker.lane.is_some() => Poll::Ready(Next::Rests),
            Step::Idle | Step::Reading | Step::Writing => Poll::Pending,
        }
    }
}

/// What follows the protocol phase.
pub(super) enum Next {
    Ended(Ended),
    /// The worker drains.
    Drained,
    /// It held most when `--max-buffered` was passed.
    Evicted,
    /// The lane takes over.
    Rests,
}
