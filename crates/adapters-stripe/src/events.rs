//! Undelivered events on the wire: what is asked for, and what an answer says.

use domain::clock::Timestamp;
use domain::payment::{ProviderEventId, UndeliveredEvents};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_types::{RangeBoundsTs, RangeQueryTs};

use crate::webhook::{HANDLED_TYPES, read_event};

#[derive(Serialize)]
struct List {
    created: RangeQueryTs,
    /// Not yet, or never; also while another endpoint of the account did not take it.
    delivery_success: bool,
    limit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<String>,
    types: [&'static str; HANDLED_TYPES.len()],
}

/// A page of 100, newest first. Not the typed request of `async-stripe`: its events lose what the shop keeps, the
/// payload as it came.
pub(crate) fn list(until: Timestamp, after: Option<ProviderEventId>) -> RequestBuilder {
    let bounds = RangeBoundsTs { lte: Some(until.timestamp()), ..Default::default() };
    RequestBuilder::new(StripeMethod::Get, "/events").query(&List {
        created: RangeQueryTs::Bounds(bounds),
        delivery_success: false,
        limit: 100,
        starting_after: after.map(|id| id.to_string()),
        types: HANDLED_TYPES,
    })
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

/// The page in the domain's words, or why there is none.
pub(crate) fn read(body: &[u8]) -> Result<UndeliveredEvents, String> {
    let page: Page<'_> = serde_json::from_slice(body).map_err(|error| format!("a list of events: {error}"))?;
    let mut next = None;
    if let (true, Some(last)) = (page.has_more, page.data.last()) {
        let last: Identified = serde_json::from_str(last.get()).map_err(|error| format!("an event's id: {error}"))?;
        next = Some(ProviderEventId::new(last.id).map_err(|error| format!("an event's id: {error}"))?);
    }
    let read = |event: &&RawValue| {
        let unreadable = |error| tracing::error!(%error, "an undelivered event can't be read and is left out");
        read_event(event.get().as_bytes()).map_err(unreadable).ok()
    };
    Ok(UndeliveredEvents { events: page.data.iter().filter_map(read).collect(), next })
}
