//! Whatever arrives is read without a panic, and what is read is what was meant: events, tokens, cursors, money, queries
//! and bodies under random and half-random input. 20,000 inputs each in `make test`, a million each in `make test-long`.

use std::fmt::Debug;
use std::time::Instant;

use adapters_crypto::{Hs256Tokens, JwtSecret};
use adapters_stripe::{Secret, StripeConfig, StripeWebhooks};
use api_actix::cursor;
use api_actix::fields::{self, Fields, Request, Wire};
use chrono::{DateTime, TimeDelta};
use domain::account::{AccessTokens, Claims, Role};
use domain::catalog::SearchText;
use domain::clock::Timestamp;
use domain::money::{Currency, Money, Price, parse_amount_minor};
use domain::payment::{EventReader, WebhookRejected};
use ironcart_tests::events::event;
use ironcart_tests::shop::{JWT_SECRET, WEBHOOK_SECRET};
use ironcart_tests::trials;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestCaseError, TestError};
use serde_json::{Value, json};
use stripe_simulator::sign_payload;
use uuid::Uuid;

/// How many inputs each test tries.
const SHORT: u32 = 20_000;
const LONG: u32 = 1_000_000;

fn try_all<S: Strategy<Value: Debug>>(inputs: S, check: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let begin = Instant::now();
    let outcome = trials::runner(SHORT, LONG).run(&inputs, check);
    eprintln!("{} inputs in {:?}", trials::cases(SHORT, LONG), begin.elapsed());
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, input)) => panic!("{reason}\nThe smallest input found: {input:#?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

fn now() -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// One change of a text.
#[derive(Debug, Clone)]
enum Cut {
    Drop(Index, u8),
    Insert(Index, String),
    Swap(Index, Index),
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    // Pieces that mean something in JSON, in tokens and in numbers, and any others.
    let pieces = prop::sample::select(vec![
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "-1",
        "0",
        "1e999",
        "9223372036854775808",
        "{}",
        "[]",
        "\\ud800",
        "\\u0000",
        "\\",
        "\u{0}",
        "ä",
        ".",
        "=",
        "A",
        "\"id\":1,",
        "[[[[[[[[[[[[",
        "1.5",
    ]);
    let cut = prop_oneof![
        (any::<Index>(), 1..40_u8).prop_map(|(at, length)| Cut::Drop(at, length)),
        (any::<Index>(), pieces).prop_map(|(at, piece)| Cut::Insert(at, piece.to_owned())),
        (any::<Index>(), any::<char>()).prop_map(|(at, piece)| Cut::Insert(at, piece.to_string())),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Cut::Swap(one, other)),
    ];
    prop::collection::vec(cut, 1..5)
}

fn with_cuts(text: &str, cuts: &[Cut]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for cut in cuts {
        match cut {
            _ if chars.is_empty() => break,
            Cut::Drop(at, length) => {
                let from = at.index(chars.len());
                chars.drain(from..chars.len().min(from + usize::from(*length)));
            }
            Cut::Insert(at, piece) => {
                let at = at.index(chars.len());
                chars.splice(at..at, piece.chars());
            }
            Cut::Swap(one, other) => {
                let (one, other) = (one.index(chars.len()), other.index(chars.len()));
                chars.swap(one, other);
            }
        }
    }
    chars.into_iter().collect()
}

// --- events -----------------------------------------------------------------------------------------------------

fn webhooks() -> StripeWebhooks {
    StripeWebhooks::new(&StripeConfig::new(Secret::new("sk_test_1"), vec![Secret::new(WEBHOOK_SECRET)])).unwrap()
}

/// Events of every handled type, as the provider writes them.
fn samples() -> Vec<String> {
    let order = "0192f0c1-2345-7abc-8def-0123456789ab";
    let session = |status: &str, payment_status: &str, intent: Value| {
        json!({
            "id": "cs_test_a1", "object": "checkout.session", "amount_subtotal": 3998, "amount_total": 3998,
            "client_reference_id": order, "currency": "usd", "customer": null, "expires_at": 1_800_001_860,
            "livemode": false, "metadata": { "orderId": order, "attemptId": order }, "mode": "payment",
            "payment_intent": intent, "payment_status": payment_status, "status": status, "url": null,
        })
    };
    let refund = json!({
        "id": "re_1", "object": "refund", "amount": 3998, "charge": "ch_1", "currency": "usd", "reason": null,
        "metadata": { "orderId": order, "refundRequestId": order }, "payment_intent": "pi_1", "status": "succeeded",
    });
    let charge = json!({
        "id": "ch_1", "object": "charge", "amount": 3998, "amount_refunded": 1999, "currency": "usd",
        "payment_intent": "pi_1", "refunds": { "object": "list", "data": [refund], "has_more": false },
    });
    let about = json!({ "id": "du_1", "object": "dispute", "payment_intent": { "id": "pi_1" }, "status": "lost" });
    let paid = session("complete", "paid", json!("pi_1"));
    let events = [
        ("checkout.session.completed", &paid),
        ("checkout.session.completed", &session("complete", "unpaid", json!("pi_1"))),
        ("checkout.session.async_payment_succeeded", &paid),
        ("checkout.session.async_payment_failed", &session("complete", "unpaid", json!("pi_1"))),
        ("checkout.session.expired", &session("expired", "unpaid", Value::Null)),
        ("charge.refunded", &charge),
        ("refund.created", &refund),
        ("refund.updated", &refund),
        ("refund.failed", &refund),
        ("charge.dispute.created", &about),
        ("radar.early_fraud_warning.created", &about),
        ("customer.created", &about),
    ];
    events.iter().map(|(kind, object)| event(kind, object).to_string()).collect()
}

