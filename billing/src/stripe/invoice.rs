//! Invoices: each step of their sending, and looking them up.

use super::answer::{Invoice, Page};
use super::lines::SentLine;
use super::{Failure, INVOICE, Key, PAGE_SIZE, Stripe};
use std::collections::HashMap;
use stripe_billing::invoice::{
    AddLinesInvoice, AddLinesInvoiceLines, AddLinesInvoiceLinesTaxAmounts,
    AddLinesInvoiceLinesTaxAmountsTaxRateData, CreateInvoice,
    CreateInvoicePendingInvoiceItemsBehavior, FinalizeInvoiceInvoice, ListInvoice, PayInvoice,
    Period, RetrieveInvoice, UpdateInvoice, VoidInvoiceInvoice,
};
use stripe_shared::InvoiceCollectionMethod;
use stripe_types::{Currency, RangeQueryTs};

/// What a draft is made of.
#[derive(Debug, Clone)]
pub struct NewInvoice {
    pub customer: String,
    /// Our invoice, as its identifier is written.
    pub invoice: String,
    /// Above the lines.
    pub description: String,
}

impl Stripe {
    /// A draft that Stripe leaves alone.
    pub async fn invoice_create(&self, key: &Key, new: &NewInvoice) -> Result<Invoice, Failure> {
        let metadata = HashMap::from([(INVOICE.to_owned(), new.invoice.clone())]);
        let request = CreateInvoice::new()
            .customer(&new.customer)
            .currency(Currency::USD)
            .auto_advance(false)
            .collection_method(InvoiceCollectionMethod::ChargeAutomatically)
            .pending_invoice_items_behavior(CreateInvoicePendingInvoiceItemsBehavior::Exclude)
            .description(&new.description)
            .metadata(metadata);
        self.write(key, &request).await
    }

    pub async fn invoice(&self, id: &str) -> Result<Invoice, Failure> {
        self.read(&RetrieveInvoice::new(id)).await
    }

    /// The invoice that was made for one of ours.
    pub async fn invoice_find(
        &self,
        customer: &str,
        invoice: &str,
    ) -> Result<Option<Invoice>, Failure> {
        let mut after = None;
        loop {
            let mut request = ListInvoice::new().customer(customer).limit(PAGE_SIZE);
            if let Some(after) = after.take() {
                request = request.starting_after(after);
            }
            let page: Page<Invoice> = self.read(&request).await?;
            after = page.data.last().map(|last: &Invoice| last.id.clone());
            let has_more = page.has_more;
            // A void one was given up; what stands is the other.
            let mut found = page.data.into_iter();
            if let Some(found) = found.find(|i| i.ours() == Some(invoice) && !i.is("void")) {
                return Ok(Some(found));
            }
            if !has_more || after.is_none() {
                return Ok(None);
            }
        }
    }

    /// Invoices made in a time, in seconds since 1970: one page, after an invoice.
    pub async fn invoices(&self, from: i64, after: Option<&str>) -> Result<Page<Invoice>, Failure> {
        let mut request = ListInvoice::new()
            .created(RangeQueryTs::gte(from))
            .limit(PAGE_SIZE);
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        self.read(&request).await
    }

    pub async fn invoice_add_lines(
        &self,
        key: &Key,
        id: &str,
        lines: &[SentLine],
    ) -> Result<Invoice, Failure> {
        let lines: Vec<AddLinesInvoiceLines> = lines.iter().map(line).collect();
        self.write(key, &AddLinesInvoice::new(id, lines)).await
    }

    pub async fn invoice_set_number(
        &self,
        key: &Key,
        id: &str,
        number: &str,
    ) -> Result<Invoice, Failure> {
        self.write(key, &UpdateInvoice::new(id).number(number))
            .await
    }

    pub async fn invoice_finalize(&self, key: &Key, id: &str) -> Result<Invoice, Failure> {
        let request = FinalizeInvoiceInvoice::new(id).auto_advance(false);
        self.write(key, &request).await
    }

    /// Charges the customer's card.
    pub async fn invoice_pay(&self, key: &Key, id: &str) -> Result<Invoice, Failure> {
        self.write(key, &PayInvoice::new(id).off_session(true))
            .await
    }

    pub async fn invoice_void(&self, key: &Key, id: &str) -> Result<Invoice, Failure> {
        self.write(key, &VoidInvoiceInvoice::new(id)).await
    }
}

fn line(line: &SentLine) -> AddLinesInvoiceLines {
    let tax_amounts = line.tax.as_ref().map(|tax| {
        let rate = AddLinesInvoiceLinesTaxAmountsTaxRateData::new(
            &tax.name,
            false,
            // Stripe reads a decimal number here, and shows it: no amount is calculated with it.
            f64::from(tax.rate_ppm) / 10_000.0,
        );
        vec![AddLinesInvoiceLinesTaxAmounts::new(
            tax.amount.get(),
            rate,
            tax.taxable.get(),
        )]
    });
    AddLinesInvoiceLines {
        amount: Some(line.amount.get()),
        description: Some(line.description.clone()),
        discountable: Some(false),
        period: Some(Period {
            start: line.from.unix_timestamp(),
            end: line.to.unix_timestamp(),
        }),
        tax_amounts,
        ..AddLinesInvoiceLines::new()
    }
}
