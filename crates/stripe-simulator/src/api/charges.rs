//! `/v1/charges`, to be read.

use super::list::{CREATED_PARAMS, LIST_PARAMS, Page, answer, expanded};
use super::{Answer, Call};
use crate::account::Operation;
use crate::account::payment::Charge;
use crate::params::{Field, refuse_unknown};

pub(crate) fn retrieve(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    let object = operation.account.charge(id, "charge")?.to_json();
    expanded(operation.account, call.version, object, &Field::root(call.params))
}

pub(crate) fn list(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    let known: Vec<&str> =
        LIST_PARAMS.into_iter().chain(CREATED_PARAMS).chain(["customer", "payment_intent", "transfer_group"]).collect();
    refuse_unknown(call.params, &known)?;
    let root = Field::root(call.params);
    let intent = root.get("payment_intent").text()?;
    let belongs_elsewhere = root.get("customer").is_present() || root.get("transfer_group").is_present();
    let (charges, has_more) = Page::parse(&root)?.cut(&operation.account.charges, "charge", |charge| {
        !belongs_elsewhere && intent.is_none_or(|intent| charge.payment_intent == intent)
    })?;
    let data = charges.into_iter().map(Charge::to_json).collect();
    answer(operation.account, call, "/v1/charges", data, has_more)
}
