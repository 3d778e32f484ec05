//! A checkout request as an attempt's row keeps it: everything that was sent, so that a repeat sends the same.

use chrono::{DateTime, Utc};
use diesel::result::Error;
use domain::id::{AttemptId, OrderId};
use domain::payment::{CheckoutLine, CheckoutRequest};
use domain::quantity::Quantity;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rows::money;
use crate::error::damaged;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredRequest {
    customer_email: String,
    lines: Vec<StoredLine>,
    expires_at_seconds: i64,
    success_url: String,
    cancel_url: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredLine {
    name: String,
    unit_price_minor: i64,
    currency: String,
    quantity: u32,
}

impl StoredRequest {
    pub(super) fn of(request: &CheckoutRequest) -> Self {
        let line = |line: &CheckoutLine| StoredLine {
            name: line.name.clone(),
            unit_price_minor: line.unit_price.amount_minor(),
            currency: line.unit_price.currency().to_string(),
            quantity: line.quantity.get(),
        };
        Self {
            customer_email: request.customer_email.clone(),
            lines: request.lines.iter().map(line).collect(),
            expires_at_seconds: request.expires_at.timestamp(),
            success_url: request.success_url.clone(),
            cancel_url: request.cancel_url.clone(),
        }
    }

    pub(super) fn read(
        json: serde_json::Value,
        attempt_id: AttemptId,
        order_id: Uuid,
    ) -> Result<CheckoutRequest, Error> {
        let stored: Self = serde_json::from_value(json).map_err(damaged)?;
        let line = |line: StoredLine| {
            Ok::<_, Error>(CheckoutLine {
                name: line.name,
                unit_price: money(line.unit_price_minor, &line.currency)?,
                quantity: Quantity::new(line.quantity.into()).map_err(damaged)?,
            })
        };
        let expires_at = DateTime::<Utc>::from_timestamp(stored.expires_at_seconds, 0);
        Ok(CheckoutRequest {
            attempt_id,
            order_id: OrderId::from(order_id),
            customer_email: stored.customer_email,
            lines: stored.lines.into_iter().map(line).collect::<Result<_, _>>()?,
            expires_at: expires_at.ok_or_else(|| damaged("an attempt's expiry is out of range"))?,
            success_url: stored.success_url,
            cancel_url: stored.cancel_url,
        })
    }
}
