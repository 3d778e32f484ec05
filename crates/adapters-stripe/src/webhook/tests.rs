//! Events of every handled type and of several API versions, in their smallest form, and what they say.
#![allow(clippy::unwrap_used, clippy::panic)]

use chrono::DateTime;
use domain::id::{AttemptId, OrderId, RefundRequestId};
use domain::money::{Currency, Money};
use domain::payment::{
    CheckoutSessionId, EventContent, EventReader, PaymentIntentId, ProviderRefund, ProviderRefundId, RefundStatus,
    SessionNews, SessionPayment, SessionStanding, WebhookRejected,
};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{StripeWebhooks, content, read_event};
use crate::config::{InvalidStripeConfig, Secret, StripeConfig};

const ORDER: &str = "0192f0c1-2345-7abc-8def-0123456789ab";
const ATTEMPT: &str = "0192f0c1-2345-7abc-8def-0123456789ac";
const REQUEST: &str = "0192f0c1-2345-7abc-8def-0123456789ad";

/// What an event of this type about this object says.
fn says(kind: &str, object: &Value) -> EventContent {
    let event = json!({ "id": "evt_1", "object": "event", "api_version": "2020-08-27", "created": 1_648_319_940,
        "data": { "object": object, "previous_attributes": {} }, "livemode": false, "pending_webhooks": 2,
        "request": { "id": null, "idempotency_key": null }, "type": kind });
    read_event(event.to_string().as_bytes()).unwrap().content
}

fn with(object: &Value, changes: &Value) -> Value {
    let mut object = object.clone();
    for (field, value) in changes.as_object().unwrap() {
        object[field] = value.clone();
    }
    object
}

fn without(object: &Value, field: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(field);
    object
}

fn session() -> Value {
    json!({ "id": "cs_1", "object": "checkout.session", "amount_subtotal": 3998, "amount_total": 3998,
        "client_reference_id": ORDER, "currency": "eur", "customer": null, "livemode": false, "mode": "payment",
        "metadata": { "orderId": ORDER, "attemptId": ATTEMPT }, "payment_intent": "pi_1",
        "payment_status": "paid", "status": "complete", "ui_mode": "a_mode_of_tomorrow", "url": null })
}

fn news(standing: SessionStanding) -> EventContent {
    EventContent::Session(SessionNews {
        session_id: CheckoutSessionId::new("cs_1").unwrap(),
        order_id: Some(OrderId::parse(ORDER).unwrap()),
        attempt_id: Some(AttemptId::parse(ATTEMPT).unwrap()),
        standing,
    })
}

fn paid() -> SessionStanding {
    SessionStanding::Paid(SessionPayment { intent: intent(), amount: euro(3998) })
}

fn intent() -> PaymentIntentId {
    PaymentIntentId::new("pi_1").unwrap()
}

fn euro(minor: i64) -> Money {
    Money::from_minor(minor, Currency::parse("EUR").unwrap())
}

fn refund() -> Value {
    json!({ "id": "re_1", "object": "refund", "amount": 500, "balance_transaction": null, "charge": "ch_1",
        "currency": "eur", "metadata": { "orderId": ORDER, "refundRequestId": REQUEST }, "payment_intent": "pi_1",
        "reason": null, "status": "succeeded" })
}

fn provider_refund(status: RefundStatus) -> ProviderRefund {
    ProviderRefund {
        id: ProviderRefundId::new("re_1").unwrap(),
        intent: intent(),
        amount: euro(500),
        status,
        request_id: Some(RefundRequestId::parse(REQUEST).unwrap()),
    }
}

fn charge() -> Value {
    json!({ "id": "ch_1", "object": "charge", "amount": 2500, "amount_refunded": 700, "currency": "eur",
        "payment_intent": "pi_1", "refunded": false })
}

fn is_ignored(content: &EventContent) -> bool {
    matches!(content, EventContent::Ignored { .. })
}

#[track_caller]
fn assert_unreadable(content: &EventContent, field: &str) {
    match content {
        EventContent::Unreadable { reason } => assert!(reason.contains(field), "{reason} should name {field}"),
        other => panic!("expected {field} to be unreadable, got {other:?}"),
    }
}

