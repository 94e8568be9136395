//! What was agreed on permessage-deflate (RFC 7692), and on how many connections.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use wire::deflate::{Agreed, Direction, WindowBits};

/// What was agreed (`None`: it was declined or not offered), and on how many connections. Each agreement is there once, in
/// an order that does not depend on which connection was first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Saved>", into = "Vec<Saved>")]
pub struct Agreements(Vec<(Option<Agreed>, u64)>);

/// One agreement, as it is saved.
#[derive(Serialize, Deserialize)]
struct Saved {
    connections: u64,
    /// Absent where there is none.
    agreed: Option<SavedSides>,
}

#[derive(Serialize, Deserialize)]
struct SavedSides {
    server: SavedSide,
    client: SavedSide,
}

#[derive(Serialize, Deserialize)]
struct SavedSide {
    context_takeover: bool,
    window_bits: u8,
}

impl Agreements {
    /// So many connections more have agreed on this.
    pub fn add(&mut self, agreed: Option<Agreed>, connections: u64) {
        match self.0.binary_search_by_key(&rank(agreed), |(known, _)| rank(*known)) {
            Ok(at) => self.0[at].1 += connections,
            Err(at) => self.0.insert(at, (agreed, connections)),
        }
    }

    /// Each agreement, and its connections.
    pub fn iter(&self) -> impl Iterator<Item = (Option<Agreed>, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Connections that it was not agreed on.
    pub fn declined(&self) -> u64 {
        self.iter().filter(|(agreed, _)| agreed.is_none()).map(|(_, connections)| connections).sum()
    }
}

impl AddAssign for Agreements {
    fn add_assign(&mut self, part: Self) {
        part.iter().for_each(|(agreed, connections)| self.add(agreed, connections));
    }
}

/// What agreements are sorted by.
fn rank(agreed: Option<Agreed>) -> Option<[(bool, WindowBits); 2]> {
    agreed.map(|Agreed { server, client }| [server, client].map(|side| (side.context_takeover, side.window)))
}

impl From<Agreements> for Vec<Saved> {
    fn from(agreements: Agreements) -> Self {
        let side = |Direction { context_takeover, window }| SavedSide { context_takeover, window_bits: window.get() };
        let sides = |Agreed { server, client }| SavedSides { server: side(server), client: side(client) };
        agreements.iter().map(|(agreed, connections)| Saved { connections, agreed: agreed.map(sides) }).collect()
    }
}

impl TryFrom<Vec<Saved>> for Agreements {
    type Error = String;

    fn try_from(saved: Vec<Saved>) -> Result<Self, String> {
        let mut agreements = Self::default();
        for Saved { connections, agreed } in saved {
            agreements.add(agreed.map(Agreed::try_from).transpose()?, connections);
        }
        Ok(agreements)
    }
}

impl TryFrom<SavedSides> for Agreed {
    type Error = String;

    fn try_from(SavedSides { server, client }: SavedSides) -> Result<Self, String> {
        let side = |SavedSide { context_takeover, window_bits }| match WindowBits::new(window_bits) {
            Some(window) => Ok(Direction { context_takeover, window }),
            None => Err(format!("window_bits is {window_bits}; expected 8 to 15")),
        };
        Ok(Self { server: side(server)?, client: side(client)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(server: u8, client: u8) -> Option<Agreed> {
        let side = |bits| Direction { context_takeover: false, window: WindowBits::new(bits).unwrap() };
        Some(Agreed { server: side(server), client: side(client) })
    }

    #[test]
    fn the_order_of_the_connections_makes_no_difference() {
        let of = |order: [(Option<Agreed>, u64); 3]| {
            let mut agreements = Agreements::default();
            order.into_iter().for_each(|(agreed, connections)| agreements.add(agreed, connections));
            agreements
        };
        let mut all = of([(agreed(15, 9), 2), (None, 3), (agreed(9, 15), 4)]);
        assert_eq!(all, of([(None, 3), (agreed(9, 15), 4), (agreed(15, 9), 2)]));
        all += of([(None, 1), (agreed(9, 15), 1), (agreed(9, 9), 1)]);
        let counts: Vec<_> = all.iter().map(|(_, connections)| connections).collect();
        assert_eq!((counts, all.declined()), (vec![4, 1, 5, 2], 4));
    }

    #[test]
    fn a_window_that_there_is_not_is_refused() {
        let side = |bits| format!(r#"{{"context_takeover": true, "window_bits": {bits}}}"#);
        let saved = |bits| {
            let text =
                format!(r#"[{{"connections": 1, "agreed": {{"server": {}, "client": {}}}}}]"#, side(8), side(bits));
            serde_json::from_str::<Agreements>(&text)
        };
        assert_eq!(saved(15).unwrap().iter().map(|(_, connections)| connections).sum::<u64>(), 1);
        assert!(saved(16).unwrap_err().to_string().contains("window_bits is 16; expected 8 to 15"));
    }
}
