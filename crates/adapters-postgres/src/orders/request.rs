//! A checkout request as an attempt's row keeps it: everything that was sent, so that a repeat sends the same.

use std::io::Write as _;

use chrono::{DateTime, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::result::Error;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Jsonb;
use domain::id::{AttemptId, OrderId};
use domain::payment::{CheckoutLine, CheckoutRequest};
use domain::quantity::Quantity;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rows::money;
use crate::error::damaged;

#[derive(Debug, Clone, Serialize, Deserialize, FromSqlRow, AsExpression)]
#[diesel(sql_type = Jsonb)]
pub(super) struct StoredRequest {
    customer_email: String,
    lines: Vec<StoredLine>,
    expires_at_seconds: i64,
    success_url: String,
    cancel_url: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
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

    pub(super) fn into_request(self, attempt_id: AttemptId, order_id: Uuid) -> Result<CheckoutRequest, Error> {
        let line = |line: StoredLine| {
            Ok::<_, Error>(CheckoutLine {
                name: line.name,
                unit_price: money(line.unit_price_minor, &line.currency)?,
                quantity: Quantity::new(line.quantity.into()).map_err(damaged)?,
            })
        };
        let expires_at = DateTime::<Utc>::from_timestamp(self.expires_at_seconds, 0);
        Ok(CheckoutRequest {
            attempt_id,
            order_id: OrderId::from(order_id),
            customer_email: self.customer_email,
            lines: self.lines.into_iter().map(line).collect::<Result<_, _>>()?,
            expires_at: expires_at.ok_or_else(|| damaged("an attempt's expiry is out of range"))?,
            success_url: self.success_url,
            cancel_url: self.cancel_url,
        })
    }
}

/// What `jsonb` looks like on the wire: a version, and the text.
const JSONB_VERSION: u8 = 1;

impl ToSql<Jsonb, Pg> for StoredRequest {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&[JSONB_VERSION])?;
        serde_json::to_writer(out, self)?;
        Ok(IsNull::No)
    }
}

impl FromSql<Jsonb, Pg> for StoredRequest {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes().split_first() {
            Some((&JSONB_VERSION, text)) => Ok(serde_json::from_slice(text)?),
            _ => Err("jsonb comes in a form that is not known".into()),
        }
    }
}
