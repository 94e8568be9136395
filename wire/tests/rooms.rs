//! Which module of `wire` may look into which.

mod tidy;

use tidy::{Room, check, room};

#[test]
fn the_tree_is_as_stated() {
    check(&ROOMS);
}

const ROOMS: [Room; 12] = [
    room("opcode", &[]),
    room("close_code", &[]),
    room("violation", &["close_code"]),
    room("header", &["opcode", "violation"]),
    room("mask", &[]),
    room("close", &["header"]),
    room("cursor", &["header"]),
    room("extension", &[]),
    room("receive", &["close", "cursor", "mask"]),
    room("echo", &["cursor", "mask"]),
    room("reply", &["echo"]),
    room("deflate", &["reply", "extension"]),
];