#[test]
fn sessions_tell_how_they_stand() {
    let unpaid = with(&session(), &json!({ "payment_status": "unpaid" }));
    let table = [
        ("checkout.session.completed", session(), paid()),
        ("checkout.session.completed", unpaid.clone(), SessionStanding::Processing),
        (
            "checkout.session.completed",
            with(&session(), &json!({ "payment_status": "no_payment_required", "payment_intent": null })),
            SessionStanding::Expired,
        ),
        ("checkout.session.async_payment_succeeded", session(), paid()),
        ("checkout.session.async_payment_failed", unpaid.clone(), SessionStanding::Failed),
        ("checkout.session.expired", with(&unpaid, &json!({ "payment_intent": null })), SessionStanding::Expired),
    ];
    for (kind, object, standing) in table {
        assert_eq!(says(kind, &object), news(standing), "{kind}");
    }
}

#[test]
fn a_session_names_its_order_in_either_place() {
    let completed = "checkout.session.completed";
    assert_eq!(says(completed, &without(&session(), "client_reference_id")), news(paid()));
    assert_eq!(says(completed, &with(&session(), &json!({ "client_reference_id": "my cart 7" }))), news(paid()));
    let by_reference = with(&session(), &json!({ "metadata": null }));
    let EventContent::Session(told) = says(completed, &by_reference) else { panic!("a session") };
    assert_eq!((told.order_id.map(|id| id.to_string()), told.attempt_id), (Some(ORDER.into()), None));
}

#[test]
fn sessions_of_others_are_ignored() {
    for (reference, metadata) in [
        (json!(null), json!({})),
        (json!("order_1"), json!({ "orderId": "6735" })),
        (json!(null), json!({ "order_id": ORDER })),
        (json!(17), json!({ "orderId": { "deep": [ORDER] } })),
        (json!(null), json!("none")),
    ] {
        let object = with(&session(), &json!({ "client_reference_id": reference, "metadata": metadata }));
        for kind in ["completed", "async_payment_succeeded", "async_payment_failed", "expired"] {
            assert!(is_ignored(&says(&format!("checkout.session.{kind}"), &object)), "{kind} {object}");
        }
    }
}

#[test]
fn what_a_paid_session_must_say_is_missed_by_name() {
    let completed = "checkout.session.completed";
    for (field, values) in [
        ("id", vec![json!(null), json!(7), json!(""), json!("c s")]),
        ("payment_intent", vec![json!(null), json!(7), json!({ "object": "payment_intent" })]),
        ("amount_total", vec![json!(null), json!("3998"), json!(39.98), json!(-1), json!(1e30)]),
        ("currency", vec![json!(null), json!("euro"), json!(978)]),
        ("payment_status", vec![json!(null), json!("half_paid")]),
    ] {
        assert_unreadable(&says(completed, &without(&session(), field)), field);
        for value in values {
            assert_unreadable(&says(completed, &with(&session(), &json!({ field: value }))), field);
        }
    }
}

#[test]
fn an_expanded_object_is_as_good_as_its_id() {
    let expanded =
        json!({ "id": "pi_1", "object": "payment_intent", "status": "succeeded", "charges": { "data": [] } });
    let changes = json!({ "payment_intent": expanded });
    assert_eq!(says("checkout.session.completed", &with(&session(), &changes)), news(paid()));
    let dispute = says("charge.dispute.created", &json!({ "id": "dp_1", "payment_intent": expanded }));
    assert_eq!(dispute, EventContent::Disputed(intent()));
    let refunded = says("refund.updated", &with(&refund(), &changes));
    assert_eq!(refunded, EventContent::Refund(provider_refund(RefundStatus::Succeeded)));
}

#[test]
fn refunds_tell_how_they_stand() {
    let table = [
        ("refund.created", json!("pending"), RefundStatus::Pending),
        ("refund.created", json!("succeeded"), RefundStatus::Succeeded),
        ("refund.updated", json!("requires_action"), RefundStatus::RequiresAction),
        ("refund.updated", json!("canceled"), RefundStatus::Canceled),
        ("charge.refund.updated", json!("failed"), RefundStatus::Failed),
        ("refund.failed", json!("failed"), RefundStatus::Failed),
        ("refund.failed", json!("succeeded"), RefundStatus::Failed),
        ("refund.failed", json!("canceled"), RefundStatus::Canceled),
        ("refund.updated", json!(null), RefundStatus::Pending),
        ("refund.updated", json!("a_status_of_tomorrow"), RefundStatus::Pending),
    ];
    for (kind, word, status) in table {
        let content = says(kind, &with(&refund(), &json!({ "status": word })));
        assert_eq!(content, EventContent::Refund(provider_refund(status)), "{kind} {word}");
    }
}

