//! Which room of the server may look into which.

#[path = "../../wire/tests/tidy/mod.rs"]
mod tidy;

use tidy::{Room, check, room};

#[test]
fn the_tree_is_as_stated() {
    check(&ROOMS);
}

const ROOMS: [Room; 13] = [
    room("config", &[]),
    room("error", &["config"]),
    room("limits", &["config"]),
    room("transport", &["limits", "error"]),
    room("relay", &["limits"]),
    room("dialogue", &["relay", "transport"]),
    room("datagrams", &["dialogue"]),
    room("lane", &["dialogue"]),
    room("engine", &["dialogue"]),
    room("connection", &["datagrams", "lane", "engine"]),
    room("http", &["connection"]),
    room("listen", &["http", "error"]),
    room("program", &["listen"]),
];
