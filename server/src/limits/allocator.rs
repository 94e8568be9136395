//! The allocator, and when it returns memory to the kernel: what a burst took is not paid for until the process ends.
#![allow(unsafe_code)]

/// Returns at once what is free: all large blocks, and what the calling thread has freed of small ones.
#[cfg(feature = "mimalloc")]
pub(crate) fn return_memory() {
    // SAFETY: it may be called at any time by any thread, and touches only memory that is free.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Returns at once what is free.
#[cfg(all(not(feature = "mimalloc"), target_env = "gnu"))]
pub(crate) fn return_memory() {
    // SAFETY: it may be called at any time by any thread, and touches only memory that is free.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators decide for themselves.
#[cfg(all(not(feature = "mimalloc"), not(target_env = "gnu")))]
pub(crate) fn return_memory() {}

/// Has mimalloc return what is free for [`PURGE_DELAY_MS`] whenever it is called for something large, so that the end
/// of a burst costs no more than its height did. (mimalloc 3 waits for a second. It does nothing while nobody calls it,
/// which is what [`return_memory`] is for.)
#[cfg(feature = "mimalloc")]
pub(crate) fn return_memory_soon() {
    // SAFETY: takes integers only; options may be set at any time, and the index is one that this version has.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}

/// Has glibc return large blocks as soon as they are freed. Left to itself it raises its thresholds with the largest
/// block that was freed, and keeps up to 64 MiB at the end of every thread's heap, which [`return_memory`] does not
/// reach.
#[cfg(all(not(feature = "mimalloc"), target_env = "gnu"))]
pub(crate) fn return_memory_soon() {
    // SAFETY: takes integers only. It fails for other options than this one.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD) };
}

/// Other allocators decide for themselves.
#[cfg(all(not(feature = "mimalloc"), not(target_env = "gnu")))]
pub(crate) fn return_memory_soon() {}

/// Bytes free at the end of a thread's heap that glibc returns.
#[cfg(all(not(feature = "mimalloc"), target_env = "gnu"))]
const TRIM_THRESHOLD: std::ffi::c_int = 1 << 20;

/// `mi_option_purge_delay` of mimalloc.h, versions 2 and 3, which libmimalloc-sys does not name.
#[cfg(feature = "mimalloc")]
const PURGE_DELAY: std::ffi::c_int = libmimalloc_sys::mi_option_use_numa_nodes - 1;

/// Milliseconds: far less than a burst takes, as it is the frees of its last part that return what its first part
/// freed; more than there is between two large messages, as a buffer that comes and goes with each should not be
/// returned in between.
#[cfg(feature = "mimalloc")]
const PURGE_DELAY_MS: std::ffi::c_long = 1;
