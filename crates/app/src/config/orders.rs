//! How long orders wait, and what they may cost.

use std::time::Duration;

use domain::money::parse_amount_minor;

use super::reader::{Noted, Reader};
use super::sources::Stage;

/// `[orders]`
#[derive(Debug, Clone)]
pub struct OrderSettings {
    /// How long an order can be paid.
    pub payment_window: Duration,
    /// How long an order waits for a delayed payment (contract 3.9).
    pub async_wait: Duration,
    /// The least total, in minor units.
    pub min_total_minor: i64,
    /// The greatest total, in minor units.
    pub max_total_minor: i64,
    /// How often expired orders are looked for.
    pub sweep_interval: Duration,
    /// How long an expired order waits for a provider that cannot be reached (contract 3.7).
    pub provider_grace: Duration,
}

pub(super) const AMOUNT: &str = "an amount from 0.00 to 99999999.99 with at most 2 fraction digits";

impl OrderSettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        // The provider keeps a session for 24 h at most, which leaves an hour for slow calls.
        let shortest = if reader.stage() == Stage::Production { 300 } else { 1 };
        let payment_window = reader.seconds("orders.payment_window_seconds", shortest..=82_800);
        let async_wait = reader.seconds("orders.async_wait_seconds", 1..=2_592_000);
        let min_total_minor = reader.parsed("orders.min_total", AMOUNT, |text| parse_amount_minor(text).ok());
        let max_total_minor = reader.parsed("orders.max_total", AMOUNT, |text| parse_amount_minor(text).ok());
        let sweep_interval = reader.seconds("orders.sweep_interval_seconds", 1..=86_400);
        let provider_grace = reader.seconds("orders.provider_grace_seconds", 0..=86_400);
        if let (Ok(min), Ok(max)) = (min_total_minor, max_total_minor)
            && min > max
        {
            return Err(reader.contradiction("orders.max_total", "no less than APP__ORDERS__MIN_TOTAL"));
        }
        Ok(Self {
            payment_window: payment_window?,
            async_wait: async_wait?,
            min_total_minor: min_total_minor?,
            max_total_minor: max_total_minor?,
            sweep_interval: sweep_interval?,
            provider_grace: provider_grace?,
        })
    }
}
