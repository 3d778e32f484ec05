//! Fraud rules as pure policies: each allows, or gives its reason (contract 4). They are asked under the
//! customer's lock, so that no number of parallel requests steps over a limit.

use crate::id::UserId;
use crate::money::Money;

/// How much one customer may do. All counts are per customer; "a day" is the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FraudLimits {
    /// Unpaid `PENDING` orders at any time; 5 unless configured.
    pub max_pending_orders: u32,
    /// The customer's own cancellations in a day; 3 unless configured.
    pub max_daily_cancellations: u32,
    /// Orders that expired unpaid in a day; 10 unless configured.
    pub max_daily_expiries: u32,
    /// Units of one product in orders of a day that stand; `None` is off, and the default.
    pub max_units_per_product: Option<u32>,
    /// `None` is off, and the default.
    pub account_age: Option<AccountAgeRule>,
}

/// How old an account must be before its orders may exceed a total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountAgeRule {
    /// The least age, in seconds.
    pub min_age_seconds: u32,
    /// Orders up to this total are free.
    pub above_total: Money,
}

impl Default for FraudLimits {
    fn default() -> Self {
        Self {
            max_pending_orders: 5,
            max_daily_cancellations: 3,
            max_daily_expiries: 10,
            max_units_per_product: None,
            account_age: None,
        }
    }
}

/// What a customer did lately, counted under their lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CustomerStanding {
    /// Unpaid `PENDING` orders now.
    pub pending_orders: u32,
    /// Own cancellations in the last 24 hours; neither expiries nor an admin's.
    pub daily_cancellations: u32,
    /// Orders that expired unpaid in the last 24 hours.
    pub daily_expiries: u32,
}

/// Which rule refuses, and its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FraudRefusal {
    /// Too many unpaid orders wait already.
    #[error("at most {max} orders may wait for payment; pay or cancel one first")]
    PendingOrders {
        /// The limit.
        max: u32,
    },
    /// Too many orders expired unpaid lately.
    #[error("at most {max} orders may expire unpaid within 24 hours; try again later")]
    DailyExpiries {
        /// The limit.
        max: u32,
    },
    /// Too many own cancellations lately.
    #[error("at most {max} orders may be cancelled within 24 hours; try again later")]
    DailyCancellations {
        /// The limit.
        max: u32,
    },
    /// Too many units of one product lately.
    #[error("at most {max} units of one product may be ordered within 24 hours; {left} are left")]
    Units {
        /// The limit.
        max: u32,
        /// How many may still be ordered.
        left: u32,
    },
    /// The account is too young for so much.
    #[error("an order above {above_total} needs an older account; try again in {wait_seconds} seconds")]
    AccountTooNew {
        /// Orders up to this total are free.
        above_total: Money,
        /// When the account is old enough, in seconds from now.
        wait_seconds: u32,
    },
}

impl FraudRefusal {
    /// The rule's name, for metrics and logs.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::PendingOrders { .. } => "pending_orders",
            Self::DailyExpiries { .. } => "daily_expiries",
            Self::DailyCancellations { .. } => "daily_cancellations",
            Self::Units { .. } => "units_per_product",
            Self::AccountTooNew { .. } => "account_age",
        }
    }

    /// Counts and logs a refusal, so that whoever runs the shop sees who tries what.
    pub(crate) fn report(&self, customer_id: UserId) {
        metrics::counter!("ironcart_fraud_refusals_total", "rule" => self.rule()).increment(1);
        tracing::warn!(customer.id = %customer_id, rule = self.rule(), reason = %self, "a fraud rule refused");
    }
}

impl FraudLimits {
    /// Whether the customer may place another order.
    pub const fn may_place(&self, customer: &CustomerStanding) -> Result<(), FraudRefusal> {
        if customer.pending_orders >= self.max_pending_orders {
            return Err(FraudRefusal::PendingOrders { max: self.max_pending_orders });
        }
        if customer.daily_expiries >= self.max_daily_expiries {
            return Err(FraudRefusal::DailyExpiries { max: self.max_daily_expiries });
        }
        Ok(())
    }

    /// Whether the customer may cancel another order of their own.
    pub const fn may_cancel(&self, customer: &CustomerStanding) -> Result<(), FraudRefusal> {
        if customer.daily_cancellations >= self.max_daily_cancellations {
            return Err(FraudRefusal::DailyCancellations { max: self.max_daily_cancellations });
        }
        Ok(())
    }

