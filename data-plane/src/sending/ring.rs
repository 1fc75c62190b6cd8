//! Several sends in one call of the kernel: io_uring(7).

use super::outgoing::Sent;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

pub(super) struct Ring(IoUring);

impl std::fmt::Debug for Ring {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Ring")
    }
}

impl Ring {
    /// `None` where the kernel has no such thing or a sandbox keeps us from it.
    pub(super) fn open(entries: usize) -> Option<Self> {
        let opened = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .build(u32::try_from(entries).ok()?);
        match opened {
            Ok(ring) => Some(Self(ring)),
            Err(error) => {
                tracing::debug!(%error, "no io_uring: messages are sent one by one");
                None
            }
        }
    }

    /// Sends each message to its socket without waiting, and adds to `sent` what became of each, in
    /// order. There are no more of them than the entries that the ring was opened with.
    #[expect(
        unsafe_code,
        reason = "the kernel reads descriptors and buffers by address; all are borrowed until every \
                  completion has been read, and where one is missing the process ends"
    )]
    pub(super) fn send<'a>(
        &mut self,
        messages: impl Iterator<Item = (BorrowedFd<'a>, &'a [u8])>,
        sent: &mut Vec<Sent>,
    ) {
        {
            let mut submission = self.0.submission();
            for (socket, bytes) in messages {
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let entry = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), length)
                    .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
                    .build()
                    .user_data(sent.len() as u64);
                // SAFETY: `socket` and `bytes` live longer than this call, which ends only when the
                // kernel has completed the entry.
                let pushed = unsafe { submission.push(&entry) };
                if pushed.is_err() {
                    break;
                }
                sent.push(Err(io::ErrorKind::Other));
            }
        }
        let mut missing = sent.len();
        while missing > 0 {
            if let Err(error) = self.0.submit_and_wait(missing) {
                let again = matches!(
                    error.raw_os_error(),
                    Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)
                );
                if !again {
                    // The kernel may hold addresses of ours for ever.
                    tracing::error!(%error, "io_uring does not complete what was given to it");
                    std::process::abort();
                }
            }
            for completion in self.0.completion() {
                let place = usize::try_from(completion.user_data()).ok();
                if let Some(place) = place.and_then(|place| sent.get_mut(place)) {
                    *place = outcome(completion.result());
                    missing -= 1;
                }
            }
        }
    }
}

/// Bytes taken, or a negated error number.
fn outcome(result: i32) -> Sent {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result).kind())
}
