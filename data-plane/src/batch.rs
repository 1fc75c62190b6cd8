//! Tells the kernel that a process relays for many and need not interrupt whoever woke it.
//!
//! A relay is woken by each message, mostly by the process that it has work from: a client's, or
//! the engine's. Running at once in its place, on a busy machine, costs two switches of context for
//! one message; running when that process has sent what it has to say costs two for several. An
//! idle machine runs it at once in either case. The price is that beside programs that compute
//! without a pause, a message may wait for the rest of their time slice, a few milliseconds.
//! [`crate::sending`] is the same thought for those whom a relay wakes.

/// Puts the calling thread, and those that it starts from now on, into `SCHED_BATCH` (sched(7)).
/// Where the system refuses, everything works as before.
#[expect(
    unsafe_code,
    reason = "the call has no safe wrapper; it reads one structure that lives on this stack"
)]
pub fn enter() {
    let parameters = libc::sched_param { sched_priority: 0 };
    let thread = 0;
    // SAFETY: `parameters` outlives the call, which keeps no pointer to it.
    let refused =
        unsafe { libc::sched_setscheduler(thread, libc::SCHED_BATCH, &raw const parameters) } != 0;
    if refused {
        let error = std::io::Error::last_os_error();
        tracing::debug!(%error, "the thread is scheduled as any other");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thread_enters_and_those_it_starts_are_there_too() {
        let policy_of_child = std::thread::spawn(|| {
            super::enter();
            std::thread::spawn(|| {
                let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("readable");
                // Field 41 of proc_pid_stat(5), counted from the end of the name, which is the second.
                let (_, fields) = stat.rsplit_once(')').expect("a name");
                fields.split_whitespace().nth(38).map(str::to_owned)
            })
            .join()
            .expect("ends")
        });
        let policy = policy_of_child.join().expect("ends");
        assert_eq!(policy.as_deref(), Some("3"), "SCHED_BATCH");
    }
}
