//! Credits: money that an organization was granted, taken off its invoices before tax.

use super::InvoiceError;
use lumadb_contract::id::CreditId;
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

/// What is left of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    pub id: CreditId,
    pub remaining: Cents,
    /// Not used from then on.
    pub expires_at: Option<OffsetDateTime>,
}

/// What an invoice took of a credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditUse {
    pub credit: CreditId,
    pub amount: Cents,
}

/// Pays `sum` with credits as far as they go: the one that expires first, first.
pub(super) fn apply(
    credits: &[Credit],
    sum: Cents,
    at: OffsetDateTime,
) -> Result<Vec<CreditUse>, InvoiceError> {
    let mut ordered: Vec<&Credit> = credits
        .iter()
        .filter(|credit| credit.expires_at.is_none_or(|expires_at| at < expires_at))
        .collect();
    ordered.sort_by_key(|credit| (credit.expires_at.is_none(), credit.expires_at, credit.id));
    let mut left = sum.max(Cents::ZERO);
    let mut uses = Vec::new();
    for credit in ordered {
        let amount = credit.remaining.min(left);
        if amount > Cents::ZERO {
            left = left.checked_sub(amount).ok_or(InvoiceError::OutOfRange)?;
            uses.push(CreditUse {
                credit: credit.id,
                amount,
            });
        }
    }
    Ok(uses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use uuid::Uuid;

    fn credit(id: u128, cents: i64, expires_at: Option<OffsetDateTime>) -> Credit {
        Credit {
            id: CreditId::from_uuid(Uuid::from_u128(id)),
            remaining: Cents::new(cents),
            expires_at,
        }
    }

    fn used(credits: &[Credit], sum: i64) -> Vec<(u128, i64)> {
        let at = datetime!(2026-12-01 0:00 UTC);
        apply(credits, Cents::new(sum), at)
            .expect("in range")
            .iter()
            .map(|used| (used.credit.uuid().as_u128(), used.amount.get()))
            .collect()
    }

    #[test]
    fn the_credit_that_expires_first_is_used_first() {
        let credits = [
            credit(1, 500, None),
            credit(2, 300, Some(datetime!(2027-06-01 0:00 UTC))),
            credit(3, 200, Some(datetime!(2027-01-01 0:00 UTC))),
            credit(4, 900, Some(datetime!(2026-12-01 0:00 UTC))),
            credit(5, 0, Some(datetime!(2026-12-02 0:00 UTC))),
        ];
        assert_eq!(used(&credits, 600), [(3, 200), (2, 300), (1, 100)]);
        assert_eq!(used(&credits, 150), [(3, 150)]);
        assert_eq!(used(&credits, 5000), [(3, 200), (2, 300), (1, 500)]);
        assert_eq!(used(&credits, 0), []);
        assert_eq!(used(&credits, -100), []);
    }
}
