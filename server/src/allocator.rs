//! mimalloc, and when it returns memory to the kernel.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};

/// Has what is free for [`PURGE_DELAY_MS`] returned, so that a burst is not paid for until the process ends.
///
/// mimalloc 3 waits for a second, and looks only when something large is allocated or freed. Half a minute after a burst of
/// 10,000 messages of 64 KiB that had stood half sent, a quarter of it was resident still, and with `--lane off` all of it.
pub(crate) fn return_memory_soon() {
    // SAFETY: takes integers only; options may be set at any time, and the index is one that this version has.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}

/// Returns at once what this thread has freed: for a thread that has just freed much of what a burst took, and may free
/// nothing large for long.
pub(crate) fn return_memory_now() {
    // SAFETY: it may be called at any time by any thread, and touches only memory that is free.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// `mi_option_purge_delay` of mimalloc.h, versions 2 and 3, which libmimalloc-sys does not name.
const PURGE_DELAY: c_int = libmimalloc_sys::mi_option_use_numa_nodes - 1;

/// Milliseconds: far less than a burst takes, as it is the frees of its last part that return what its first part freed; more
/// than there is between two large messages, as a buffer that comes and goes with each should not be returned in between.
const PURGE_DELAY_MS: c_long = 1;
