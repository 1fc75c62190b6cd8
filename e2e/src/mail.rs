//! The mails that a cloud on one machine leaves in its outbox.

use crate::Outcome;
use crate::wait::until;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Waits for a mail to `address` with a link to `path` (such as `/verify`) and gives its token.
pub async fn token_mailed(data_dir: &Path, address: &str, path: &str) -> Outcome<String> {
    let marker = format!("{path}?token=");
    until(
        &format!("a mail to {address} with a link to {path}"),
        Duration::from_secs(30),
        || async { newest_token(&data_dir.join("outbox"), address, &marker) },
    )
    .await
}

/// Waits for a mail to `address` that says `phrase` and gives it as it lies in the outbox, decoded as
/// far as links need it.
pub async fn text_mailed(data_dir: &Path, address: &str, phrase: &str) -> Outcome<String> {
    let what = format!("a mail to {address} that says `{phrase}`");
    until(&what, Duration::from_secs(30), || async {
        let mails = mails(&data_dir.join("outbox"))?;
        let mut texts = mails.into_iter().map(|(_, mail)| mail);
        Ok(texts.find(|mail| mail.contains(address) && mail.contains(phrase)))
    })
    .await
}

/// How many mails with this subject went to `address`.
pub fn sent(data_dir: &Path, address: &str, subject: &str) -> Outcome<usize> {
    let line = format!("Subject: {subject}");
    let mails = mails(&data_dir.join("outbox"))?.into_iter();
    Ok(mails
        .filter(|(_, mail)| mail.contains(address) && mail.contains(&line))
        .count())
}

/// When each mail was written, and what it says.
fn mails(outbox: &Path) -> Outcome<Vec<(SystemTime, String)>> {
    let mut mails = Vec::new();
    for entry in std::fs::read_dir(outbox)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|kind| kind == "eml") {
            let mail = decoded(&std::fs::read_to_string(entry.path())?);
            mails.push((entry.metadata()?.modified()?, mail));
        }
    }
    Ok(mails)
}

fn newest_token(outbox: &Path, address: &str, marker: &str) -> Outcome<Option<String>> {
    let mut newest = None;
    for (written, mail) in mails(outbox)? {
        if !mail.contains(address) {
            continue;
        }
        let Some((_, rest)) = mail.split_once(marker) else {
            continue;
        };
        let end = rest
            .find(|letter: char| !letter.is_ascii_alphanumeric() && !"_-.~".contains(letter))
            .unwrap_or(rest.len());
        if newest.as_ref().is_none_or(|(time, _)| written > *time) {
            newest = Some((written, rest[..end].to_owned()));
        }
    }
    Ok(newest.map(|(_, token)| token))
}

/// Undoes quoted-printable, as far as links need it.
fn decoded(mail: &str) -> String {
    mail.replace("=\r\n", "")
        .replace("=\n", "")
        .replace("=3D", "=")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_folded_link_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("1.eml"),
            "To: a@example.org\r\n\r\nOpen http://localhost:1/verify?token=3Dabc=\r\ndef_1 now",
        )
        .unwrap();
        let token = newest_token(folder.path(), "a@example.org", "/verify?token=").unwrap();
        assert_eq!(token.as_deref(), Some("abcdef_1"));
    }
}
