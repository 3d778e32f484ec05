//! `/v1/events`: the last 30 days.

use super::list::{CREATED_PARAMS, LIST_PARAMS, Page, answer};
use super::{Answer, Call};
use crate::account::Operation;
use crate::account::event::Event;
use crate::error::ApiError;
use crate::params::{Field, refuse_unknown};

const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;
const MAX_TYPES: usize = 20;

pub(crate) fn retrieve(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    let event = operation.account.events.get(id).filter(|event| is_kept(event, operation.now));
    let event = event.ok_or_else(|| ApiError::missing_resource("event", id, "id"))?;
    Ok(event.to_json(operation.api_version.as_str()))
}

fn is_kept(event: &Event, now: i64) -> bool {
    event.created >= now - KEPT_SECONDS
}

pub(crate) fn list(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    let known: Vec<&str> =
        LIST_PARAMS.into_iter().chain(CREATED_PARAMS).chain(["delivery_success", "type", "types.#"]).collect();
    refuse_unknown(call.params, &known)?;
    let root = Field::root(call.params);
    let delivered = root.get("delivery_success").boolean()?;
    let pattern = root.get("type").text()?;
    let types = root.get("types").texts()?;
    if types.len() > MAX_TYPES {
        return Err(ApiError::invalid(format!("At most {MAX_TYPES} types can be asked for.")).param("types"));
    }
    if pattern.is_some() && !types.is_empty() {
        return Err(ApiError::invalid("You may only specify one of these parameters: type, types."));
    }
    let now = operation.now;
    let (events, has_more) = Page::parse(&root)?.cut(&operation.account.events, "event", |event| {
        is_kept(event, now)
            && delivered.is_none_or(|delivered| event.undelivered.is_empty() == delivered)
            && pattern.is_none_or(|pattern| matches_type(pattern, event.kind))
            && (types.is_empty() || types.contains(&event.kind))
    })?;
    let data = events.into_iter().map(|event| event.to_json(operation.api_version.as_str())).collect();
    answer(operation.account, call, "/v1/events", data, has_more)
}

/// `charge.*` stands for every type that begins so.
fn matches_type(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => kind == pattern,
    }
}
