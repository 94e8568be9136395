//! The `loadgen` binary: its allocator, and nothing that `loadgen::program` does not own.

use std::process::ExitCode;

/// The embedded server runs on the allocator of the `echo-server` binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    loadgen::program::main(std::env::args_os())
}
