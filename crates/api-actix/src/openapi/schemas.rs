//! The schemas of single values: those of domain types, with the bounds that the types themselves hold, and those of
//! words and texts in answers.

use domain::account::{Email, Password, PasswordAttempt, RefreshToken, Role};
use domain::catalog::{SearchText, Stock, StockDelta};
use domain::idempotency::IdempotencyKey;
use domain::order::{CancelledBy, Flag, OrderStatus, Party};
use domain::page::PageLimit;
use domain::payment::{EventStatus, ExtraReason, PaymentStatus, RefundStatus};
use domain::quantity::Quantity;
use domain::text::{
    AdjustmentReason, CancelReason, Description, Lines, PersonName, ProductName, ShippingAddress, TrackingNumber,
};
use serde_json::{Value, json};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// A field of a request's body, or a query parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldDescription {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it may be.
    pub schema: Value,
}

/// A type whose values clients send.
pub trait Described {
    /// The JSON schema of what the type accepts.
    fn schema() -> Value;
}

/// A text as the domain's types check it. Ends are trimmed before anything is measured, so a text in its final form has
/// none to trim.
fn bounded(min: usize, max: usize, lines: Lines, example: &str) -> Value {
    let (space, other) = match lines {
        Lines::Single => (r"[^\u0000-\u001F\u007F-\u009F]", r"[^\s\u0000-\u001F\u007F-\u009F]"),
        Lines::Multiple => (
            r"[^\u0000-\u0009\u000B\u000C\u000E-\u001F\u007F-\u009F]",
            r"[^\s\u0000-\u0009\u000B\u000C\u000E-\u001F\u007F-\u009F]",
        ),
    };
    let core = format!("{other}({space}*{other})?");
    let pattern = if min == 0 { format!("^({core})?$") } else { format!("^{core}$") };
    json!({ "type": "string", "minLength": min, "maxLength": max, "pattern": pattern, "examples": [example] })
}

macro_rules! described_texts {
    ($($name:ident: $example:literal;)+) => {$(
        impl Described for $name {
            fn schema() -> Value {
                bounded(Self::MIN_LENGTH, Self::MAX_LENGTH, Self::LINES, $example)
            }
        }
    )+};
}

described_texts! {
    PersonName: "Ada Lovelace";
    ProductName: "Enamel mug";
    Description: "Holds 350 ml.\nDishwasher-safe.";
    AdjustmentReason: "Two arrived broken";
    ShippingAddress: "1 High Street\nLeeds LS1 4AP";
    CancelReason: "Ordered the wrong colour";
    TrackingNumber: "JD0001";
}

impl Described for Email {
    fn schema() -> Value {
        const LOCAL: &str = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
        const LABEL: &str = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
        json!({
            "type": "string",
            "format": "email",
            "maxLength": Self::MAX_LENGTH,
            "pattern": format!(r"^{LOCAL}(\.{LOCAL})*@{LABEL}(\.{LABEL})+$"),
            "examples": ["ada@example.com"],
        })
    }
}

impl Described for Password {
    fn schema() -> Value {
        let mut schema = bounded(Self::MIN_LENGTH, Self::MAX_LENGTH, Lines::Single, "Corr3ct-horse");
        schema["format"] = json!("password");
        schema["pattern"] = json!(
            r"^(?=[^\u0000-\u001F\u007F-\u009F]*$)(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])(?=.*[!-/:-@\[-`{-~])[^\s](.*[^\s])?$"
        );
        schema["description"] = json!("An upper-case letter, a lower-case letter, a digit and a special character.");
        schema
    }
}

impl Described for PasswordAttempt {
    fn schema() -> Value {
        let mut schema = bounded(1, Self::MAX_LENGTH, Lines::Single, "Corr3ct-horse");
        schema["format"] = json!("password");
        schema
    }
}

impl Described for RefreshToken {
    fn schema() -> Value {
        bounded(1, Self::MAX_LENGTH, Lines::Single, examples_of::REFRESH_TOKEN)
    }
}

impl Described for SearchText {
    fn schema() -> Value {
        bounded(1, Self::MAX_LENGTH, Lines::Single, "mug")
    }
}

impl Described for Quantity {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": Self::MAX, "examples": [2] })
    }
}

impl Described for Stock {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": Self::MAX, "examples": [250] })
    }
}

impl Described for StockDelta {
    fn schema() -> Value {
        let most = Stock::MAX.cast_signed();
        json!({ "type": "integer", "minimum": -most, "maximum": most, "not": { "const": 0 }, "examples": [-2] })
    }
}

impl Described for PageLimit {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": Self::MAX, "default": Self::default().get() })
    }
}

impl Described for IdempotencyKey {
    fn schema() -> Value {
        json!({
            "type": "string", "minLength": 1, "maxLength": Self::MAX_LENGTH, "pattern": "^[!-~]+$",
            "examples": ["8e03978e-40d5-43e8-bc93-6894a57f9324"],
        })
    }
}

