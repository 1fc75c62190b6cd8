//! Pages that Stripe hosts: Checkout in setup mode, and the Customer Portal.

use super::answer::{CheckoutSession, PortalSession, SetupIntent};
use super::{Failure, Key, ORGANIZATION, Stripe};
use std::collections::HashMap;
use stripe_billing::billing_portal_session::CreateBillingPortalSession;
use stripe_checkout::checkout_session::{CreateCheckoutSession, RetrieveCheckoutSession};
use stripe_core::setup_intent::RetrieveSetupIntent;
use stripe_shared::CheckoutSessionMode;
use stripe_types::Currency;

/// What a page for a card is made of.
#[derive(Debug, Clone)]
pub struct NewCheckout {
    pub customer: String,
    /// Who pays, as its identifier is written.
    pub organization: String,
    /// What the card is wanted for; it comes back with the session.
    pub reference: String,
    pub success_url: String,
    pub cancel_url: String,
}

impl Stripe {
    pub async fn checkout_create(
        &self,
        key: &Key,
        new: &NewCheckout,
    ) -> Result<CheckoutSession, Failure> {
        let metadata = HashMap::from([(ORGANIZATION.to_owned(), new.organization.clone())]);
        let request = CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Setup)
            .currency(Currency::USD)
            .customer(&new.customer)
            .client_reference_id(&new.reference)
            .success_url(&new.success_url)
            .cancel_url(&new.cancel_url)
            .metadata(metadata);
        self.write(key, &request).await
    }

    pub async fn checkout(&self, id: &str) -> Result<CheckoutSession, Failure> {
        self.read(&RetrieveCheckoutSession::new(id)).await
    }

    pub async fn setup_intent(&self, id: &str) -> Result<SetupIntent, Failure> {
        self.read(&RetrieveSetupIntent::new(id)).await
    }

    pub async fn portal_create(
        &self,
        key: &Key,
        customer: &str,
        return_url: &str,
    ) -> Result<PortalSession, Failure> {
        let request = CreateBillingPortalSession::new()
            .customer(customer)
            .return_url(return_url);
        self.write(key, &request).await
    }
}
