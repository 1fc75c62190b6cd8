//! Who sells, and who collects.

use lumadb_control_plane::app::billing::{Party, Seller};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What customers pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Billing {
    /// For developers: billing's clock may be moved ahead, to see a month end.
    pub(crate) clock_moves: bool,
    /// Who sells, as invoices say it.
    pub(crate) seller_name: String,
    /// Line by line.
    pub(crate) seller_address: Vec<String>,
    /// With its kind, such as `VAT IE1234567T`.
    pub(crate) seller_tax_id: Option<String>,
    pub(crate) seller_email: Option<String>,
    /// Where transfers go, such as `IBAN: IE29 AIBK 9311 5212 3456 78`; without any, invoices say
    /// nothing of transfers.
    pub(crate) transfer_account: Vec<String>,
}

impl Default for Billing {
    fn default() -> Self {
        Self {
            clock_moves: false,
            seller_name: Seller::default().party.name,
            seller_address: Vec::new(),
            seller_tax_id: None,
            seller_email: None,
            transfer_account: Vec::new(),
        }
    }
}

impl Billing {
    pub(crate) fn seller(&self) -> Seller {
        let account = self.transfer_account.iter().map(|line| {
            let (label, value) = line.split_once(':').unwrap_or(("Account", line));
            (label.trim().to_owned(), value.trim().to_owned())
        });
        Seller {
            party: Party {
                name: self.seller_name.clone(),
                address: self.seller_address.clone(),
                tax_id: self.seller_tax_id.clone(),
                email: self.seller_email.clone(),
            },
            account: account.collect(),
        }
    }
}

/// Who collects what is owed: Stripe, where its keys are given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stripe {
    /// File that holds the account's secret key, `sk_…`. The variable `LUMADB_STRIPE_SECRET_KEY`
    /// may hold it instead.
    pub(crate) secret_key_file: Option<PathBuf>,
    /// File that holds the secret of the webhook's endpoint, `whsec_…`. The variable
    /// `LUMADB_STRIPE_WEBHOOK_SECRET` may hold it instead.
    pub(crate) webhook_secret_file: Option<PathBuf>,
    /// Without a key, whether a server of our own stands in, which knows test cards alone. Without
    /// that too, nobody's card is charged: invoices are paid by transfer.
    pub(crate) test_server: bool,
    /// Of what that server is asked and of its webhooks, so many percent go wrong on purpose.
    pub(crate) test_server_faults: u8,
    /// Where it listens, for this machine's browser.
    pub(crate) listen: SocketAddr,
}

impl Default for Stripe {
    fn default() -> Self {
        Self {
            secret_key_file: None,
            webhook_secret_file: None,
            test_server: true,
            test_server_faults: 0,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

impl Stripe {
    /// Whether the server of our own stands in.
    pub(crate) fn is_stand_in(&self) -> bool {
        let given = std::env::var_os(super::SECRET_KEY_VARIABLE).is_some();
        self.test_server && self.secret_key_file.is_none() && !given
    }
}