    /// Whether the customer may order `wanted` units of a product, after `recent` in orders of the last 24 hours that
    /// stand. Cancelled ones don't count: nobody is held back by what they gave back.
    pub fn may_order_units(&self, recent: u64, wanted: u64) -> Result<(), FraudRefusal> {
        let Some(max) = self.max_units_per_product else { return Ok(()) };
        let left = u64::from(max).saturating_sub(recent);
        if wanted <= left {
            return Ok(());
        }
        Err(FraudRefusal::Units { max, left: u32::try_from(left).unwrap_or(max) })
    }

    /// Whether an account of this age may place an order over `total`.
    pub fn may_spend(&self, account_age_seconds: i64, total: Money) -> Result<(), FraudRefusal> {
        let Some(AccountAgeRule { min_age_seconds, above_total }) = self.account_age else { return Ok(()) };
        let missing_seconds = i64::from(min_age_seconds).saturating_sub(account_age_seconds);
        if total.amount_minor() <= above_total.amount_minor() || missing_seconds <= 0 {
            return Ok(());
        }
        Err(FraudRefusal::AccountTooNew {
            above_total,
            wait_seconds: u32::try_from(missing_seconds).unwrap_or(u32::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    const NOBODY: CustomerStanding = CustomerStanding { pending_orders: 0, daily_cancellations: 0, daily_expiries: 0 };

    #[test]
    fn the_fifth_pending_order_is_allowed_and_the_sixth_is_not() {
        let limits = FraudLimits::default();
        assert_eq!(limits.may_place(&CustomerStanding { pending_orders: 4, ..NOBODY }), Ok(()));
        let sixth = limits.may_place(&CustomerStanding { pending_orders: 5, ..NOBODY });
        assert_eq!(sixth, Err(FraudRefusal::PendingOrders { max: 5 }));
    }

    #[test]
    fn ten_expired_orders_in_a_day_are_enough() {
        let limits = FraudLimits::default();
        assert_eq!(limits.may_place(&CustomerStanding { daily_expiries: 9, ..NOBODY }), Ok(()));
        let refused = limits.may_place(&CustomerStanding { daily_expiries: 10, ..NOBODY });
        assert_eq!(refused, Err(FraudRefusal::DailyExpiries { max: 10 }));
    }

    #[test]
    fn the_third_cancellation_of_a_day_is_allowed_and_the_fourth_is_not() {
        let limits = FraudLimits::default();
        assert_eq!(limits.may_cancel(&CustomerStanding { daily_cancellations: 2, ..NOBODY }), Ok(()));
        let fourth = limits.may_cancel(&CustomerStanding { daily_cancellations: 3, ..NOBODY });
        assert_eq!(fourth, Err(FraudRefusal::DailyCancellations { max: 3 }));
    }

    #[test]
    fn the_units_of_a_day_are_limited_only_if_the_shop_wants_it() {
        assert_eq!(FraudLimits::default().may_order_units(1_000_000, 1000), Ok(()));
        let limits = FraudLimits { max_units_per_product: Some(10), ..FraudLimits::default() };
        for (recent, wanted, left) in
            [(0, 10, None), (7, 3, None), (0, 11, Some(10)), (7, 4, Some(3)), (99, 1, Some(0))]
        {
            let expected = left.map_or(Ok(()), |left| Err(FraudRefusal::Units { max: 10, left }));
            assert_eq!(limits.may_order_units(recent, wanted), expected, "{recent} and {wanted}");
        }
    }

    #[test]
    fn a_young_account_orders_little_only_if_the_shop_wants_it() {
        let usd = |minor| Money::from_minor(minor, Currency::USD);
        assert_eq!(FraudLimits::default().may_spend(0, usd(i64::MAX)), Ok(()));
        let account_age = Some(AccountAgeRule { min_age_seconds: 3600, above_total: usd(10_000) });
        let limits = FraudLimits { account_age, ..FraudLimits::default() };
        let too_new = |wait_seconds| Err(FraudRefusal::AccountTooNew { above_total: usd(10_000), wait_seconds });
        for (age, total, expected) in [
            (0, 10_000, Ok(())),
            (0, 10_001, too_new(3600)),
            (3599, 10_001, too_new(1)),
            (3600, 10_001, Ok(())),
            // A clock that was set back makes nobody older.
            (-60, 10_001, too_new(3660)),
        ] {
            assert_eq!(limits.may_spend(age, usd(total)), expected, "{age} s, {total}");
        }
    }

    #[test]
    fn cancelling_is_not_limited_by_what_limits_ordering() {
        let busy = CustomerStanding { pending_orders: 99, daily_expiries: 99, daily_cancellations: 0 };
        assert_eq!(FraudLimits::default().may_cancel(&busy), Ok(()));
    }
}
