//! Follows a source after it was copied, until the customer switches over.
//!
//! The engine of a tenant connects to nothing, so the worker subscribes for it: it reads what the
//! source publishes ([`wire`], [`pgoutput`]) and writes it through the edge as SQL ([`statement`],
//! [`apply`]).
//!
//! Invariants:
//! - A slot keeps the source's WAL from a moment on, and the copy is a snapshot of that very moment.
//!   Every transaction after it is applied once: the position lies in the target and commits with the
//!   changes ([`aside`]). Whoever applies moves it from where it read it, so of two workers one fails.
//! - The source is told of nothing that is not committed here.
//! - What neither side can keep apart or up to date is refused before a slot is made ([`origin`]), and
//!   ends the import where it happens later ([`schema`]); nothing is left out in silence.
//! - Once the target has switched over nothing of it is removed any more: it is the customer's.
//! - However an import ends, its slot and publication are removed from the source, or the error says
//!   that they are there.

mod apply;
pub(super) mod aside;
pub(super) mod origin;
mod pgoutput;
mod schema;
mod statement;
mod stream;
mod wire;

use super::Failure;
use super::check::{Session, Unanswered};
use super::login::Door;
use super::programs::Room;
use super::progress::Progress;
use apply::Applier;
use aside::Standing;
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::ImportId;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long either side may be away before the import fails: its slot keeps WAL all that time.
const PATIENCE: Duration = Duration::from_mins(30);

const PATIENCE_AT_END: Duration = Duration::from_mins(1);

/// The target does not say any more how far it is.
pub(super) const FORGOTTEN: &str = "Something else changed the schema lumadb_import in the logical \
    database, where it is written down how far following is. Begin a new import.";

/// Pauses between attempts.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Why something did not work.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may work a little later.
    Passing(Failure),
    Lasting(Failure),
}

impl Trouble {
    /// What a server says with this SQLSTATE.
    fn said(code: &str, text: &str) -> Self {
        let failure = Failure::new(text);
        let passes = code.starts_with("08")
            || code.starts_with("57P")
            || matches!(
                code,
                // A read-only stage, a conflict, places that are taken, a lock.
                "25006" | "40001" | "40P01" | "53300" | "55006" | "55P03"
            );
        if passes {
            return Self::Passing(failure);
        }
        Self::Lasting(failure)
    }

    fn into_failure(self) -> Failure {
        match self {
            Self::Passing(failure) | Self::Lasting(failure) => failure,
        }
    }
}

fn trouble_of(error: &Unanswered) -> Trouble {
    let Failure(text) = error.told();
    match error {
        Unanswered::TooMuch => Trouble::Lasting(Failure(text)),
        Unanswered::Said(error) => match error.code() {
            Some(code) => Trouble::said(code.code(), &text),
            None => Trouble::Passing(Failure(text)),
        },
    }
}

/// Rows as texts.
async fn query(session: &Session, sql: &str) -> Result<Vec<Vec<String>>, Trouble> {
    session.ask(sql).await.map_err(|error| trouble_of(&error))
}

