//! Stripe's test cards, as its documentation lists them.

use serde::{Deserialize, Serialize};

/// What a card does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Behavior {
    Good,
    /// Cannot be saved, and not be charged either.
    Declined,
    InsufficientFunds,
    Expired,
    /// Can be saved; each charge is declined.
    DeclinedLater,
    /// Its bank asks the holder when it is saved, and then no more.
    AskedOnce,
    /// Its bank asks the holder at each payment.
    AskedAlways,
    /// Pays, and the payment is disputed.
    Disputed,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct TestCard {
    pub(crate) number: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) behavior: Behavior,
    /// Name by which it can be attached without its number.
    pub(crate) token: &'static str,
    pub(crate) what: &'static str,
}

const fn card(
    number: &'static str,
    brand: &'static str,
    behavior: Behavior,
    token: &'static str,
    what: &'static str,
) -> TestCard {
    TestCard {
        number,
        brand,
        behavior,
        token,
        what,
    }
}

pub(crate) const CARDS: [TestCard; 9] = [
    card(
        "4242424242424242",
        "visa",
        Behavior::Good,
        "pm_card_visa",
        "Pays",
    ),
    card(
        "5555555555554444",
        "mastercard",
        Behavior::Good,
        "pm_card_mastercard",
        "Pays",
    ),
    card(
        "4000000000000002",
        "visa",
        Behavior::Declined,
        "pm_card_visa_chargeDeclined",
        "Is declined",
    ),
    card(
        "4000000000009995",
        "visa",
        Behavior::InsufficientFunds,
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "Has no funds",
    ),
    card(
        "4000000000000069",
        "visa",
        Behavior::Expired,
        "pm_card_chargeDeclinedExpiredCard",
        "Has expired",
    ),
    card(
        "4000000000000341",
        "visa",
        Behavior::DeclinedLater,
        "pm_card_chargeCustomerFail",
        "Can be saved; payments are declined",
    ),
    card(
        "4000002500003155",
        "visa",
        Behavior::AskedOnce,
        "pm_card_authenticationRequiredOnSetup",
        "Asks its holder when it is saved",
    ),
    card(
        "4000002760003184",
        "visa",
        Behavior::AskedAlways,
        "pm_card_authenticationRequired",
        "Asks its holder at each payment",
    ),
    card(
        "4000000000000259",
        "visa",
        Behavior::Disputed,
        "pm_card_createDispute",
        "Pays, and the payment is disputed",
    ),
];

/// The card of a number, with or without blanks.
pub(crate) fn by_number(number: &str) -> Option<TestCard> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    CARDS.into_iter().find(|card| card.number == digits)
}

pub(crate) fn by_token(token: &str) -> Option<TestCard> {
    CARDS.into_iter().find(|card| card.token == token)
}

impl Behavior {
    /// Why it cannot be saved: code and decline code.
    pub(crate) fn setup_error(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Self::Declined => Some(("card_declined", Some("generic_decline"))),
            Self::InsufficientFunds => Some(("card_declined", Some("insufficient_funds"))),
            Self::Expired => Some(("expired_card", None)),
            _ => None,
        }
    }

    /// Why it does not pay.
    pub(crate) fn charge_error(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Self::DeclinedLater => Some(("card_declined", Some("generic_decline"))),
            other => other.setup_error(),
        }
    }
}
