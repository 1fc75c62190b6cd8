//! `lumadb-cloud stripe-fake`: stands in for Stripe where no key of an account is given, so that an
//! upgrade can be tried with a test card.

use super::{ServiceError, StopSignals, read};
use crate::config::Config;
use crate::keys::KeyFiles;
use crate::up::reachable;
use lumadb_contract::secret::Secret;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_stripe_fake::faults::Faults;
use lumadb_stripe_fake::{Clock, Fake, serve};
use tokio::net::TcpListener;

/// Where the API takes Stripe's webhooks.
const WEBHOOK_PATH: &str = "/v1/stripe/webhook";

/// Longest time that a webhook is kept back where things go wrong on purpose.
const HELD: std::time::Duration = std::time::Duration::from_secs(5);

pub(crate) async fn run(data: &DataFolder, config: &Config) -> Result<(), ServiceError> {
    let mut signals = StopSignals::listen()?;
    let address = config.stripe.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServiceError::Listen { address, source })?;
    let files = KeyFiles::new(data.keys());
    let secret = |path| Ok::<_, ServiceError>(Secret::new(read(path)?.trim()));
    let api = reachable(config.http.listen);
    let fake = Fake::open(lumadb_stripe_fake::Config {
        folder: Some(data.root().join("stripe-fake")),
        secret_key: secret(files.stripe_fake())?,
        webhook_secret: secret(files.stripe_fake_webhook())?,
        webhook_url: Some(format!("http://{api}{WEBHOOK_PATH}")),
        public_url: format!("http://{}", reachable(address)),
        clock: Clock::system(),
        faults: Faults {
            percent: config.stripe.test_server_faults,
            seed: std::process::id().into(),
            ..Faults::default()
        },
    })?;
    tracing::info!(%address, "a test server stands in for Stripe");
    if config.stripe.test_server_faults > 0 {
        tokio::spawn(release(fake.clone()));
    }
    let told = async move {
        signals.told().await;
    };
    serve(fake, listener, told).await?;
    Ok(())
}

/// Webhooks that are late on purpose come at last, the latest first.
async fn release(fake: Fake) {
    loop {
        tokio::time::sleep(HELD).await;
        fake.release();
    }
}
