//! `/v1/webhook_endpoints`.

use serde_json::{Value, json};

use super::list::{LIST_PARAMS, answer};
use super::{Answer, Call};
use crate::account::Operation;
use crate::account::event::Endpoint;
use crate::error::ApiError;
use crate::ids::{new_id, token};
use crate::params::{Field, refuse_unknown};

/// Most endpoints of one account, as at Stripe.
const MAX_ENDPOINTS: usize = 16;

pub(crate) fn create(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    refuse_unknown(
        call.params,
        &["url", "enabled_events.#", "api_version", "description", "metadata.*", "connect", "expand.#"],
    )?;
    let root = Field::root(call.params);
    let enabled_events = root.get("enabled_events").texts()?;
    if enabled_events.is_empty() {
        return Err(root.get("enabled_events").missing());
    }
    if operation.account.endpoints.len() >= MAX_ENDPOINTS {
        return Err(ApiError::refused(format!("You have reached the maximum of {MAX_ENDPOINTS} webhook endpoints.")));
    }
    let endpoint = Endpoint {
        id: new_id("we"),
        created: operation.now,
        url: root.get("url").required_text()?.to_owned(),
        secret: format!("whsec_{}", token(32)),
        api_version: root.get("api_version").text()?.map(str::to_owned),
        enabled_events: enabled_events.into_iter().map(str::to_owned).collect(),
        description: root.get("description").text()?.map(str::to_owned),
    };
    let mut object = endpoint.to_json();
    // The secret is told this once.
    object["secret"] = json!(endpoint.secret);
    operation.account.endpoints.push(endpoint);
    Ok(object)
}

pub(crate) fn list(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    refuse_unknown(call.params, &LIST_PARAMS[..4])?;
    let data: Vec<Value> = operation.account.endpoints.iter().rev().map(Endpoint::to_json).collect();
    answer(operation.account, call, "/v1/webhook_endpoints", data, false)
}

pub(crate) fn retrieve(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    let endpoint = operation.account.endpoints.iter().find(|endpoint| endpoint.id == id);
    Ok(endpoint.ok_or_else(|| ApiError::missing_resource("webhook endpoint", id, "id"))?.to_json())
}

pub(crate) fn delete(operation: &mut Operation<'_>, id: &str) -> Answer {
    let position = operation.account.endpoints.iter().position(|endpoint| endpoint.id == id);
    let position = position.ok_or_else(|| ApiError::missing_resource("webhook endpoint", id, "id"))?;
    operation.account.endpoints.remove(position);
    Ok(json!({ "id": id, "object": "webhook_endpoint", "deleted": true }))
}
