//! The helper's side: carries out what a node asks for. Whoever is asked owns the data folder and
//! holds no key: what comes is decrypted.

use super::local::{LocalSite, is_database};
use super::protocol::{Answer, Call};
use super::site::{Site, SiteError};
use crate::archive::restore::PartSink;
use crate::engine::{EngineDir, FrameError, InstanceDir, frame_read, frame_write};
use crate::errors::chain;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;

/// Read at once, bytes.
const READ_BYTES: usize = 256 * 1024;

/// Serves for as long as it is polled.
pub(crate) async fn restore_serve(
    engine: EngineDir,
    instance: InstanceDir,
    program: PathBuf,
    listener: UnixListener,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (engine, instance, program) = (engine.clone(), instance.clone(), program.clone());
        tokio::spawn(async move {
            let site = LocalSite {
                engine: &engine,
                instance: &instance,
                program: &program,
            };
            if let Err(error) = serve_one(site, stream).await {
                tracing::debug!(%error, "a call of the node was not answered");
            }
        });
    }
}

/// Ends an engine that replays, before its helper ends.
pub(crate) async fn restore_end(engine: &EngineDir, instance: &InstanceDir) {
    if is_database(&instance.data()) {
        return;
    }
    let program = PathBuf::new();
    let site = LocalSite {
        engine,
        instance,
        program: &program,
    };
    if let Err(error) = site.end_engine().await {
        tracing::error!(error = %chain(&error), "an engine that replays was not ended");
    }
}

async fn serve_one(site: LocalSite<'_>, mut stream: UnixStream) -> Result<(), FrameError> {
    let call = frame_read(&mut stream).await?;
    if let Call::Part { number, kind } = call {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        let sink = site.part(number, kind);
        let thread = std::thread::Builder::new().name("restore".to_owned());
        thread.spawn(move || part_write(sink, stream))?;
        return Ok(());
    }
    let gone = async {
        // The node says nothing more: anything that comes is the end.
        let _ = stream.read_u8().await;
    };
    let answer = tokio::select! {
        answer = perform(site, call) => answer,
        () = gone => {
            // It will begin anew; an engine that still replays would be in its way.
            if let Err(error) = site.end_engine().await {
                tracing::error!(error = %chain(&error), "an engine that replays was not ended");
            }
            return Ok(());
        }
    };
    let answer = answer.unwrap_or_else(|error| Answer::Failed(chain(&error)));
    frame_write(&mut stream, &answer).await
}

async fn perform(site: LocalSite<'_>, call: Call) -> Result<Answer, SiteError> {
    match call {
        Call::Look => return site.look().map(Answer::Looked),
        Call::Begin { backups } => site.begin(backups).await?,
        Call::Combine { backups } => site.combine(backups).await?,
        Call::Verify { backups } => return site.verify(backups).await.map(Answer::Verified),
        Call::Replay { settings } => return site.replay(&settings).await.map(Answer::Replayed),
        Call::Finish => site.finish().await?,
        Call::Part { .. } => {}
    }
    Ok(Answer::Done)
}

/// Writes what comes, and says how that ended.
fn part_write(sink: io::Result<Box<dyn PartSink>>, mut stream: BlockingStream) {
    let written = sink.and_then(|mut sink| {
        let mut piece = vec![0; READ_BYTES];
        loop {
            match stream.read(&mut piece)? {
                0 => return sink.finish(),
                length => sink.push(&piece[..length])?,
            }
        }
    });
    let answer = match written {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(error.to_string()),
    };
    if let Err(error) = blocking_write(&mut stream, &answer) {
        tracing::debug!(%error, "a node went away while it wrote");
    }
}

/// As [`frame_write`], where it may wait.
pub(super) fn blocking_write(
    stream: &mut BlockingStream,
    document: &impl serde::Serialize,
) -> io::Result<()> {
    let body = serde_json::to_vec(document)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&body)
}
