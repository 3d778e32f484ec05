//! `/v1/balance`: what was charged less what was refunded.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::account::Operation;
use crate::account::payment::ChargeStatus;
use crate::params::refuse_unknown;

pub(crate) fn retrieve(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    let mut sums: BTreeMap<&str, i64> = BTreeMap::from([("usd", 0)]);
    for charge in operation.account.charges.oldest_first() {
        if charge.status == ChargeStatus::Succeeded {
            *sums.entry(&charge.currency).or_default() += charge.unrefunded();
        }
    }
    let available: Vec<Value> = sums.iter().map(|(currency, amount)| funds(currency, *amount)).collect();
    let pending: Vec<Value> = sums.keys().map(|currency| funds(currency, 0)).collect();
    Ok(json!({
        "object": "balance",
        "available": available,
        "livemode": false,
        "pending": pending,
        "refund_and_dispute_prefunding": { "available": [], "pending": [] },
    }))
}

fn funds(currency: &str, amount: i64) -> Value {
    json!({ "amount": amount, "currency": currency, "source_types": { "card": amount } })
}
