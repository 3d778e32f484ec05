//! `expand[]`: ids in an answer replaced by the objects they name.

use serde_json::{Value, json};

use super::list::list_json;
use crate::account::Account;
use crate::account::payment::payment_method_json;
use crate::error::ApiError;
use crate::params::Field;
use crate::version::ApiVersion;

const MAX_LEVELS: usize = 4;

/// Fields that hold the id of another object, by kind of object. `refunds` and `line_items` are lists that only an
/// expansion adds.
fn expandable_fields(kind: &str) -> &'static [&'static str] {
    match kind {
        "checkout.session" => {
            &["line_items", "payment_intent", "customer", "invoice", "payment_link", "setup_intent", "subscription"]
        }
        "payment_intent" => {
            &["latest_charge", "payment_method", "customer", "application", "on_behalf_of", "review", "source"]
        }
        "charge" => &[
            "payment_intent",
            "refunds",
            "balance_transaction",
            "customer",
            "application",
            "application_fee",
            "failure_balance_transaction",
            "on_behalf_of",
            "review",
            "source_transfer",
            "transfer",
        ],
        "refund" => &[
            "charge",
            "payment_intent",
            "balance_transaction",
            "failure_balance_transaction",
            "source_transfer_reversal",
            "transfer_reversal",
        ],
        "dispute" | "radar.early_fraud_warning" => &["charge", "payment_intent"],
        "price" => &["product"],
        "product" => &["default_price", "tax_code"],
        _ => &[],
    }
}

/// Refuses, before anything is done, an expansion that cannot be carried out on an object of this kind.
pub(crate) fn check_expansions(kind: &str, root: &Field<'_>) -> Result<(), ApiError> {
    for path in root.get("expand").texts()? {
        let first = path.split('.').next().unwrap_or_default();
        if !expandable_fields(kind).contains(&first) {
            return Err(not_expandable(path));
        }
        check_depth(path)?;
    }
    Ok(())
}

fn not_expandable(path: &str) -> ApiError {
    ApiError::invalid(format!(
        "This property cannot be expanded ({path}). You may want to try expanding a list's entries with the prefix \
         'data.'."
    ))
    .param("expand")
}

fn check_depth(path: &str) -> Result<(), ApiError> {
    if path.split('.').filter(|part| *part != "data").count() <= MAX_LEVELS {
        return Ok(());
    }
    Err(ApiError::invalid(format!("You cannot expand more than {MAX_LEVELS} levels of a property. Property: {path}"))
        .param("expand"))
}

/// Expands one dotted path, e.g. `data.payment_intent.latest_charge`.
pub(crate) fn expand(account: &Account, version: &ApiVersion, object: &mut Value, path: &str) -> Result<(), ApiError> {
    let parts: Vec<&str> = path.split('.').collect();
    check_depth(path)?;
    expand_parts(account, version, object, &parts, path)
}

fn expand_parts(
    account: &Account,
    version: &ApiVersion,
    object: &mut Value,
    parts: &[&str],
    path: &str,
) -> Result<(), ApiError> {
    let Some((&field, rest)) = parts.split_first() else { return Ok(()) };
    if object.is_null() {
        return Ok(());
    }
    let kind = object["object"].as_str().unwrap_or_default().to_owned();
    if kind == "list" && field == "data" {
        if let Some(entries) = object["data"].as_array_mut() {
            for entry in entries {
                expand_parts(account, version, entry, rest, path)?;
            }
        }
        return Ok(());
    }
    let is_embedded = object.get(field).is_some_and(|value| value.is_object() || value.is_array());
    if !is_embedded && !expandable_fields(&kind).contains(&field) {
        return Err(not_expandable(path));
    }
    if !is_embedded {
        object[field] = resolve(account, version, object, field);
    }
    expand_parts(account, version, &mut object[field], rest, path)
}

fn resolve(account: &Account, version: &ApiVersion, object: &Value, field: &str) -> Value {
    let own_id = object["id"].as_str().unwrap_or_default();
    match field {
        "line_items" => return line_items(account, own_id),
        "refunds" => return refunds(account, own_id),
        _ => {}
    }
    let Some(id) = object[field].as_str() else { return Value::Null };
    let found = match id.split_once('_').map_or("", |(prefix, _)| prefix) {
        "pi" => account.intents.get(id).map(super::super::account::payment::PaymentIntent::to_json),
        "ch" => account.charges.get(id).map(super::super::account::payment::Charge::to_json),
        "re" => account.refunds.get(id).map(super::super::account::refund::Refund::to_json),
        "cs" => account.sessions.get(id).map(|session| session.to_json(version)),
        "prod" => product(account, object, id),
        "pm" => object["latest_charge"]
            .as_str()
            .and_then(|charge| account.charges.get(charge))
            .map(|charge| payment_method_json(id, charge)),
        "txn" => Some(balance_transaction(object, id)),
        _ => None,
    };
    found.unwrap_or_else(|| json!(id))
}

fn line_items(account: &Account, session: &str) -> Value {
    let data = account.sessions.get(session).map_or_else(Vec::new, |session| {
        session.line_items.iter().map(crate::account::session::LineItem::to_json).collect()
    });
    list_json(&format!("/v1/checkout/sessions/{session}/line_items"), data, false)
}

fn refunds(account: &Account, charge: &str) -> Value {
    let data = account
        .refunds
        .newest_first()
        .filter(|refund| refund.charge == charge)
        .map(super::super::account::refund::Refund::to_json)
        .collect();
    list_json(&format!("/v1/charges/{charge}/refunds"), data, false)
}

/// A product made by a call of its own, or in passing by the line item that holds this price.
fn product(account: &Account, price: &Value, id: &str) -> Option<Value> {
    if let Some(product) = account.products.get(id) {
        return Some(product.to_json());
    }
    let price_id = price["id"].as_str()?;
    account
        .sessions
        .newest_first()
        .flat_map(|session| &session.line_items)
        .find(|item| item.price.id == price_id)
        .map(|item| item.product.to_json())
}

/// The movement of money that a charge or a refund caused: the same facts seen from the balance.
fn balance_transaction(source: &Value, id: &str) -> Value {
    let amount = source["amount"].as_i64().unwrap_or_default();
    let is_refund = source["object"] == "refund";
    let signed = if is_refund { -amount } else { amount };
    json!({
        "id": id,
        "object": "balance_transaction",
        "amount": signed,
        "available_on": source["created"],
        "balance_type": "payments",
        "created": source["created"],
        "currency": source["currency"],
        "description": source["description"],
        "exchange_rate": null,
        "fee": 0,
        "fee_details": [],
        "net": signed,
        "reporting_category": if is_refund { "refund" } else { "charge" },
        "source": source["id"],
        "status": "available",
        "type": if is_refund { "refund" } else { "charge" },
    })
}
