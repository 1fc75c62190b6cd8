//! Connecting inside of a cluster.

use futures::stream::{FuturesUnordered, StreamExt};
use std::io;
use std::time::Duration;
use tokio::time::{Instant, interval, sleep, timeout};

/// Between two tries. Who is in the same cluster answers at once. The network may drop what a pod sends,
/// or is sent, before it knows the pod; a name may lead to the pod of before for a moment. The kernel alone
/// would ask again after 1, 3 and 7 s, and always the same address.
const EVERY: Duration = Duration::from_millis(250);

/// Longest time for all tries.
const LONGEST: Duration = Duration::from_secs(3);

/// Bounds of the pause after a refusal that somebody else may not repeat.
const REFUSED_PAUSE: (Duration, Duration) = (Duration::from_millis(10), EVERY);

/// Tries again and again until one is answered, well or not. A try goes on beside those that follow: what is
/// slow is not cut off.
///
/// # Errors
/// What the answer was; `TimedOut` if none came.
pub(crate) async fn staggered<S, T: Future<Output = io::Result<S>>>(
    mut connect: impl FnMut() -> T,
) -> io::Result<S> {
    let answered = async {
        let mut begin = interval(EVERY);
        let mut tries = FuturesUnordered::new();
        loop {
            tokio::select! {
                _ = begin.tick() => tries.push(connect()),
                Some(answered) = tries.next() => return answered,
            }
        }
    };
    let answered = timeout(LONGEST, answered).await;
    answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The same where several stand behind one name, of which one works and the others refuse: who refused
/// may not be who is asked next.
///
/// # Errors
/// As [`staggered`]; `ConnectionRefused` if nobody else answered in the time for all tries.
pub(crate) async fn past_refusals<S, T: Future<Output = io::Result<S>>>(
    mut connect: impl FnMut() -> T,
) -> io::Result<S> {
    let end = Instant::now() + LONGEST;
    let (mut pause, pause_max) = REFUSED_PAUSE;
    loop {
        match staggered(&mut connect).await {
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused
                    && Instant::now() + pause < end =>
            {
                sleep(pause).await;
                pause = (pause * 2).min(pause_max);
            }
            answered => return answered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::pending;
    use tokio::time::sleep;

    /// The kind of what comes of tries of which each is made by its number, and how many there were.
    async fn tried<T: Future<Output = io::Result<()>>>(
        connect: impl Fn(usize) -> T,
    ) -> (Result<(), io::ErrorKind>, usize) {
        let tries = Cell::new(0);
        let came = staggered(|| {
            tries.set(tries.get() + 1);
            connect(tries.get())
        });
        let came = came.await.map_err(|error| error.kind());
        (came, tries.get())
    }

    #[tokio::test]
    async fn who_does_not_answer_is_asked_again_and_who_refuses_is_not() {
        let refused = io::ErrorKind::ConnectionRefused;
        assert_eq!(tried(async |_| Ok(())).await, (Ok(()), 1));
        let first = tried(async |_| Err(refused.into())).await;
        assert_eq!(first, (Err(refused), 1));
        let third = tried(
            async |number| {
                if number < 3 { pending().await } else { Ok(()) }
            },
        );
        assert_eq!(third.await, (Ok(()), 3));
        let never = tried(async |_| pending().await).await.0;
        assert_eq!(never, Err(io::ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn whoever_is_slow_is_not_cut_off() {
        let (came, tries) = tried(async |number| {
            if number > 1 {
                pending().await
            } else {
                sleep(3 * EVERY).await;
                Ok(())
            }
        })
        .await;
        assert_eq!(came, Ok(()));
        assert!(tries > 1, "{tries}");
    }

    #[tokio::test]
    async fn where_several_stand_behind_a_name_one_that_refuses_is_passed_by() {
        let tries = Cell::new(0);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let came = past_refusals(|| {
            tries.set(tries.get() + 1);
            let answer = if tries.get() < 4 {
                Err(refused())
            } else {
                Ok(())
            };
            async move { answer }
        });
        assert!(came.await.is_ok());
        assert_eq!(tries.get(), 4);
        let never = past_refusals(|| async { Err::<(), _>(refused()) }).await;
        let kind = never.map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::ConnectionRefused));
    }
}
