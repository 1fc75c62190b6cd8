//! What PostgreSQL prints, on its way into a log that is bounded.
//!
//! A tenant can make its engine print as much as it likes (`raise log`), and PostgreSQL itself
//! bounds no log. So it prints into a named pipe, and the helper copies from there. The pipe is the
//! engine's own at both ends and never makes it wait: with no helper, or with one that cannot keep
//! up, lines are lost instead. A helper that comes after one that was killed finds the pipe by its
//! name and goes on.

use super::instance_dir::InstanceDir;
use crate::log::BoundedLog;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;

/// What the pipe holds, bytes: half a second of an engine that logs every statement of a busy
/// client, should the helper get no processor for so long.
const PIPE_BYTES: i32 = 256 * 1024;

/// Copied by one call, bytes.
const COPY_BYTES: usize = 64 * 1024;

/// Calls without a pause: what the pipe held, and not what is printed meanwhile.
const COPIES: usize = 4;

/// Pause between two copies, which takes lines together and bounds how much is written to the disk.
const COPY_PAUSE: Duration = Duration::from_millis(20);

/// Reads what the engine of an instance prints.
#[derive(Debug)]
pub(super) struct EngineOutput {
    path: PathBuf,
    receiver: pipe::Receiver,
    log: Arc<BoundedLog>,
}

impl EngineOutput {
    /// Makes the pipe, or finds that of an earlier helper.
    pub(super) fn open(instance: &InstanceDir, log: Arc<BoundedLog>) -> io::Result<Self> {
        let path = instance.engine_output();
        let is_pipe = std::fs::symlink_metadata(&path).map(|found| found.file_type().is_fifo());
        match is_pipe {
            Ok(true) => {}
            Ok(false) => {
                std::fs::remove_file(&path)?;
                make(&path)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path)?,
            Err(error) => return Err(error),
        }
        let receiver = pipe::OpenOptions::new()
            // With an end to write of our own, it does not end with the engine.
            .read_write(true)
            .open_receiver(&path)?;
        // One that cannot grow is as good, only fuller sooner.
        let _ = fcntl(&receiver, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        Ok(Self {
            path,
            receiver,
            log,
        })
    }

    /// Standard output and standard error of an engine: the end to write to. Open for reading as
    /// well, so that it does not break when this process ends.
    pub(super) fn for_engine(&self) -> io::Result<[Stdio; 2]> {
        let end = self.end_for_engine()?;
        Ok([Stdio::from(end.try_clone()?), Stdio::from(end)])
    }

    fn end_for_engine(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&self.path)
    }

    /// Copies for as long as this is polled.
    pub(super) async fn copy(&self) {
        loop {
            // An error is told by the next reading, if by anything.
            let _ = self.receiver.readable().await;
            self.copy_rest();
            tokio::time::sleep(COPY_PAUSE).await;
        }
    }

    /// Copies what is there now.
    pub(super) fn copy_rest(&self) {
        let mut buffer = vec![0; COPY_BYTES];
        for _ in 0..COPIES {
            match self.receiver.try_read(&mut buffer) {
                Ok(read) if read > 0 => self.write(&buffer[..read]),
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn write(&self, content: &[u8]) {
        // A full disk takes no log; the engine goes on without.
        let _ = (&*self.log).write_all(content);
    }
}

fn make(path: &Path) -> io::Result<()> {
    nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::process::{Child, Command};
    use tempfile::TempDir;

    const BYTES_MAX: u64 = 256 * 1024;

    fn instance() -> (TempDir, InstanceDir) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("run")).expect("made");
        let instance = InstanceDir::open(folder.path()).expect("opens");
        (folder, instance)
    }

    fn output(folder: &TempDir, instance: &InstanceDir) -> EngineOutput {
        let mut options = OpenOptions::new();
        let options = options.create(true).read(true).append(true);
        let file = options.open(log_path(folder)).expect("opens");
        let log = Arc::new(BoundedLog::new(file, BYTES_MAX));
        EngineOutput::open(instance, log).expect("opens")
    }

    fn log_path(folder: &TempDir) -> PathBuf {
        folder.path().join("engine.log")
    }

    fn log_text(folder: &TempDir) -> String {
        std::fs::read_to_string(log_path(folder)).expect("read")
    }

    /// Prints so many numbered lines, says so, and stays.
    fn printing(output: &EngineOutput, lines: u32) -> Child {
        let script = format!(
            "i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; done 2>/dev/null; \
             echo printed >&2; exec sleep 600"
        );
        Command::new("sh")
            .args(["-c", &script])
            .stdout(Stdio::from(output.end_for_engine().expect("opens")))
            .stderr(Stdio::piped())
            .spawn()
            .expect("started")
    }

    async fn copied_until(output: &EngineOutput, done: impl Fn() -> bool) {
        let limit = tokio::time::sleep(Duration::from_secs(20));
        tokio::pin!(limit);
        while !done() {
            tokio::select! {
                () = output.copy() => {}
                () = tokio::time::sleep(Duration::from_millis(30)) => {}
                () = &mut limit => panic!("not copied"),
            }
        }
    }

    fn wait_printed(child: &mut Child) {
        use std::io::BufRead;
        let said = child.stderr.take().expect("piped");
        let mut line = String::new();
        io::BufReader::new(said).read_line(&mut line).expect("read");
        assert_eq!(line, "printed\n");
    }

    #[tokio::test]
    async fn an_engine_does_not_wait_for_a_reader_and_the_next_one_goes_on() {
        let (folder, instance) = instance();
        let first = output(&folder, &instance);
        let mut engine = printing(&first, 100_000);
        // As if the helper were killed.
        drop(first);
        wait_printed(&mut engine);
        let next = output(&folder, &instance);
        copied_until(&next, || log_text(&folder).contains("line 1\n")).await;
        (&next.end_for_engine().expect("opens"))
            .write_all(b"later\n")
            .expect("room again");
        copied_until(&next, || log_text(&folder).contains("later\n")).await;
        engine.kill().expect("killed");
        engine.wait().expect("ended");
    }

    #[tokio::test]
    async fn what_an_engine_prints_without_end_stays_within_the_bound() {
        let (folder, instance) = instance();
        let output = output(&folder, &instance);
        let line = "x".repeat(1000);
        let mut engine = Command::new("sh")
            .args(["-c", &format!("while :; do echo {line}; done")])
            .stdout(Stdio::from(output.end_for_engine().expect("opens")))
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let largest = Cell::new(0);
        let path = log_path(&folder);
        copied_until(&output, || {
            let length = std::fs::metadata(&path).expect("there").len();
            length < largest.replace(length.max(largest.get()))
        })
        .await;
        engine.kill().expect("killed");
        engine.wait().expect("ended");
        assert!(largest.get() <= BYTES_MAX, "{}", largest.get());
    }
}
