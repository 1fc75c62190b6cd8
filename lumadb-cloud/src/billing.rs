//! `lumadb-cloud billing`: what the platform's owner says about money.

use crate::config::Config;
use crate::service;
use clap::{Subcommand, ValueEnum};
use lumadb_billing::exact::Ppm;
use lumadb_billing::invoice::{CreditedLine, Tax};
use lumadb_contract::id::OrganizationId;
use lumadb_contract::money::Cents;
use lumadb_control_plane::app::billing::{self, CollectionMode};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use std::path::PathBuf;

/// Connections of this process to the control plane's database.
const CONNECTIONS_MAX: u32 = 2;

#[derive(Debug, Subcommand)]
pub(crate) enum Billing {
    /// Money came for an invoice
    Paid {
        /// Such as INV-2026-000001
        number: String,
        /// Names the payment, such as the transfer's; said twice, it is booked once
        #[arg(long)]
        reference: String,
        /// Dollars, such as 29.00 [default: what is outstanding]
        #[arg(long)]
        amount: Option<Cents>,
    },
    /// An invoice was never owed
    Void { number: String },
    /// Take back a part of a line of an invoice
    CreditNote {
        number: String,
        /// Position of the line, from 0 on
        #[arg(long)]
        line: usize,
        /// Dollars
        #[arg(long)]
        amount: Cents,
        #[arg(long)]
        reason: String,
    },
    /// Grant an organization money for later invoices
    Credit {
        organization: OrganizationId,
        /// Dollars
        #[arg(long)]
        amount: Cents,
        #[arg(long)]
        reason: String,
    },
    /// Say how an organization is taxed, from the next invoice on
    Tax {
        organization: OrganizationId,
        kind: TaxKind,
        /// As invoices call it
        #[arg(long, default_value = "VAT")]
        name: String,
        /// Parts per million of the net amount: 190000 is 19 %
        #[arg(long, default_value_t = 0)]
        ppm: u32,
    },
    /// Say how an organization's invoices are paid, from the next one on
    Collection {
        organization: OrganizationId,
        mode: Mode,
    },
    /// Put an organization on a plan with an agreement, from now on
    Agree {
        organization: OrganizationId,
        plan: String,
        /// JSON: `fee` (cents), `prices`, `included`, `discount` (parts per million), `minimum`
        /// (cents)
        #[arg(long, value_name = "FILE")]
        agreement: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TaxKind {
    None,
    Rate,
    ReverseCharge,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Mode {
    Manual,
    Stripe,
}

/// Does it, and says what came of it.
pub(crate) async fn run(
    data: &DataFolder,
    config: &Config,
    asked: Billing,
) -> Result<(), Box<dyn std::error::Error>> {
    let platform = service::platform(data, config, CONNECTIONS_MAX).await?;
    match asked {
        Billing::Paid {
            number,
            reference,
            amount,
        } => {
            let row = billing::owner_paid(&platform, &number, &reference, amount).await?;
            println!(
                "{number} is {}; {} are outstanding",
                row.state.as_str(),
                row.outstanding_cents
            );
        }
        Billing::Void { number } => {
            let row = billing::owner_void(&platform, &number).await?;
            println!("{number} is {}", row.state.as_str());
        }
        Billing::CreditNote {
            number,
            line,
            amount,
            reason,
        } => {
            let line = CreditedLine { line, amount };
            let note = billing::owner_credit_note(&platform, &number, line, &reason).await?;
            println!("{} over {}", note.number, note.total);
        }
        Billing::Credit {
            organization,
            amount,
            reason,
        } => {
            let id = billing::owner_credit(&platform, organization, amount, &reason, None).await?;
            println!("{id}");
        }
        Billing::Tax {
            organization,
            kind,
            name,
            ppm,
        } => {
            let tax = match kind {
                TaxKind::None => Tax::None,
                TaxKind::ReverseCharge => Tax::ReverseCharge,
                TaxKind::Rate => Tax::Rate {
                    name,
                    rate: Ppm::try_from(ppm)?,
                },
            };
            billing::owner_customer(&platform, organization, Some(tax), None).await?;
        }
        Billing::Collection { organization, mode } => {
            let mode = match mode {
                Mode::Manual => CollectionMode::Manual,
                Mode::Stripe => CollectionMode::Stripe,
            };
            billing::owner_customer(&platform, organization, None, Some(mode)).await?;
        }
        Billing::Agree {
            organization,
            plan,
            agreement,
        } => {
            let agreement = match agreement {
                Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
                None => lumadb_billing::rating::Agreement::default(),
            };
            let invoice = billing::owner_agree(&platform, organization, &plan, &agreement).await?;
            if let Some(invoice) = invoice {
                println!("{} over {}", invoice.number, invoice.total_cents);
            }
        }
    }
    Ok(())
}