#[test]
fn any_bytes_at_the_webhook_are_refused_without_a_panic() {
    let webhooks = webhooks();
    let inputs = (prop::collection::vec(any::<u8>(), 0..300), "\\PC{0,80}", any::<bool>());
    try_all(inputs, |(body, header, signed)| {
        let unsigned = webhooks.read(&body, Some(&header), now());
        prop_assert!(matches!(unsigned, Err(WebhookRejected::Signature(_))));
        let header = sign_payload(WEBHOOK_SECRET, now().timestamp(), &body);
        let read = webhooks.read(&body, signed.then_some(&header), now());
        prop_assert!(read.is_err(), "random bytes are no event: {read:?}");
        Ok(())
    });
}

#[test]
fn a_damaged_event_is_read_leniently_or_refused_and_kept_as_it_came() {
    let (webhooks, samples) = (webhooks(), samples());
    let inputs = (prop::sample::select(samples), cuts());
    try_all(inputs, |(sample, cuts)| {
        let body = with_cuts(&sample, &cuts);
        let header = sign_payload(WEBHOOK_SECRET, now().timestamp(), body.as_bytes());
        match webhooks.read(body.as_bytes(), Some(&header), now()) {
            Ok(read) => {
                prop_assert_eq!(&read.payload, &body);
                prop_assert_eq!(webhooks.translate(&body), Ok(read), "stored and translated again, it says the same");
            }
            Err(WebhookRejected::Malformed(_)) => {}
            Err(error @ WebhookRejected::Signature(_)) => prop_assert!(false, "{error}"),
        }
        Ok(())
    });
}

#[test]
fn a_signature_verifies_only_what_was_signed() {
    let (webhooks, samples) = (webhooks(), samples());
    let inputs = (prop::sample::select(samples), any::<Index>(), 1..=255_u8, any::<bool>());
    try_all(inputs, |(body, at, flip, in_body)| {
        let mut body = body.into_bytes();
        let mut header = sign_payload(WEBHOOK_SECRET, now().timestamp(), &body).into_bytes();
        let good = String::from_utf8(header.clone()).unwrap();
        prop_assert!(webhooks.read(&body, Some(&good), now()).is_ok());
        let touched = if in_body { &mut body } else { &mut header };
        let at = at.index(touched.len());
        touched[at] ^= flip;
        // Hexadecimal digits may come in either case.
        let is_same = String::from_utf8(header.clone()).is_ok_and(|header| !in_body && header.to_lowercase() == good);
        let Ok(header) = String::from_utf8(header) else { return Ok(()) };
        let read = webhooks.read(&body, Some(&header), now());
        prop_assert!(is_same || matches!(read, Err(WebhookRejected::Signature(_))), "{read:?} under {header}");
        Ok(())
    });
}

// --- access tokens ----------------------------------------------------------------------------------------------

#[test]
fn a_token_verifies_only_untouched() {
    let tokens = Hs256Tokens::new(&JwtSecret::new(JWT_SECRET).unwrap(), &[]);
    let inputs = (any::<[u128; 3]>(), any::<bool>(), 1..100_000_i64, cuts());
    try_all(inputs, |(ids, is_admin, seconds, cuts)| {
        let claims = Claims {
            token_id: Uuid::from_u128(ids[0]),
            user_id: Uuid::from_u128(ids[1]).into(),
            role: if is_admin { Role::Admin } else { Role::Customer },
            session_id: Uuid::from_u128(ids[2]).into(),
            issued_at: now(),
            expires_at: now() + TimeDelta::seconds(seconds),
        };
        let token = tokens.issue(&claims).unwrap().0;
        prop_assert_eq!(tokens.verify(&token, now()), Ok(claims));
        prop_assert!(tokens.verify(&token, claims.expires_at).is_err());
        let touched = with_cuts(&token, &cuts);
        prop_assert!(touched == token || tokens.verify(&touched, now()).is_err(), "{touched}");
        Ok(())
    });
}

#[test]
fn any_text_is_no_token() {
    let tokens = Hs256Tokens::new(&JwtSecret::new(JWT_SECRET).unwrap(), &[]);
    let inputs = prop_oneof!["\\PC{0,200}", "[A-Za-z0-9_=-]{0,60}(\\.[A-Za-z0-9_=-]{0,60}){0,4}"];
    try_all(inputs, |text| {
        prop_assert!(tokens.verify(&text, now()).is_err());
        Ok(())
    });
}

