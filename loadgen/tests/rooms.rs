//! Every room of `src` imports only from those that its row names, and nothing stands at the root that is no room. What is
//! said here is what `docs/architecture.md` draws.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the others that it may look into.
const ROOMS: [(&str, &[&str]); 8] = [
    ("plan", &[]),
    ("host", &["plan"]),
    ("measure", &["plan", "host"]),
    ("judge", &["plan", "host", "measure"]),
    ("load", &["plan", "host", "measure"]),
    ("report", &["plan", "host", "measure", "judge"]),
    ("trials", &["plan", "host", "measure", "judge", "load", "report"]),
    ("program", &["plan", "host", "measure", "judge", "load", "report", "trials"]),
];

/// What stands beside them: leaves that every room may use.
const LEAVES: [&str; 4] = ["lib.rs", "main.rs", "serde_time.rs", "units.rs"];

/// Lines of a file.
const MOST_LINES: usize = 400;

#[test]
fn no_import_runs_against_the_order_of_the_rooms() {
    let mut wrong = Vec::new();
    for file in files(&source()) {
        let relative = file.strip_prefix(source()).unwrap().to_owned();
        let room = relative.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            for (other, _) in ROOMS.iter().filter(|(other, _)| *other != room && !may.contains(other)) {
                if names(line, other) {
                    wrong.push(format!("{}:{}: {room} may not look into {other}", relative.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_stands_at_the_root_that_is_no_room() {
    let mut entries: Vec<String> =
        fs::read_dir(source()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    entries.retain(|entry| !LEAVES.contains(&entry.as_str()) && !ROOMS.iter().any(|(room, _)| room == entry));
    assert!(entries.is_empty(), "{entries:?}");
}

#[test]
fn no_file_is_longer_than_a_reader_can_take_in() {
    let lines = |file: &PathBuf| fs::read_to_string(file).unwrap().lines().count();
    let long: Vec<_> = files(&source()).into_iter().filter(|file| lines(file) > MOST_LINES).collect();
    assert!(long.is_empty(), "over {MOST_LINES} lines: {long:?}");
}

#[test]
fn imports_are_seen_however_they_are_written() {
    assert!(names("use crate::report::Report;", "report") && names("    crate::report::run::f()", "report"));
    assert!(
        names("use crate::{report, units};", "report") && names("use crate::{plan::Plan, report::Report};", "report")
    );
    assert!(!names("use crate::reports::Report;", "report") && !names("//! See [`crate::report`].", "report"));
}

/// Whether a line of code names something of that room.
fn names(line: &str, room: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with("//") {
        return false;
    }
    let begins = |rest: &str| {
        rest.strip_prefix(room).is_some_and(|rest| !rest.starts_with(|c: char| c == '_' || c.is_alphanumeric()))
    };
    line.match_indices("crate::").any(|(at, path)| {
        let rest = &line[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(list) => list.split([',', '}']).any(|item| begins(item.trim_start())),
            None => begins(rest),
        }
    })
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The Rust files of a folder and of those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
