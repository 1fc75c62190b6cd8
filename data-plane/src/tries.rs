//! Connecting inside of a cluster.

use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// How long each try to connect may take; 3 s together. Who is in the same cluster answers at once. The
/// network may drop what a pod sends, or is sent, before it knows the pod; a name may lead to the pod of
/// before for a moment. The kernel alone would ask again after 1, 3 and 7 s, and always the same address.
const TRIES: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(1250),
];

/// Tries until one is answered, well or not.
///
/// # Errors
/// What the answer was; `TimedOut` if none came.
pub(crate) async fn in_turn<S, T: Future<Output = io::Result<S>>>(
    mut connect: impl FnMut() -> T,
) -> io::Result<S> {
    for longest in TRIES {
        if let Ok(answered) = timeout(longest, connect()).await {
            return answered;
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// What comes of tries of which the first so many are not answered, and how many there were.
    async fn tried(
        unanswered: usize,
        answer: io::Result<()>,
    ) -> (Result<(), io::ErrorKind>, usize) {
        let (tries, answer) = (Cell::new(0), Cell::new(Some(answer)));
        let came = in_turn(|| {
            tries.set(tries.get() + 1);
            let is_answered = tries.get() > unanswered;
            let answer = is_answered.then(|| answer.take()).flatten();
            async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        });
        let came = came.await.map_err(|error| error.kind());
        (came, tries.get())
    }

    #[tokio::test]
    async fn who_does_not_answer_is_asked_again_and_who_refuses_is_not() {
        let refused = io::ErrorKind::ConnectionRefused;
        assert_eq!(tried(0, Ok(())).await, (Ok(()), 1));
        assert_eq!(tried(0, Err(refused.into())).await, (Err(refused), 1));
        assert_eq!(tried(2, Ok(())).await, (Ok(()), 3));
        let never = tried(usize::MAX, Ok(())).await;
        assert_eq!(never, (Err(io::ErrorKind::TimedOut), TRIES.len()));
    }
}