// --- cursors ----------------------------------------------------------------------------------------------------

#[test]
fn a_cursor_gives_its_position_back_and_any_other_text_none_or_a_position() {
    let inputs = (any::<i64>(), any::<u128>(), prop::collection::vec(any::<char>(), 0..20), cuts());
    try_all(inputs, |(micros, id, name, cuts)| {
        let position = (name.into_iter().collect::<String>(), micros, Uuid::from_u128(id).to_string());
        let written = cursor::encode(&position);
        prop_assert_eq!(cursor::decode(&written), Some(position.clone()));
        let touched = with_cuts(&written, &cuts);
        if let Some(read) = cursor::decode::<(String, i64, String)>(&touched) {
            // Then it is a cursor as well: of that position.
            prop_assert_eq!(cursor::decode(&cursor::encode(&read)), Some(read));
        }
        let _ = cursor::decode::<(i64, String)>(&touched);
        let _ = cursor::decode::<i64>(&position.0);
        let _ = cursor::moment(micros);
        Ok(())
    });
}

// --- money ------------------------------------------------------------------------------------------------------

#[test]
fn money_never_loses_a_digit() {
    let like_money = prop_oneof![
        "[0-9]{1,9}(\\.[0-9]{0,3})?",
        "-?[0-9.]{0,14}([eE][+-]?[0-9]{1,3})?",
        "\\PC{0,20}",
        (0..=Price::MAX_MINOR).prop_map(|minor| Money::from_minor(minor, Currency::USD).to_string()),
    ];
    try_all(like_money, |text| {
        let read = parse_amount_minor(&text);
        if let Ok(minor) = read {
            prop_assert!((0..=Price::MAX_MINOR).contains(&minor));
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let shown = Money::from_minor(minor, Currency::USD).to_string();
            prop_assert_eq!(shown, format!("{whole}.{fraction:0<2}"), "every digit is where it was");
        }
        // The API reads the same from a JSON number, from a JSON string and from a query.
        let quoted = Value::String(text.clone()).to_string();
        prop_assert_eq!(fields::amount().read(Wire::Json(&quoted)).ok(), parse_amount_minor(text.trim()).ok());
        prop_assert_eq!(fields::amount().read(Wire::Query(&text)).ok(), parse_amount_minor(text.trim()).ok());
        if !text.starts_with('"') {
            prop_assert_eq!(fields::amount().read(Wire::Json(&text)).ok(), parse_amount_minor(text.trim()).ok());
        }
        let _ = fields::price(Currency::USD).read(Wire::Json(&text));
        Ok(())
    });
}

// --- queries and bodies -----------------------------------------------------------------------------------------

/// A bit of everything that requests hold.
#[derive(Debug)]
struct Everything {
    limit: u8,
}

impl Request for Everything {
    fn read(fields: &mut Fields) -> Option<Self> {
        let limit = fields::limit(fields).get();
        let _ = fields::cursor::<(i64, String), _>(fields, |(micros, _)| cursor::moment(micros));
        let _ = fields.optional("minPrice", fields::amount());
        let _ = fields.optional("createdFrom", fields::timestamp());
        let _ = fields.optional("inStock", fields::boolean());
        let _ = fields.optional("userId", fields::id::<Uuid>());
        let _ = fields.optional("q", fields::text(SearchText::new));
        let _ = fields.optional("sort", fields::one_of(&[("name", 1), ("-price", 2)]));
        Some(Self { limit })
    }
}

const QUERY: &str = "limit=20&cursor=WzEsIjAxOTJmMGMxIl0&minPrice=0.50&createdFrom=2026-01-31T12%3A00%3A00Z\
    &inStock=true&userId=0192f0c1-2345-7abc-8def-0123456789ab&q=%C3%A4&sort=-price";

#[test]
fn any_query_is_read_or_refused_and_a_limit_is_1_to_100() {
    let inputs = prop_oneof![cuts().prop_map(|cuts| with_cuts(QUERY, &cuts)), "\\PC{0,100}"];
    try_all(inputs, |query| {
        if let Ok(read) = Fields::of_query(&query, Currency::USD).and_then(Everything::read_all) {
            prop_assert!((1..=100).contains(&read.limit));
        }
        Ok(())
    });
}

#[test]
fn any_body_is_read_or_refused() {
    let body = json!({
        "limit": 20, "cursor": "WzEsIjAxOTJmMGMxIl0", "minPrice": 0.50, "createdFrom": "2026-01-31T12:00:00Z",
        "inStock": true, "userId": "0192f0c1-2345-7abc-8def-0123456789ab", "q": "ä\u{0}\n", "sort": "-price",
    })
    .to_string();
    let damaged = cuts().prop_map(move |cuts| with_cuts(&body, &cuts).into_bytes());
    let inputs = prop_oneof![damaged, prop::collection::vec(any::<u8>(), 0..200)];
    try_all(inputs, |body| {
        if let Ok(read) = Fields::of_json(&body, Currency::USD).and_then(Everything::read_all) {
            prop_assert!((1..=100).contains(&read.limit));
        }
        Ok(())
    });
}
