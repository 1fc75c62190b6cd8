//! Customers and their cards.

use super::answer::{Customer, Page, PaymentMethod};
use super::{Failure, Key, ORGANIZATION, Stripe};
use std::collections::HashMap;
use stripe_core::customer::{
    CreateCustomer, RetrieveCustomer, SearchCustomer, UpdateCustomer, UpdateCustomerInvoiceSettings,
};
use stripe_payment::payment_method::RetrievePaymentMethod;

/// What a customer is made of.
#[derive(Debug, Clone)]
pub struct NewCustomer {
    /// Who pays, as its identifier is written.
    pub organization: String,
    pub name: String,
    pub email: String,
}

impl Stripe {
    pub async fn customer_create(&self, key: &Key, new: &NewCustomer) -> Result<Customer, Failure> {
        let metadata = HashMap::from([(ORGANIZATION.to_owned(), new.organization.clone())]);
        let request = CreateCustomer::new()
            .name(&new.name)
            .email(&new.email)
            .metadata(metadata);
        self.write(key, &request).await
    }

    pub async fn customer(&self, id: &str) -> Result<Customer, Failure> {
        self.read(&RetrieveCustomer::new(id)).await
    }

    /// The customer of an organization. What was made within the last minute may not be found yet.
    pub async fn customer_find(&self, organization: &str) -> Result<Option<Customer>, Failure> {
        let request = SearchCustomer::new(format!("metadata['{ORGANIZATION}']:'{organization}'"));
        let found: Page<Customer> = self.read(&request).await?;
        Ok(found.data.into_iter().next())
    }

    /// Makes a card the one that invoices are paid with.
    pub async fn customer_set_default(
        &self,
        key: &Key,
        customer: &str,
        payment_method: &str,
    ) -> Result<Customer, Failure> {
        let settings = UpdateCustomerInvoiceSettings {
            default_payment_method: Some(payment_method.to_owned()),
            ..UpdateCustomerInvoiceSettings::new()
        };
        let request = UpdateCustomer::new(customer).invoice_settings(settings);
        self.write(key, &request).await
    }

    pub async fn payment_method(&self, id: &str) -> Result<PaymentMethod, Failure> {
        self.read(&RetrievePaymentMethod::new(id)).await
    }
}
