//! An organization as one who pays: address, tax, spend cap, budgets, how it stands.

use super::{CollectionMode, Standing, gone};
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change};
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::billing::customer::{self, CustomerChange, CustomerRow};
use lumadb_billing::invoice::Tax;
use lumadb_contract::id::OrganizationId;
use lumadb_contract::money::Cents;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

const NAME_CHARACTERS_MAX: usize = 200;
const EMAIL_BYTES: std::ops::RangeInclusive<usize> = 3..=254;
const ADDRESS_CHARACTERS_MAX: usize = 100;
const TAX_ID_CHARACTERS_MAX: usize = 50;
const BUDGETS_MAX: usize = 10;
/// Largest amount that a cap or a budget may say: ten million dollars.
const AMOUNT_CENTS_MAX: i64 = 1_000_000_000;

/// A postal address; what is not known is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Address {
    #[schema(max_length = 100)]
    pub line1: String,
    #[schema(max_length = 100)]
    pub line2: String,
    #[schema(max_length = 100)]
    pub city: String,
    #[schema(max_length = 100)]
    pub postal_code: String,
    #[schema(max_length = 100)]
    pub state: String,
    /// ISO 3166-1: two letters, or empty.
    #[schema(max_length = 2)]
    pub country: String,
}

/// How an organization is taxed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TaxView {
    /// Not at all.
    None,
    /// By a rate on the net amount.
    Rate {
        /// As invoices call it.
        name: String,
        /// Parts per million: 8.875 % are 88,750.
        rate_ppm: u32,
    },
    /// The customer owes the tax.
    ReverseCharge,
}

impl From<&Tax> for TaxView {
    fn from(tax: &Tax) -> Self {
        match tax {
            Tax::None => Self::None,
            Tax::Rate { name, rate } => Self::Rate {
                name: name.clone(),
                rate_ppm: rate.get(),
            },
            Tax::ReverseCharge => Self::ReverseCharge,
        }
    }
}

/// An organization as one who pays.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BillingAccount {
    pub organization_id: OrganizationId,
    pub plan_id: String,
    pub collection: CollectionMode,
    pub standing: Standing,
    #[serde(with = "time::serde::rfc3339")]
    pub standing_since: OffsetDateTime,
    /// As invoices name it; null: as the organization is called.
    #[schema(required = true)]
    pub name: Option<String>,
    /// Where invoices are sent; null: to its owners.
    #[schema(required = true)]
    pub email: Option<String>,
    pub address: Address,
    #[schema(required = true)]
    pub tax_id: Option<String>,
    pub tax: TaxView,
    /// Fees and usage of a month are not billed beyond it, as far as usage goes; null: no cap.
    #[schema(required = true)]
    pub spend_cap_cents: Option<Cents>,
    /// Amounts of a month at which a mail is sent, once each; the smallest first.
    pub budgets_cents: Vec<Cents>,
    /// Counts every change; as `ETag`.
    pub revision: i64,
}

impl From<CustomerRow> for BillingAccount {
    fn from(row: CustomerRow) -> Self {
        Self {
            organization_id: row.organization_id,
            plan_id: row.plan_id,
            collection: row.collection,
            standing: row.standing,
            standing_since: row.standing_since,
            name: row.name,
            email: row.email,
            address: row.address.0,
            tax_id: row.tax_id,
            tax: (&row.tax.0).into(),
            spend_cap_cents: row.spend_cap_cents,
            budgets_cents: row.budgets_cents.into_iter().map(Cents::new).collect(),
            revision: row.revision,
        }
    }
}

/// What to change; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BillingUpdate {
    /// Null: as the organization is called.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub name: Option<Option<String>>,
    /// Null: invoices are sent to the owners.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 254)]
    pub email: Option<Option<String>>,
    #[serde(default, deserialize_with = "crate::app::validate::object")]
    pub address: Option<Address>,
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub tax_id: Option<Option<String>>,
    /// Null: no cap.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000)]
    pub spend_cap_cents: Option<Option<Cents>>,
    /// At most ten.
    #[schema(max_items = 10)]
    pub budgets_cents: Option<Vec<Cents>>,
}

/// Tells a null from a field that is left out.
#[expect(clippy::option_option, reason = "a field is left out, null or a value")]
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

