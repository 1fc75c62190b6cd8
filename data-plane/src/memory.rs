//! Has memory that was freed go back to the system.
//!
//! A node is small, and now and then holds megabytes for a moment: a chunk of WAL, a part of a backup; so
//! does an operator when it lists a cluster. The C library's allocator learns from the first of them to
//! keep such blocks for later, and keeps them for each of the threads that had one.

/// Blocks from this size on, bytes, are taken from the system and given back to it.
#[cfg(target_env = "gnu")]
const BLOCK_BYTES: i32 = 128 * 1024;

/// Heaps that the threads of a node share.
pub const NODE_HEAPS: i32 = 2;

/// For the whole process, from here on; before other threads are started. They share so many heaps.
#[cfg_attr(not(target_env = "gnu"), expect(unused_variables))]
pub fn return_freed(heaps: i32) {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_MMAP_THRESHOLD, BLOCK_BYTES),
        (libc::M_ARENA_MAX, heaps),
    ] {
        set(parameter, value);
    }
}

#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "the call has no safe wrapper; it takes two numbers and touches the allocator alone"
)]
fn set(parameter: i32, value: i32) {
    // SAFETY: mallopt(3) may be called at any time and keeps no reference.
    let done = unsafe { libc::mallopt(parameter, value) };
    if done == 0 {
        tracing::debug!(parameter, "the allocator keeps what it likes");
    }
}
