//! The place on the lane for what is limited, timed or counted per connection; its counterpart off the lane is
//! `connection::bounds`. Today that is the bytes that a connection holds (`--max-buffered`).
//!
//! [`LaneBounds`] belongs to the worker, and is told of every connection that holds something when its turn begins and
//! ends (`Line::serve`, which is also where one that holds nothing would be counted or timed). What a connection has to
//! carry itself goes into its `Line`, whose size is asserted: 3 of its bytes are unused, two of them enough for the time of
//! its last message, in seconds. They lie beside the socket in `Stream::Tcp`, where one more field of that size fits.

use std::sync::Arc;

use crate::limits::budget::{Charge, Share};

/// What bounds the connections of one worker's lane while they are served.
#[derive(Debug)]
pub(super) struct LaneBounds {
    share: Arc<Share>,
    /// What the connection that is being served held before, while it is not known what it will hold.
    charge: Option<Charge>,
}

impl LaneBounds {
    pub(super) fn new(share: Arc<Share>) -> Self {
        Self { share, charge: None }
    }

    /// A connection that held something is served.
    pub(super) fn begin(&mut self, charge: Charge) {
        self.charge = Some(charge);
    }

    /// Counts the bytes that the connection being served will hold until its next turn; false if that passes the limit,
    /// so that somebody is to be evicted.
    pub(super) fn hold(&mut self, bytes: usize) -> (Charge, bool) {
        let mut charge = self.charge.take().unwrap_or_else(|| Charge::new(&self.share));
        let fits = charge.set(bytes);
        (charge, fits)
    }

    /// Whether the worker's connections hold more than they may.
    pub(super) fn passed(&self) -> bool {
        self.share.excess() > 0
    }

    /// The connection has been served. Unless it holds something again, nothing is counted for it any longer.
    pub(super) fn end(&mut self) {
        self.charge = None;
    }
}
