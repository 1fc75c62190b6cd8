//! The account at Stripe: its keys from files or variables, or those of the server that stands in.

use super::{ServiceError, read};
use crate::config::{SECRET_KEY_VARIABLE, Stripe, WEBHOOK_SECRET_VARIABLE};
use crate::keys::KeyFiles;
use crate::up::reachable;
use lumadb_billing::stripe::Stripe as Client;
use lumadb_contract::secret::Secret;
use lumadb_control_plane::collect::Account;
use std::path::PathBuf;

/// `None`: nobody's card is charged.
pub(super) fn account(files: &KeyFiles, config: &Stripe) -> Result<Option<Account>, ServiceError> {
    if config.is_stand_in() {
        let address = format!("http://{}", reachable(config.listen));
        let key = secret(files.stripe_fake())?;
        return Ok(Some(Account {
            stripe: Client::new(&key, Some(&address))?,
            webhook_secret: Some(secret(files.stripe_fake_webhook())?),
        }));
    }
    let Some(key) = given(config.secret_key_file.as_ref(), SECRET_KEY_VARIABLE)? else {
        return Ok(None);
    };
    Ok(Some(Account {
        stripe: Client::new(&key, None)?,
        webhook_secret: given(config.webhook_secret_file.as_ref(), WEBHOOK_SECRET_VARIABLE)?,
    }))
}

/// A secret from its file, or from its variable.
fn given(file: Option<&PathBuf>, variable: &str) -> Result<Option<Secret>, ServiceError> {
    match file {
        Some(path) => secret(path.clone()).map(Some),
        None => Ok(std::env::var(variable)
            .ok()
            .map(|text| Secret::new(text.trim()))),
    }
}

fn secret(path: PathBuf) -> Result<Secret, ServiceError> {
    Ok(Secret::new(read(path)?.trim()))
}