#[test]
fn a_refund_made_by_hand_answers_no_request() {
    for metadata in [json!(null), json!({}), json!({ "refundRequestId": "x" }), json!([])] {
        let content = says("refund.created", &with(&refund(), &json!({ "metadata": metadata })));
        let EventContent::Refund(told) = content else { panic!("a refund") };
        assert_eq!(told.request_id, None);
    }
}

#[test]
fn a_refund_of_no_intent_is_anothers_and_one_without_a_sum_is_unreadable() {
    assert!(is_ignored(&says("refund.failed", &with(&refund(), &json!({ "payment_intent": null })))));
    assert!(is_ignored(&says("charge.refund.updated", &without(&refund(), "payment_intent"))));
    for field in ["id", "amount", "currency"] {
        assert_unreadable(&says("refund.updated", &without(&refund(), field)), field);
    }
}

#[test]
fn a_charge_tells_its_total_and_the_refunds_that_it_lists() {
    let told =
        |refunds: Vec<ProviderRefund>| EventContent::ChargeRefunded { intent: intent(), refunded: euro(700), refunds };
    assert_eq!(says("charge.refunded", &charge()), told(vec![]), "newer versions list none");
    // Refunds inside a charge may leave out the intent, and may be of a form not known here.
    let listed = json!([without(&refund(), "payment_intent"), { "id": 7 }, "re_2"]);
    let old = with(&charge(), &json!({ "refunds": { "object": "list", "data": listed, "has_more": false } }));
    assert_eq!(says("charge.refunded", &old), told(vec![provider_refund(RefundStatus::Succeeded)]));
    for odd in [json!(null), json!([]), json!({ "data": null }), json!({ "url": "/v1" })] {
        assert_eq!(says("charge.refunded", &with(&charge(), &json!({ "refunds": odd }))), told(vec![]), "{odd}");
    }
    assert!(is_ignored(&says("charge.refunded", &with(&charge(), &json!({ "payment_intent": null })))));
    assert_unreadable(&says("charge.refunded", &without(&charge(), "amount_refunded")), "amount_refunded");
    assert_unreadable(&says("charge.refunded", &without(&charge(), "currency")), "currency");
}

#[test]
fn warnings_need_nothing_but_whose_they_are() {
    let object = json!({ "id": "x", "payment_intent": "pi_1" });
    assert_eq!(says("charge.dispute.created", &object), EventContent::Disputed(intent()));
    assert_eq!(says("radar.early_fraud_warning.created", &object), EventContent::FraudWarning(intent()));
    for kind in ["charge.dispute.created", "radar.early_fraud_warning.created"] {
        assert!(is_ignored(&says(kind, &json!({ "id": "x", "charge": "ch_1" }))), "{kind}");
        assert!(is_ignored(&says(kind, &json!({ "payment_intent": null }))), "{kind}");
    }
}

