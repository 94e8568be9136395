//! Transparent huge pages, and why this process does without.
#![allow(unsafe_code)]

use std::io;

/// Keeps the kernel from backing this process with huge pages.
///
/// The library reserves room for a frame as soon as its header announces the length. With small pages that costs what
/// arrives; with huge ones (which mimalloc asks for) each announcement costs 2 MiB at once, and a peer that announces
/// and never sends can exhaust the memory by 14 bytes a time. Throughput was the same with both.
///
/// # Errors
/// A kernel built without them.
pub(crate) fn disable() -> io::Result<()> {
    // SAFETY: this option of prctl takes integers only and touches no memory of ours.
    let result = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
