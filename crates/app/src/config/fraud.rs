//! How much one customer may do (contract 4).

use std::time::Duration;

use domain::money::parse_amount_minor;

use super::orders::AMOUNT;
use super::reader::{Noted, Reader};

/// `[fraud]`
#[derive(Debug, Clone)]
pub struct FraudSettings {
    /// Unpaid `PENDING` orders at any time.
    pub max_pending_orders: u32,
    /// The customer's own cancellations in 24 h.
    pub max_daily_cancellations: u32,
    /// Orders that expired unpaid in 24 h.
    pub max_daily_expiries: u32,
    /// Units of one product in 24 h; `None` is off.
    pub max_units_per_product: Option<u32>,
    /// `None` is off.
    pub account_age: Option<AccountAgeRule>,
}

/// How old an account must be for an order above a total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountAgeRule {
    /// The least age.
    pub min_age: Duration,
    /// Orders up to this total, in minor units, are free.
    pub above_total_minor: i64,
}

impl FraudSettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let max_pending_orders = reader.integer("fraud.max_pending_orders", 1..=10_000);
        let max_daily_cancellations = reader.integer("fraud.max_daily_cancellations", 0..=10_000);
        let max_daily_expiries = reader.integer("fraud.max_daily_expiries", 1..=10_000);
        let max_units_per_product = reader.optional_integer("fraud.max_units_per_product", 1..=1_000_000);
        let account_age = AccountAgeRule::read(reader);
        Ok(Self {
            max_pending_orders: max_pending_orders?,
            max_daily_cancellations: max_daily_cancellations?,
            max_daily_expiries: max_daily_expiries?,
            max_units_per_product: max_units_per_product?,
            account_age: account_age?,
        })
    }
}

impl AccountAgeRule {
    fn read(reader: &mut Reader) -> Result<Option<Self>, Noted> {
        let min_age = reader.optional_integer("fraud.min_account_age_seconds", 1..=31_536_000);
        let above_total_minor = reader
            .optional("fraud.min_age_above_total", &format!("{AMOUNT}, or off"), |text| parse_amount_minor(text).ok());
        match (min_age?, above_total_minor?) {
            (Some(seconds), Some(above_total_minor)) => {
                Ok(Some(Self { min_age: Duration::from_secs(seconds), above_total_minor }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => {
                let why = "APP__FRAUD__MIN_ACCOUNT_AGE_SECONDS is: set both or neither; 0.00 is every order";
                Err(reader.missing("fraud.min_age_above_total", why))
            }
            (None, Some(_)) => {
                let why = "APP__FRAUD__MIN_AGE_ABOVE_TOTAL is: set both or neither";
                Err(reader.missing("fraud.min_account_age_seconds", why))
            }
        }
    }
}
