//! How a mail leaves: by SMTP, or into a folder that the console shows.

use crate::notify::Mail;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use lumadb_contract::id::OutboxId;
use lumadb_contract::secret::Secret;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;

/// Longest time for one mail.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Permanent refusals that are about us and not about a mail (RFC 4954, section 6): a log-in is
/// asked for, is too weak, is wrong, or needs TLS.
const LOG_IN_CODES: [u16; 4] = [530, 534, 535, 538];

/// Most mails that the outbox page shows.
const SHOWN_MAX: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("the SMTP server's URL is not valid: {0}")]
    Url(String),
    #[error("`{0}` is no sender's address")]
    Sender(String),
    /// It never will be sent.
    #[error("a mail is refused for good: {0}")]
    Permanent(String),
    /// It may be sent later.
    #[error("a mail was not sent: {0}")]
    Temporary(String),
    /// The server does not know us, whatever the mail. It may be sent once that is set right.
    #[error("the mail server refuses our log-in, see `mail.smtp_url_file`: {0}")]
    LogIn(String),
}

impl TransportError {
    /// Whether trying again is of no use.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self, Self::Temporary(_) | Self::LogIn(_))
    }
}

/// Where mails go.
#[derive(Debug, Clone)]
pub enum Transport {
    /// `.eml` files in a folder, shown at `/outbox`.
    Local { folder: PathBuf, from: Mailbox },
    Smtp {
        smtp: AsyncSmtpTransport<Tokio1Executor>,
        from: Mailbox,
    },
}

/// A PDF that goes with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    pub name: String,
    pub content: Vec<u8>,
}

/// A mail that the local transport took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LocalMail {
    pub id: OutboxId,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    #[serde(with = "time::serde::rfc3339")]
    pub sent_at: OffsetDateTime,
}

impl Transport {
    pub fn local(folder: PathBuf, from: &str) -> Result<Self, TransportError> {
        Ok(Self::Local {
            folder,
            from: mailbox(from)?,
        })
    }

    /// `url` is `smtp://user:password@host:port?tls=required`, or `smtps://…`.
    pub fn smtp(url: &Secret, from: &str) -> Result<Self, TransportError> {
        let smtp = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())
            // The text of the error could repeat the password.
            .map_err(|_| TransportError::Url("smtp://user:password@host:port?tls=required".into()))?
            .timeout(Some(SEND_TIMEOUT))
            .build();
        Ok(Self::Smtp {
            smtp,
            from: mailbox(from)?,
        })
    }

    /// Sends a mail under its own identifier.
    pub async fn send(
        &self,
        id: OutboxId,
        mail: &Mail,
        file: Option<&Attached>,
        now: OffsetDateTime,
    ) -> Result<(), TransportError> {
        match self {
            Self::Local { folder, from } => {
                let message = build(id, mail, file, from, now)?;
                let shown = LocalMail {
                    id,
                    to: mail.to.clone(),
                    subject: mail.subject.clone(),
                    text: mail.text.clone(),
                    html: mail.html.clone(),
                    sent_at: now,
                };
                let folder = folder.clone();
                tokio::task::spawn_blocking(move || store(&folder, &message, &shown))
                    .await
                    .map_err(|error| TransportError::Temporary(error.to_string()))?
            }
            Self::Smtp { smtp, from } => {
                let message = build(id, mail, file, from, now)?;
                smtp.send(message).await.map(drop).map_err(|e| refused(&e))
            }
        }
    }
}

fn refused(error: &lettre::transport::smtp::Error) -> TransportError {
    let text = error.to_string();
    let code = error.status().map(u16::from);
    if code.is_some_and(|code| LOG_IN_CODES.contains(&code)) {
        TransportError::LogIn(text)
    } else if error.is_permanent() {
        TransportError::Permanent(text)
    } else {
        TransportError::Temporary(text)
    }
}

fn mailbox(text: &str) -> Result<Mailbox, TransportError> {
    text.parse()
        .map_err(|_| TransportError::Sender(text.to_owned()))
}

fn build(
    id: OutboxId,
    mail: &Mail,
    file: Option<&Attached>,
    from: &Mailbox,
    now: OffsetDateTime,
) -> Result<Message, TransportError> {
    let permanent = |error: String| TransportError::Permanent(error);
    let to: Mailbox = mail
        .to
        .parse()
        .map_err(|_| permanent("the recipient's address is not valid".into()))?;
    let words = MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone());
    let parts = match file {
        None => words,
        Some(file) => {
            let kind = ContentType::parse("application/pdf")
                .map_err(|error| permanent(error.to_string()))?;
            let file = Attachment::new(file.name.clone()).body(file.content.clone(), kind);
            MultiPart::mixed().multipart(words).singlepart(file)
        }
    };
    Message::builder()
        .from(from.clone())
        .to(to)
        .subject(&mail.subject)
        .date(now.into())
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .multipart(parts)
        .map_err(|error| permanent(error.to_string()))
}

fn store(folder: &Path, message: &Message, shown: &LocalMail) -> Result<(), TransportError> {
    let temporary = |error: std::io::Error| TransportError::Temporary(error.to_string());
    std::fs::create_dir_all(folder).map_err(temporary)?;
    let json =
        serde_json::to_vec(shown).map_err(|error| TransportError::Permanent(error.to_string()))?;
    for (extension, content) in [("eml", message.formatted()), ("json", json)] {
        let path = folder.join(format!("{}.{extension}", shown.id));
        let beside = folder.join(format!(".{}.{extension}", shown.id));
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(&content))
            .and_then(|()| std::fs::rename(&beside, &path))
            .map_err(temporary)?;
    }
    Ok(())
}

/// The latest mails of the local transport, newest first.
pub fn read_local(folder: &Path) -> Vec<LocalMail> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
        })
        .collect();
    // Identifiers sort by time.
    names.sort_unstable_by(|a, b| b.cmp(a));
    names
        .iter()
        .take(SHOWN_MAX)
        .filter_map(|path| std::fs::read(path).ok())
        .filter_map(|content| serde_json::from_slice(&content).ok())
        .collect()
}
