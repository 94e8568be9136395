//! The `echo-server` binary: its allocator, and nothing else that `server::cli` does not own.

use std::process::ExitCode;

/// Small, short-lived allocations per handshake are what the server allocates; mimalloc makes them cheapest.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    server::cli::main("echo-server", std::env::args_os().skip(1))
}
