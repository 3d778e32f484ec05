//! `/v1/payment_intents`: mostly to be read; created only as far as Stripe's own test triggers do it.

use super::list::{CREATED_PARAMS, LIST_PARAMS, Page, answer, expanded};
use super::{Answer, Call};
use crate::account::Operation;
use crate::account::money::{check_chargeable, parse_currency};
use crate::account::new_intent;
use crate::account::payment::{IntentStatus, MethodKind, PaymentIntent};
use crate::error::ApiError;
use crate::params::{Field, refuse_unknown};

pub(crate) fn create(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    refuse_unknown(
        call.params,
        &[
            "amount",
            "currency",
            "confirm",
            "description",
            "expand.#",
            "metadata.*",
            "payment_method",
            "payment_method_types.#",
            "automatic_payment_methods.**",
            "receipt_email",
            "return_url",
            "shipping.**",
            "statement_descriptor",
        ],
    )?;
    let root = Field::root(call.params);
    let currency = parse_currency(root.get("currency").required_text()?, "currency")?;
    let amount = root.get("amount").positive_integer()?.ok_or_else(|| root.get("amount").missing())?;
    check_chargeable(amount, &currency, "amount")?;
    let payment_method = root.get("payment_method").text()?;
    let status =
        if payment_method.is_some() { IntentStatus::RequiresConfirmation } else { IntentStatus::RequiresPaymentMethod };
    let intent = PaymentIntent {
        status,
        payment_method: payment_method.map(str::to_owned),
        description: root.get("description").text()?.map(str::to_owned),
        receipt_email: root.get("receipt_email").text()?.map(str::to_owned),
        metadata: root.get("metadata").metadata()?,
        ..new_intent(operation.now, amount, currency, MethodKind::Card)
    };
    let confirm = root.get("confirm").boolean()?.unwrap_or(false);
    let id = operation.add_intent(intent);
    if confirm {
        confirm_intent(operation, &id)?;
    }
    shown(operation, call, &id)
}

/// Test cards by their names: `pm_card_visa` and its kin pay, `pm_card_chargeDeclined…` is declined.
fn confirm_intent(operation: &mut Operation<'_>, id: &str) -> Result<(), ApiError> {
    let intent = operation.account.intent(id, "intent")?;
    if !matches!(intent.status, IntentStatus::RequiresConfirmation | IntentStatus::RequiresPaymentMethod) {
        return Err(unexpected_state(intent, "confirm"));
    }
    let Some(payment_method) = intent.payment_method.clone() else {
        return Err(ApiError::refused("You cannot confirm this PaymentIntent because it's missing a payment method.")
            .code("payment_intent_unexpected_state"));
    };
    if !payment_method.contains("Declined") {
        operation.finish_intent(id);
        return Ok(());
    }
    operation.decline_intent(id, "generic_decline");
    let intent = operation.account.intent(id, "intent")?;
    let charge = intent.latest_charge.clone().unwrap_or_default();
    Err(ApiError::card_declined(intent.to_json(), &charge, "generic_decline"))
}

fn unexpected_state(intent: &PaymentIntent, verb: &str) -> ApiError {
    ApiError::refused(format!(
        "You cannot {verb} this PaymentIntent because it has a status of {}.",
        intent.status.as_str()
    ))
    .code("payment_intent_unexpected_state")
}

pub(crate) fn confirm(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#", "payment_method", "return_url"])?;
    let method = Field::root(call.params).get("payment_method").text()?.map(str::to_owned);
    operation.account.intent(id, "intent")?;
    if let (Some(method), Some(intent)) = (method, operation.account.intents.get_mut(id)) {
        intent.payment_method = Some(method);
    }
    confirm_intent(operation, id)?;
    shown(operation, call, id)
}

pub(crate) fn cancel(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#", "cancellation_reason"])?;
    let reason = Field::root(call.params).get("cancellation_reason").text()?.map(str::to_owned);
    operation.account.intent(id, "intent")?;
    if !operation.cancel_intent(id, reason.as_deref()) {
        return Err(unexpected_state(operation.account.intent(id, "intent")?, "cancel"));
    }
    shown(operation, call, id)
}

pub(crate) fn update(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#", "metadata.*", "description"])?;
    let root = Field::root(call.params);
    let intent = operation.account.intent(id, "intent")?;
    let mut metadata = intent.metadata.clone();
    root.get("metadata").change_metadata(&mut metadata)?;
    let description = root.get("description").text()?.map(str::to_owned);
    if let Some(intent) = operation.account.intents.get_mut(id) {
        intent.metadata = metadata;
        intent.description = description.or(intent.description.take());
    }
    shown(operation, call, id)
}

pub(crate) fn retrieve(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#", "client_secret"])?;
    shown(operation, call, id)
}

fn shown(operation: &Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    let object = operation.account.intent(id, "intent")?.to_json();
    expanded(operation.account, call.version, object, &Field::root(call.params))
}

pub(crate) fn list(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    let known: Vec<&str> = LIST_PARAMS.into_iter().chain(CREATED_PARAMS).chain(["customer"]).collect();
    refuse_unknown(call.params, &known)?;
    let root = Field::root(call.params);
    let of_customer = root.get("customer").is_present();
    let (intents, has_more) =
        Page::parse(&root)?.cut(&operation.account.intents, "payment_intent", |_| !of_customer)?;
    let data = intents.into_iter().map(PaymentIntent::to_json).collect();
    answer(operation.account, call, "/v1/payment_intents", data, has_more)
}
