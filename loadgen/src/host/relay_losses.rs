//! What a Fathom server says of the deliveries that it did not make, by cause: the counts at its `/stats`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::addresses::Addresses;
use crate::host::server_config;
use crate::plan::Connect;
use crate::plan::url::Url;

/// Deliveries that a relay did not make, by cause, to any member of any room: also those of the warm-up, to members that joined
/// and left, and to others than this loadgen's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RelayLosses {
    /// The queue of a slow reader was full, and the new message was dropped (`--slow-reader drop-newest`).
    pub drop_newest: u64,
    /// It was full, and the oldest message in it was dropped (`--slow-reader drop-oldest`).
    pub drop_oldest: u64,
    /// A slow reader was closed with what waited for it (`--slow-reader close`).
    pub slow_reader_closed: u64,
    /// A connection was closed for the sake of the server's `--max-buffered`.
    pub evicted: u64,
    /// A connection ended otherwise before it had taken them.
    pub left: u64,
}

impl RelayLosses {
    /// What the server has counted since it started; `None` where it does not relay or does not answer in time.
    pub fn fetch(url: &Url, addresses: &Addresses, how: &Connect) -> Option<Self> {
        Self::of(&server_config::json_at("/stats", url, addresses, how)?)
    }

    fn of(stats: &Value) -> Option<Self> {
        Self::deserialize(stats.pointer("/deliveries/dropped")?).ok()
    }

    /// What has been added since `before`; `None` where the server has begun to count anew.
    pub fn since(self, before: Self) -> Option<Self> {
        Some(Self {
            drop_newest: self.drop_newest.checked_sub(before.drop_newest)?,
            drop_oldest: self.drop_oldest.checked_sub(before.drop_oldest)?,
            slow_reader_closed: self.slow_reader_closed.checked_sub(before.slow_reader_closed)?,
            evicted: self.evicted.checked_sub(before.evicted)?,
            left: self.left.checked_sub(before.left)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_counts_are_those_of_the_time_between_two_looks() {
        let dropped = |newest: u64, left: u64| {
            let dropped =
                json!({"drop_newest": newest, "drop_oldest": 0, "slow_reader_closed": 2, "evicted": 0, "left": left});
            RelayLosses::of(&json!({"connections": 3, "deliveries": {"written": 9, "dropped": dropped}})).unwrap()
        };
        let added = dropped(7, 5).since(dropped(3, 5));
        assert_eq!(added, Some(RelayLosses { drop_newest: 4, ..RelayLosses::default() }));
        assert_eq!(dropped(3, 5).since(dropped(7, 5)), None, "it was started anew");
        for other in [json!({"udp": {}}), json!({"deliveries": {"dropped": {"left": 1}}}), json!(null)] {
            assert_eq!(RelayLosses::of(&other), None, "{other}");
        }
    }
}
