//! A change of the master key, as the platform's administrator makes it: what the tables hold is
//! wrapped anew, and no object is.
//!
//! Every step may be cut off and done again, by two at once too: a key is replaced only if it is still
//! wrapped as it was read.

use super::keys::ArchiveKeyError;
use crate::identity::master_keys::MasterKeys;
use crate::identity::{SealKey, random};
use crate::store::Store;
use crate::store::master_key::{self, WrappedRow};
use crate::store::setup::Setup;
use lumadb_contract::key_chain::{
    Key, KeyChain, WrappedKey, organization_key_rewrap, seal_key_unwrap, seal_key_wrap,
};
use time::OffsetDateTime;

/// Keys of organizations that are read at a time.
const ORGANIZATIONS_MAX: i64 = 100;

/// Names the active master key in the tables and sees to it that there is a key to seal with. To be
/// done before anybody is served.
pub async fn keys_ensure(
    setup: &mut Setup,
    keys: &MasterKeys,
    now: OffsetDateTime,
) -> Result<(), ArchiveKeyError> {
    let active = keys.active()?;
    let fingerprint = active.fingerprint();
    setup.master_key_name(&fingerprint, now).await?;
    if setup.seal_key().await?.is_some() {
        return Ok(());
    }
    let key = if setup.has_sealed().await? {
        // Before there was a key for that alone, the master key of that time sealed.
        let others = setup.organization_keys_other(&fingerprint, 1).await?;
        match others.first() {
            Some((_, other)) => keys.find(&other.master_key)?,
            None => active.clone(),
        }
    } else {
        Key::new(random::bytes()?)
    };
    let row = seal_key_row(&active, &key)?;
    Ok(setup.seal_key_insert(&row).await?)
}

fn seal_key_row(master: &Key, key: &Key) -> Result<WrappedRow, ArchiveKeyError> {
    Ok(WrappedRow {
        master_key: master.fingerprint(),
        wrapped_key: seal_key_wrap(master, key, random::bytes()?)?.0,
    })
}

/// What secrets in the tables are sealed with.
pub async fn seal_key(store: &Store, keys: &MasterKeys) -> Result<SealKey, ArchiveKeyError> {
    let row = master_key::seal_key(store).await?;
    let row = row.ok_or(ArchiveKeyError::NoSealKey)?;
    Ok(SealKey::from_bytes(seal_key_open(&row, keys)?.bytes())?)
}

fn seal_key_open(row: &WrappedRow, keys: &MasterKeys) -> Result<Key, ArchiveKeyError> {
    let master = keys.find(&row.master_key)?;
    let wrapped = WrappedKey(row.wrapped_key.clone());
    Ok(seal_key_unwrap(&master, &wrapped)?)
}

/// Wraps by the active master key what another one wraps; answers of how many organizations.
pub async fn rewrap(
    setup: &mut Setup,
    keys: &MasterKeys,
    now: OffsetDateTime,
) -> Result<u64, ArchiveKeyError> {
    let active = keys.active()?;
    let fingerprint = active.fingerprint();
    setup.master_key_name(&fingerprint, now).await?;
    if let Some(before) = setup.seal_key().await?
        && before.master_key != fingerprint
    {
        let after = seal_key_row(&active, &seal_key_open(&before, keys)?)?;
        setup.seal_key_replace(&before, &after).await?;
    }
    let mut count = 0;
    loop {
        let others = setup.organization_keys_other(&fingerprint, ORGANIZATIONS_MAX);
        let others = others.await?;
        if others.is_empty() {
            return Ok(count);
        }
        for (organization, before) in others {
            let old = keys.find(&before.master_key)?;
            let wrapped = WrappedKey(before.wrapped_key.clone());
            let wrapped =
                organization_key_rewrap(&old, &active, organization, &wrapped, random::bytes()?)?;
            let after = WrappedRow {
                master_key: fingerprint.clone(),
                wrapped_key: wrapped.0,
            };
            setup
                .organization_key_replace(organization, &before, &after, now)
                .await?;
            count += 1;
        }
    }
}

/// The same archive's keys under the active master key; `None`: they are already.
pub fn chain_rewrap(
    keys: &MasterKeys,
    chain: &KeyChain,
) -> Result<Option<KeyChain>, ArchiveKeyError> {
    let active = keys.active()?;
    if chain.master_key == active.fingerprint() {
        return Ok(None);
    }
    let old = keys.find(&chain.master_key)?;
    Ok(Some(chain.rewrap(&old, &active, random::bytes()?)?))
}
