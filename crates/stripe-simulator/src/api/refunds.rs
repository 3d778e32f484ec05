//! `/v1/refunds`.

use super::expand::check_expansions;
use super::list::{CREATED_PARAMS, LIST_PARAMS, Page, answer, expanded};
use super::{Answer, Call};
use crate::account::refund::Refund;
use crate::account::{Operation, RefundRequest};
use crate::error::ApiError;
use crate::params::{Field, refuse_unknown};

pub(crate) fn create(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    refuse_unknown(
        call.params,
        &[
            "amount",
            "charge",
            "currency",
            "expand.#",
            "instructions_email",
            "metadata.*",
            "payment_intent",
            "reason",
            "refund_application_fee",
            "reverse_transfer",
        ],
    )?;
    let root = Field::root(call.params);
    check_expansions("refund", &root)?;
    let request = RefundRequest {
        charge: root.get("charge").text()?.map(str::to_owned),
        payment_intent: root.get("payment_intent").text()?.map(str::to_owned),
        amount: root.get("amount").positive_integer()?,
        reason: root.get("reason").one_of(&["duplicate", "fraudulent", "requested_by_customer"])?.map(str::to_owned),
        metadata: root.get("metadata").metadata()?,
    };
    if request.charge.is_none() && request.payment_intent.is_none() {
        return Err(ApiError::invalid(
            "One of the following params should be provided for this request: payment_intent or charge.",
        )
        .code("parameter_missing"));
    }
    let id = operation.create_refund(request)?;
    shown(operation, call, &id)
}

pub(crate) fn retrieve(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    shown(operation, call, id)
}

fn shown(operation: &Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    let object = operation.account.refund(id, "refund")?.to_json();
    expanded(operation.account, call.version, object, &Field::root(call.params))
}

pub(crate) fn update(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#", "metadata.*"])?;
    let mut metadata = operation.account.refund(id, "refund")?.metadata.clone();
    Field::root(call.params).get("metadata").change_metadata(&mut metadata)?;
    if let Some(refund) = operation.account.refunds.get_mut(id) {
        refund.metadata = metadata;
    }
    shown(operation, call, id)
}

pub(crate) fn cancel(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    operation.cancel_refund(id)?;
    shown(operation, call, id)
}

pub(crate) fn list(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    let known: Vec<&str> = LIST_PARAMS.into_iter().chain(CREATED_PARAMS).chain(["charge", "payment_intent"]).collect();
    refuse_unknown(call.params, &known)?;
    let root = Field::root(call.params);
    let charge = root.get("charge").text()?;
    let intent = root.get("payment_intent").text()?;
    page_of(operation, call, "/v1/refunds", |refund| {
        charge.is_none_or(|charge| refund.charge == charge)
            && intent.is_none_or(|intent| refund.payment_intent == intent)
    })
}

pub(crate) fn list_of_charge(operation: &mut Operation<'_>, call: &Call<'_>, charge: &str) -> Answer {
    refuse_unknown(call.params, &LIST_PARAMS[..4])?;
    operation.account.charge(charge, "charge")?;
    page_of(operation, call, &format!("/v1/charges/{charge}/refunds"), |refund| refund.charge == charge)
}

fn page_of(operation: &Operation<'_>, call: &Call<'_>, url: &str, keep: impl Fn(&Refund) -> bool) -> Answer {
    let page = Page::parse(&Field::root(call.params))?;
    let (refunds, has_more) = page.cut(&operation.account.refunds, "refund", keep)?;
    let data = refunds.into_iter().map(Refund::to_json).collect();
    answer(operation.account, call, url, data, has_more)
}