pub async fn billing_get(
    platform: &Platform,
    caller: &Caller,
    id: OrganizationId,
) -> Result<BillingAccount, AppError> {
    let member = authorize(platform, caller, id, Action::BillingRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = customer::find(&mut EitherTx::Tenant(&mut tx), id).await?;
    tx.commit().await?;
    row.map(BillingAccount::from).ok_or_else(gone)
}

/// Changes fields. `check_revision` gets the revision that is there.
pub async fn billing_update(
    platform: &Platform,
    caller: &Caller,
    id: OrganizationId,
    check_revision: impl FnOnce(i64) -> Result<(), AppError>,
    input: BillingUpdate,
) -> Result<BillingAccount, AppError> {
    let member = authorize(platform, caller, id, Action::BillingWrite).await?;
    let Begun::Fresh(mut change) = Change::begin::<()>(platform, caller, member, None).await?
    else {
        return Err(AppError::internal("a change without a key was replayed"));
    };
    let mut tx = EitherTx::Tenant(&mut change);
    let row = customer::lock(&mut tx, id).await?.ok_or_else(gone)?;
    check_revision(row.revision)?;
    let before = unchanged(&row);
    let to = checked(before.clone(), input)?;
    if to == before {
        return Ok(row.into());
    }
    customer::change(&mut tx, id, &to).await?;
    let row = customer::find(&mut tx, id).await?.ok_or_else(gone)?;
    let details = json!({
        "spend_cap_cents": to.spend_cap_cents, "budgets_cents": to.budgets_cents,
        "name": to.name, "email": to.email, "tax_id": to.tax_id, "address": to.address,
    });
    change
        .audit(AuditAction::BillingUpdate, id, details)
        .await?;
    change.commit(row.into()).await
}

fn unchanged(row: &CustomerRow) -> CustomerChange {
    CustomerChange {
        name: row.name.clone(),
        email: row.email.clone(),
        address: row.address.0.clone(),
        tax_id: row.tax_id.clone(),
        spend_cap_cents: row.spend_cap_cents,
        budgets_cents: row.budgets_cents.clone(),
    }
}

fn checked(mut to: CustomerChange, input: BillingUpdate) -> Result<CustomerChange, AppError> {
    let mut fields = FieldErrors::new();
    if let Some(name) = input.name {
        to.name = name.map(|name| fields.display_name("name", &name, NAME_CHARACTERS_MAX));
    }
    if let Some(email) = input.email {
        if let Some(email) = &email {
            let is_one = email.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty() && domain.contains('.') && !domain.contains('@')
            });
            let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | ',' | ';' | '"');
            let good = is_one && EMAIL_BYTES.contains(&email.len()) && email.chars().all(plain);
            fields.check("email", good, "is not an e-mail address");
        }
        to.email = email;
    }
    if let Some(address) = input.address {
        check_address(&mut fields, &address);
        to.address = address;
    }
    if let Some(tax_id) = input.tax_id {
        to.tax_id = tax_id.map(|id| fields.display_name("tax_id", &id, TAX_ID_CHARACTERS_MAX));
    }
    let in_range = |cents: Cents| (0..=AMOUNT_CENTS_MAX).contains(&cents.get());
    let message = format!("is 0 to {AMOUNT_CENTS_MAX}");
    if let Some(cap) = input.spend_cap_cents {
        let good = cap.is_none_or(in_range);
        fields.check("spend_cap_cents", good, message.as_str());
        to.spend_cap_cents = cap;
    }
    if let Some(mut budgets) = input.budgets_cents {
        let good = budgets.iter().copied().all(in_range);
        fields.check("budgets_cents", good, format!("each {message}"));
        let few = budgets.len() <= BUDGETS_MAX;
        fields.check("budgets_cents", few, format!("are at most {BUDGETS_MAX}"));
        budgets.sort_unstable();
        budgets.dedup();
        to.budgets_cents = budgets.into_iter().map(Cents::get).collect();
    }
    fields.finish()?;
    Ok(to)
}

fn check_address(fields: &mut FieldErrors, address: &Address) {
    for (field, text) in [
        ("address.line1", &address.line1),
        ("address.line2", &address.line2),
        ("address.city", &address.city),
        ("address.postal_code", &address.postal_code),
        ("address.state", &address.state),
    ] {
        let short = text.chars().count() <= ADDRESS_CHARACTERS_MAX;
        let good = short && !text.chars().any(char::is_control);
        let message =
            format!("has at most {ADDRESS_CHARACTERS_MAX} characters, none a control one");
        fields.check(field, good, message);
    }
    let country = &address.country;
    let good =
        country.is_empty() || country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
    fields.check(
        "address.country",
        good,
        "is two capital letters, such as DE",
    );
}
