//! The rooms of `loadgen/src`, and which may look into which: what `docs/architecture.md` draws.

#[path = "../../wire/tests/tidy/mod.rs"]
mod tidy;

use tidy::{Room, check, room};

/// A room stands below those that it sees. `units` and `serde_time` are leaves that every room may use.
const ROOMS: [Room; 10] = [
    room("units", &[]),
    room("serde_time", &[]),
    room("plan", &["units", "serde_time"]),
    room("host", &["plan"]),
    room("measure", &["host"]),
    room("judge", &["measure"]),
    room("load", &["measure"]),
    room("report", &["judge"]),
    room("trials", &["load", "report"]),
    room("program", &["trials"]),
];

#[test]
fn the_tree_tells_the_architecture() {
    check(&ROOMS);
}
