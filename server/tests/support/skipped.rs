//! Tests that this machine has not what they need for. The tests of both programs use it.
#![allow(unreachable_pub, reason = "a module of test binaries has no public")]

/// Says on stderr that the calling test is skipped, and why. `scripts/check` lists these lines at its end.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    eprintln!("SKIPPED: {}: {why}", thread.name().unwrap_or("a test"));
}
