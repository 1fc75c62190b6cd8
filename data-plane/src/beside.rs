//! Runs work on a thread with an event loop of its own.
//!
//! One thread passes on all messages of clients. Work that comes in pieces of a millisecond, such as
//! receiving WAL and base backups, would let them wait there, and share that thread's part of a busy
//! processor.

use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Threads that wait for the disk or compute for the work, at most.
const BLOCKING_THREADS: usize = 4;

/// Starts `work` on a new thread; the future completes with it and passes its panic on. Dropping that
/// drops the work where it waits.
///
/// # Errors
/// Where the system gives no event loop or no thread.
pub(crate) fn beside<T: Send + 'static>(
    name: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<impl Future<Output = T>> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    let (mut taker, done) = oneshot::channel();
    let run = move || {
        let worked = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                tokio::select! {
                    result = work => Some(result),
                    () = taker.closed() => None,
                }
            })
        }));
        // A thread that still waits for the disk does not keep this one.
        runtime.shutdown_background();
        if let Some(worked) = worked.transpose() {
            let _ = taker.send(worked);
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(run)?;
    Ok(async {
        match done.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            // The thread says nothing only to those who are gone.
            Err(_) => pending().await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    #[tokio::test]
    async fn work_runs_on_another_thread_and_its_result_comes_back() {
        let work = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            std::thread::current().name().map(str::to_owned)
        };
        let name = beside("work", work).expect("a thread").await;
        assert_eq!(name.as_deref(), Some("work"));
    }

    #[tokio::test]
    async fn work_runs_though_nobody_polls_and_ends_when_nobody_waits() {
        let (told, mut tells) = mpsc::channel(1);
        let work = beside("work", async move {
            let _ = told.send(()).await;
            pending::<()>().await;
        })
        .expect("a thread");
        assert_eq!(tells.recv().await, Some(()));
        drop(work);
        let end = timeout(Duration::from_secs(10), tells.recv()).await;
        assert_eq!(end, Ok(None), "the work was dropped");
    }

    #[tokio::test]
    #[should_panic(expected = "broken")]
    async fn a_panic_of_the_work_is_passed_on() {
        let work = async { panic!("broken") };
        beside("work", work).expect("a thread").await;
    }
}
