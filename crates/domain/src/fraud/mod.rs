//! Fraud rules as pure policies: each allows, or gives its reason (contract 4). They are asked under the
//! customer's lock, so that no number of parallel requests steps over a limit.

/// How much one customer may do. All counts are per customer; "a day" is the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FraudLimits {
    /// Unpaid `PENDING` orders at any time; 5 unless configured.
    pub max_pending_orders: u32,
    /// The customer's own cancellations in a day; 3 unless configured.
    pub max_daily_cancellations: u32,
    /// Orders that expired unpaid in a day; 10 unless configured.
    pub max_daily_expiries: u32,
}

impl Default for FraudLimits {
    fn default() -> Self {
        Self { max_pending_orders: 5, max_daily_cancellations: 3, max_daily_expiries: 10 }
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn cancelling_is_not_limited_by_what_limits_ordering() {
        let busy = CustomerStanding { pending_orders: 99, daily_expiries: 99, daily_cancellations: 0 };
        assert_eq!(FraudLimits::default().may_cancel(&busy), Ok(()));
    }
}