/// Tries again what fails for a while only.
async fn patiently<T, F>(patience: Duration, mut once: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let until = Instant::now() + patience;
    loop {
        match once().await {
            Ok(done) => return Ok(done),
            Err(Trouble::Passing(failure)) if Instant::now() < until => {
                tracing::info!(%failure, "an import tries again");
            }
            Err(trouble) => return Err(trouble.into_failure()),
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// How far a target says that it is; waits while it does not answer.
pub(super) async fn standing(folder: &Path) -> Result<Standing, Failure> {
    patiently(PATIENCE, || look(folder)).await
}

/// The same, for whoever is about to remove what is there.
pub(super) async fn standing_now(folder: &Path) -> Result<Standing, Failure> {
    patiently(PATIENCE_AT_END, || look(folder)).await
}

async fn look(folder: &Path) -> Result<Standing, Trouble> {
    aside::standing(&aside::open(folder).await?).await
}

async fn set_aside(folder: &Path, from: Lsn, schema: &[Vec<String>]) -> Result<(), Trouble> {
    let target = aside::open(folder).await?;
    // It may have been committed, with the answer lost.
    match aside::standing(&target).await? {
        Standing::None => aside::set_aside(&target, from, schema).await,
        Standing::Following(_) | Standing::SwitchedOver => Ok(()),
    }
}

async fn settle(folder: &Path) -> Result<Vec<String>, Trouble> {
    let target = aside::open(folder).await?;
    match aside::standing(&target).await? {
        Standing::None => Ok(Vec::new()),
        Standing::Following(_) | Standing::SwitchedOver => aside::settle(&target).await,
    }
}

/// An import that follows its source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Follower<'a> {
    pub(super) id: ImportId,
    pub(super) room: &'a Room,
    pub(super) door: &'a Door,
    pub(super) progress: &'a Progress,
}

/// What a copy that is followed is made from; it lives as long as this.
pub(super) struct Snapshot {
    begun: origin::Begun,
    schema: Vec<Vec<String>>,
}

impl Snapshot {
    pub(super) fn name(&self) -> &str {
        &self.begun.snapshot
    }
}

impl Follower<'_> {
    /// Looks at the source before anything is made there.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        let source = self.source().await.map_err(Trouble::into_failure)?;
        origin::fits(&source, self.door).await
    }

    /// Makes publication and slot; what an earlier attempt left there goes first.
    pub(super) async fn begin(&self) -> Result<Snapshot, Failure> {
        self.leave().await?;
        let source = self.source().await.map_err(Trouble::into_failure)?;
        let schema = schema::read(&source).await.map_err(Trouble::into_failure)?;
        let begun = origin::begin(&source, self.door, &origin::name(self.id)).await?;
        Ok(Snapshot { begun, schema })
    }

    /// Everything of the snapshot is in the target: from here on it is followed.
    pub(super) async fn copied(&self, snapshot: Snapshot) -> Result<(), Failure> {
        let Snapshot { begun, schema } = snapshot;
        drop(begun.connection);
        let folder = self.room.folder();
        patiently(PATIENCE, || set_aside(folder, begun.from, &schema)).await
    }

    /// Follows until the customer asks for the switch-over, and switches over.
    pub(super) async fn follow(&self) -> Result<(), Failure> {
        self.progress.following();
        let mut quiet_since = Instant::now();
        loop {
            let mut has_moved = false;
            match self.follow_once(&mut has_moved).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Lasting(failure)) => return Err(failure),
                Err(Trouble::Passing(failure)) => {
                    if has_moved {
                        quiet_since = Instant::now();
                    }
                    if quiet_since.elapsed() > PATIENCE {
                        return Err(failure);
                    }
                    tracing::info!(import = %self.id, %failure, "following is interrupted");
                }
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn follow_once(&self, has_moved: &mut bool) -> Result<(), Trouble> {
        let name = origin::name(self.id);
        let folder = self.room.folder();
        let target = aside::open(folder).await?;
        let applier = match aside::standing(&target).await? {
            Standing::SwitchedOver => return Ok(()),
            Standing::Following(position) => Applier::new(target, position),
            Standing::None => return Err(Trouble::Lasting(Failure::new(FORGOTTEN))),
        };
        let source = self.source().await?;
        origin::slot_holds(&source, &name).await?;
        let copied = schema::read_copied(&applier.target).await?;
        schema::is_same(&copied, &schema::read(&source).await?)?;
        *has_moved = true;
        let watched = stream::Watched::default();
        let done = tokio::select! {
            done = stream::apply(self, &name, applier, &watched) => done,
            trouble = stream::watch(self, &name, &source, &copied, &watched) => Err(trouble),
        };
        if let Err(Trouble::Lasting(_)) = done {
            // A slot that was given up says what to do; a stream that broke off over it does not.
            origin::slot_holds(&source, &name).await?;
        }
        let applier = done?;
        // Only now: what changed after the last look must not be missed.
        schema::is_same(&copied, &schema::read(&source).await?)?;
        let sequences = origin::sequences(&source).await?;
        aside::put_back(&applier.target, applier.position(), &sequences).await
    }

    /// What is left to do after the switch-over, while the customer uses the target. Gives what is
    /// not as it was at the source.
    pub(super) async fn settle(&self) -> Option<String> {
        let mut notes = Vec::new();
        if let Err(failure) = self.leave().await {
            notes.push(failure.to_string());
        }
        let folder = self.room.folder();
        match patiently(PATIENCE, || settle(folder)).await {
            Ok(more) => notes.extend(more),
            Err(failure) => notes.push(failure.to_string()),
        }
        let note = notes.join(" ");
        (!note.is_empty()).then(|| Failure::new(note).to_string())
    }

    async fn leave(&self) -> Result<(), Failure> {
        origin::leave(self.room.folder(), self.id).await
    }

    async fn source(&self) -> Result<Session, Trouble> {
        let source = Session::source(self.room.folder()).await;
        let source = source.map_err(Trouble::Passing)?;
        query(&source, origin::SESSION).await?;
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_lasts() {
        for code in ["08006", "57P01", "57P03", "40P01", "25006", "55P03"] {
            let trouble = Trouble::said(code, "x");
            assert!(matches!(trouble, Trouble::Passing(_)), "{code}");
        }
        for code in ["23505", "22P02", "42P01", "53100", "57014"] {
            let trouble = Trouble::said(code, "x");
            assert!(matches!(trouble, Trouble::Lasting(_)), "{code}");
        }
    }

    #[tokio::test]
    async fn patience_ends_and_is_not_for_what_lasts() {
        let away = || std::future::ready(Err::<(), _>(Trouble::Passing(Failure::new("away"))));
        let tried = patiently(Duration::ZERO, away).await;
        assert_eq!(tried, Err(Failure::new("away")));
        let wrong = || std::future::ready(Err::<(), _>(Trouble::Lasting(Failure::new("wrong"))));
        let tried = patiently(PATIENCE, wrong).await;
        assert_eq!(tried, Err(Failure::new("wrong")));
        let done = patiently(PATIENCE, || std::future::ready(Ok(7))).await;
        assert_eq!(done, Ok(7));
    }
}
