//! `lumadb-cloud s3`: the S3 server that holds the databases' archives, where no other one does.

use super::{ServiceError, StopSignals, read};
use crate::config::Config;
use crate::keys::KeyFiles;
use lumadb_contract::secret::Secret;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_s3_server::serve;
use tokio::net::TcpListener;

/// Bucket of all archives.
pub(super) const BUCKET: &str = "lumadb";

/// Access key ID of the key that may do all; nodes get keys of one archive each.
pub(super) const ROOT_ACCESS_KEY_ID: &str = "root";

pub(crate) async fn run(data: &DataFolder, config: &Config) -> Result<(), ServiceError> {
    let mut signals = StopSignals::listen()?;
    let address = config.object_store.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServiceError::Listen { address, source })?;
    let server = server(data)?;
    tracing::info!(%address, "the object store serves");
    let told = async {
        signals.told().await;
    };
    serve(server, listener, told).await?;
    Ok(())
}

/// Our own server on a data folder.
pub(crate) fn server(data: &DataFolder) -> Result<lumadb_s3_server::Config, ServiceError> {
    let secret = read(KeyFiles::new(data.keys()).object_store())?;
    let mut server = lumadb_s3_server::Config::new(
        data.object_store(),
        ROOT_ACCESS_KEY_ID,
        Secret::new(secret.trim()),
    );
    server.buckets.push(BUCKET.to_owned());
    Ok(server)
}