#[test]
fn other_types_are_ignored_whatever_they_hold() {
    for kind in ["charge.dispute.closed", "payment_intent.succeeded", "payment_intent.payment_failed", "ping", "v2.x"] {
        assert!(is_ignored(&says(kind, &json!(null))), "{kind}");
    }
    let bare = read_event(br#"{"id":"evt_1","type":"ping"}"#).unwrap();
    assert!(is_ignored(&bare.content));
    assert_eq!((bare.id.as_str(), bare.kind.as_str()), ("evt_1", "ping"));
}

#[test]
fn a_handled_type_without_an_object_is_unreadable() {
    for data in ["null", "{}", "[]", r#"{"object":null}"#, r#"{"object":"cs_1"}"#, r#"{"object":[1,2]}"#] {
        let event = format!(r#"{{"id":"evt_1","type":"checkout.session.completed","data":{data}}}"#);
        let content = read_event(event.as_bytes()).unwrap().content;
        assert!(matches!(content, EventContent::Unreadable { .. }), "{data}: {content:?}");
    }
    assert_unreadable(&content::read("refund.updated", None), "data");
}

#[test]
fn what_is_no_event_is_malformed() {
    for body in [
        "",
        "hello",
        "null",
        "7",
        "[]",
        r#"["evt_1","ping",null]"#,
        "{}",
        r#"{"id":"evt_1"}"#,
        r#"{"type":"ping"}"#,
        r#"{"id":7,"type":"ping"}"#,
        r#"{"id":"","type":"ping"}"#,
        r#"{"id":"evt 1","type":"ping"}"#,
        r#"{"id":"evt_\u0000","type":"ping"}"#,
        r#"{"id":"evt_1","type":""}"#,
        r#"{"id":"evt_1","type":"pi\u0000ng"}"#,
        r#"{"id":"evt_1","type":"ping"} x"#,
        "{\"id\":\"evt_1\",\"type\":\"ping\",\"x\":\"\0\"}",
    ] {
        assert!(matches!(read_event(body.as_bytes()), Err(WebhookRejected::Malformed(_))), "{body}");
    }
    assert!(matches!(read_event(b"{\"id\":\"\xff\"}"), Err(WebhookRejected::Malformed(_))));
}

#[test]
fn the_payload_is_kept_as_it_came() {
    let body = "{ \"id\" : \"evt_1\",\r\n \"type\":\"ping\", \"x\": \"\\u0000 \u{1F600}\", \"n\": 1e400 }";
    assert_eq!(read_event(body.as_bytes()).unwrap().payload, body);
}

#[test]
fn deep_nesting_spoils_neither_the_stack_nor_the_fields_that_matter() {
    let deep = format!("{}{}", "[".repeat(120_000), "]".repeat(120_000));
    let object = session().to_string();
    let inside = format!("{},\"custom\":{deep}}}", &object[..object.len() - 1]);
    let event = |object: &str| {
        format!(r#"{{"id":"evt_1","type":"checkout.session.completed","more":{deep},"data":{{"object":{object}}}}}"#)
    };
    assert_eq!(read_event(event(&inside).as_bytes()).unwrap().content, news(paid()));
    let spoilt = object.replace("\"pi_1\"", &deep);
    assert_unreadable(&read_event(event(&spoilt).as_bytes()).unwrap().content, "payment_intent");
    assert!(read_event(deep.as_bytes()).is_err());
}

fn webhooks(secrets: &[&str]) -> Result<StripeWebhooks, InvalidStripeConfig> {
    let secrets = secrets.iter().copied().map(Secret::new).collect();
    StripeWebhooks::new(&StripeConfig::new(Secret::new("sk_test_1"), secrets))
}

#[test]
fn the_signature_comes_before_the_reading() {
    let reader = webhooks(&["whsec_old", "whsec_new"]).unwrap();
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let sign = |body: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"whsec_new").unwrap();
        mac.update(b"1800000000.");
        mac.update(body);
        format!("t=1800000000,v1={}", hex::encode(mac.finalize().into_bytes()))
    };
    let body = br#"{"id":"evt_1","type":"ping"}"#;
    assert_eq!(reader.read(body, Some(&sign(body)), now).unwrap().id.as_str(), "evt_1");
    assert!(matches!(reader.read(b"hello", Some(&sign(b"hello")), now), Err(WebhookRejected::Malformed(_))));
    assert!(matches!(reader.read(b"hello", Some(&sign(body)), now), Err(WebhookRejected::Signature(_))));
    assert!(matches!(reader.read(body, None, now), Err(WebhookRejected::Signature(_))));
}

#[test]
fn a_reader_without_a_usable_secret_is_not_made() {
    for secrets in [&[] as &[&str], &[""], &["whsec_1", " "]] {
        assert!(matches!(webhooks(secrets), Err(InvalidStripeConfig::WebhookSecrets)), "{secrets:?}");
    }
}

/// Any JSON at all, so that a field is met with every form.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!(ORDER)),
        Just(json!("pi_1")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(
                "(id|data|object|orderId|payment_intent|amount|currency|status)",
                inner,
                0..4
            )
            .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

const HANDLED: [&str; 11] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "radar.early_fraud_warning.created",
];

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_event(&body);
    }

    #[test]
    fn no_field_of_a_signed_event_makes_it_fail(
        kind in proptest::sample::select(&HANDLED[..]),
        object in prop_oneof![Just(session()), Just(refund()), Just(charge()), any_json()],
        field in "(id|client_reference_id|metadata|payment_status|payment_intent|amount_total|amount|currency|status|refunds|x)",
        value in any_json(),
    ) {
        let object = if object.is_object() { with(&object, &json!({ field: value })) } else { object };
        let event = json!({ "id": "evt_1", "type": kind, "data": { "object": object } }).to_string();
        prop_assert_eq!(read_event(event.as_bytes()).map(|event| event.payload), Ok(event));
    }
}
