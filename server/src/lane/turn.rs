//! About how long a turn of the lane has taken, added up from what its work usually takes: reading a clock for every
//! socket would cost more than it tells.

/// The time that a turn has taken so far.
#[derive(Debug, Default)]
pub(super) struct Turn {
    ns: u64,
}

impl Turn {
    /// Adds the system calls for a readable socket and its reply.
    #[inline]
    pub(super) fn add_calls(&mut self) {
        self.ns += CALLS_NS;
    }

    /// Adds so many messages with `bytes` of replies: each message took `extra` nanoseconds more than a small one, and
    /// each byte `effort` times as long as one that is copied.
    #[inline]
    pub(super) fn add_messages(&mut self, messages: usize, extra: u64, bytes: usize, effort: u64) {
        self.ns += messages as u64 * (MESSAGE_NS + extra) + bytes as u64 / BYTES_PER_NS * effort;
    }

    /// Adds a write to a socket that was not read.
    pub(super) fn add_write(&mut self, bytes: usize) {
        self.ns += WRITE_NS + bytes as u64 / BYTES_PER_NS;
    }

    /// Its time in nanoseconds, to be added to.
    #[inline]
    pub(super) fn time(&mut self) -> &mut u64 {
        &mut self.ns
    }

    /// Adds bytes of a large frame that were received into a buffer of its own.
    pub(super) fn add_received(&mut self, bytes: usize) {
        self.ns += bytes as u64 * RECEIVED_NS_PER_BYTE;
    }

    /// Adds bytes that were sent of replies that had been kept.
    pub(super) fn add_sent(&mut self, bytes: usize) {
        self.ns += bytes as u64 / BYTES_PER_NS;
    }

    /// Whether others have waited long enough by now.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.ns > TURN_NS
    }

    /// Makes this the end of the turn.
    pub(super) fn end(&mut self) {
        self.ns = self.ns.max(TURN_NS + 1);
    }

    /// Begins the next turn if this one is over; returns whether it was.
    #[inline]
    pub(super) fn begin_next(&mut self) -> bool {
        let over = self.is_over();
        if over {
            self.ns = 0;
        }
        over
    }
}

/// Nanoseconds that the system calls for a readable socket and its reply take, about.
const CALLS_NS: u64 = 5_000;

/// Nanoseconds that the system call for a write takes, about.
const WRITE_NS: u64 = 2_500;

/// Nanoseconds that a small message takes, about.
const MESSAGE_NS: u64 = 40;

/// Bytes that are received, unmasked and sent in a nanosecond, about.
const BYTES_PER_NS: u64 = 3;

/// Nanoseconds that a byte of a large frame takes to be received, about. This is three times what it takes to echo a byte of a
/// smaller message, reading included: the memory of a large frame is new from the kernel, which clears every page of it, and
/// is not in the core's cache.
const RECEIVED_NS_PER_BYTE: u64 = 1;

/// Nanoseconds, about: after so much of it a turn ends, and accepts, timers and protocol tasks have theirs. tokio's
/// timers tick once in a millisecond. A line is served to its end, so that others wait for 3 ms longer at the most (a
/// full buffer of empty messages), or one message that was gathered (16 MiB are unmasked and sent in some 6 ms) or is
/// decompressed (16 MiB take some 50 ms, and ten times that if it was made to).
const TURN_NS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_frames_that_come_in_pieces_end_a_turn_as_other_work_does() {
        let mut turn = Turn::default();
        let mut received = 0;
        while !turn.is_over() {
            turn.add_calls();
            turn.add_received(512 << 10);
            received += 512 << 10;
        }
        assert!(received <= 2 << 20, "{received} bytes in one turn");
        assert!(turn.begin_next() && !turn.is_over());
        turn.add_sent(16 << 20);
        assert!(turn.is_over(), "what is sent of stored replies counts too");
    }
}