/// What is looked for in e-mail addresses.
pub(crate) fn part_of_email() -> Value {
    bounded(1, Email::MAX_LENGTH, Lines::Single, "@example.com")
}

/// A name of the payment provider's: visible ASCII.
pub(crate) fn provider_word(example: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$", "examples": [example] })
}

/// A price as requests may write it: a string, or a number that is read as written.
pub(crate) fn price_sent() -> Value {
    amount("^(0[.](0[1-9]|[1-9][0-9]?)|[1-9][0-9]{0,7}([.][0-9]{1,2})?)$", json!({ "exclusiveMinimum": 0 }))
}

/// The same, where zero is welcome.
pub(crate) fn amount_sent() -> Value {
    amount("^(0|[1-9][0-9]{0,7})([.][0-9]{1,2})?$", json!({ "minimum": 0 }))
}

fn amount(pattern: &str, least: Value) -> Value {
    let mut number = least;
    number["type"] = json!("number");
    number["maximum"] = json!(99_999_999.99);
    number["multipleOf"] = json!(0.01);
    json!({ "anyOf": [{ "type": "string", "pattern": pattern }, number], "examples": ["12.50"] })
}

/// An id.
pub(crate) fn id() -> Value {
    as_value(&Id::schema())
}

/// A moment.
pub(crate) fn timestamp() -> Value {
    as_value(&Timestamp::schema())
}

/// A position in a list.
pub(crate) fn cursor() -> Value {
    json!({
        "type": "string",
        "description": "`nextCursor` of the page before, as it came. Without one the list begins at its front.",
    })
}

/// One of a few words.
pub(crate) fn words(words: impl Iterator<Item = &'static str>) -> Value {
    json!({ "type": "string", "enum": words.collect::<Vec<_>>() })
}

/// A schema of utoipa's as the JSON that it is.
pub(super) fn as_value(schema: &RefOr<Schema>) -> Value {
    // It holds neither maps with odd keys nor anything else that JSON can't say.
    serde_json::to_value(schema).unwrap_or_default()
}

macro_rules! components {
    ($($(#[doc = $doc:literal])+ $name:ident = $schema:expr;)+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.description(Some(concat!($($doc),+).trim())).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn word(all: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(all))
}

components! {
    /// A UUID, version 7, in lower case.
    Id = text().format(Some(SchemaFormat::Custom("uuid".to_owned()))).examples([examples_of::PRODUCT]);
    /// An amount: a decimal with exactly two fraction digits, in the currency beside it.
    Money = text().pattern(Some(r"^(0|[1-9][0-9]*)\.[0-9]{2}$")).examples(["12.50"]);
    /// The shop's one currency (ISO 4217).
    Currency = text().pattern(Some("^[A-Z]{3}$")).examples(["USD"]);
    /// RFC 3339, in UTC.
    Timestamp = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).examples([examples_of::MOMENT]);
    /// What a user may do.
    UserRole = word(Role::ALL.map(Role::as_str));
    /// How far an order is.
    OrderStatusWord = word(OrderStatus::ALL.map(OrderStatus::as_str));
    /// How its payment stands.
    PaymentStatusWord = word(PaymentStatus::ALL.map(PaymentStatus::as_str));
    /// What holds its shipment until an admin clears it.
    OrderFlag = word(Flag::ALL.map(Flag::as_str));
    /// Who moved an order.
    OrderParty = word([Party::Customer, Party::Admin, Party::System, Party::Provider].map(Party::as_str));
    /// Who cancelled an order.
    OrderCanceller = word([CancelledBy::Customer, CancelledBy::Admin, CancelledBy::System].map(CancelledBy::as_str));
    /// Why a receipt goes back.
    ExtraReceiptReason = word([ExtraReason::Late, ExtraReason::Second, ExtraReason::Mismatch].map(ExtraReason::as_str));
    /// How a refund stands, in the provider's own words.
    RefundStatusWord = word(REFUND_STATUSES.map(RefundStatus::as_str));
    /// What became of an event.
    EventStatusWord = word(EVENT_STATUSES.map(EventStatus::as_str));
}

const REFUND_STATUSES: [RefundStatus; 5] = [
    RefundStatus::Pending,
    RefundStatus::RequiresAction,
    RefundStatus::Succeeded,
    RefundStatus::Failed,
    RefundStatus::Canceled,
];

const EVENT_STATUSES: [EventStatus; 4] =
    [EventStatus::Applied, EventStatus::Ignored, EventStatus::Waiting, EventStatus::Failed];

/// Values that examples have in common.
pub(super) mod examples_of {
    pub(in crate::openapi) const PRODUCT: &str = "019b2f1e-8c3a-7d10-9a41-5b7c0d2e4f60";
    pub(in crate::openapi) const MOMENT: &str = "2026-11-25T12:00:00.000000Z";
    pub(in crate::openapi) const REFRESH_TOKEN: &str = "kq0Vw5l1rZ8Yb3n7T2d9Xc4Ff6Gh1JmPsQeUoIaLzRs";
}
