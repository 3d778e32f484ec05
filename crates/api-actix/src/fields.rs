//! Reads JSON objects and query strings field by field, straight into domain types, and names every field that
//! breaks a rule, not just the first (contract 1, `validation_failed`).
//!
//! Values stay raw text until a reader asks for one kind of value. So money is read as it was written, and
//! no nesting, however deep, is ever followed.
//!
//! A reader also says what it accepts ([`Reader`]), and a request is described by letting it read from
//! [`Fields::description`]: what the API's description says of a request can't differ from what is read.

use std::fmt::Display;

use domain::money::{Currency, Price, parse_amount_minor};
use domain::page::PageLimit;
use serde::Deserializer as _;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cursor;
use crate::openapi::{Described, FieldDescription, schemas};
use crate::problem::{Code, FieldError, Problem};

/// How many unknown fields one answer names, and how much of each name: an answer stays small.
const MAX_UNKNOWN: usize = 20;
const MAX_UNKNOWN_LENGTH: usize = 64;

/// A request body or query that can be read from [`Fields`].
pub trait Request: Sized {
    /// Takes the fields. `None` only if a required one is missing or wrong, which `fields` then knows.
    fn read(fields: &mut Fields) -> Option<Self>;

    /// Reads, and answers with the problem of all fields that are wrong.
    fn read_all(mut fields: Fields) -> Result<Self, Problem> {
        let read = Self::read(&mut fields);
        fields.finish()?;
        read.ok_or_else(|| Problem::internal("a request was refused without a reason"))
    }

    /// Adds to the schema of the request's body what single fields don't tell: which of them go together.
    #[must_use]
    fn refine(schema: Value) -> Value {
        schema
    }
}

/// The body of a route that takes none: nothing, or `{}`.
#[derive(Debug, Clone, Copy)]
pub struct NoFields;

impl Request for NoFields {
    fn read(_: &mut Fields) -> Option<Self> {
        Some(Self)
    }
}

/// One value as the client wrote it.
#[derive(Debug, Clone, Copy)]
pub enum Wire<'a> {
    /// The text of a JSON value.
    Json(&'a str),
    /// A decoded query parameter.
    Query(&'a str),
}

/// How a value is read, and the schema of all that it accepts. `S` and `R` are closures: a request that is only read
/// makes no schema.
pub struct Reader<S, R> {
    schema: S,
    read: R,
}

impl<S, R> Reader<S, R> {
    /// A reader with a schema of its own, where no type has one.
    pub const fn new(schema: S, read: R) -> Self {
        Self { schema, read }
    }

    /// Reads one value.
    pub fn read<T>(self, wire: Wire<'_>) -> Result<T, String>
    where
        R: FnOnce(Wire<'_>) -> Result<T, String>,
    {
        (self.read)(wire)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    NoBody,
    Json,
    Query,
}

/// The fields of one request, and what was found wrong with them so far.
#[derive(Debug)]
pub struct Fields {
    source: Source,
    currency: Currency,
    values: Vec<(String, String)>,
    errors: Vec<FieldError>,
    missing: bool,
    /// What was asked for, if that is all that this is about.
    description: Option<Vec<FieldDescription>>,
}

impl Fields {
    /// A request without a body: `{}`, if every field of the request is optional.
    #[must_use]
    pub const fn of_no_body(currency: Currency) -> Self {
        Self {
            source: Source::NoBody,
            currency,
            values: Vec::new(),
            errors: Vec::new(),
            missing: false,
            description: None,
        }
    }

    /// The fields that a request asks for, in its order. It gets none of them.
    #[must_use]
    pub fn description<T: Request>() -> Vec<FieldDescription> {
        let mut fields = Self { description: Some(Vec::new()), ..Self::of_no_body(Currency::USD) };
        let _nothing_was_there = T::read(&mut fields);
        fields.description.unwrap_or_default()
    }

    /// Reads a JSON object. What is no JSON in UTF-8 is 400, what is no object is 422.
    pub fn of_json(raw: &[u8], currency: Currency) -> Result<Self, Problem> {
        let malformed =
            |why: &dyn Display| Problem::new(Code::MalformedRequest).detail(format!("The body is not JSON: {why}."));
        let text = str::from_utf8(raw).map_err(|_| malformed(&"it is not in UTF-8"))?;
        let value: &RawValue = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        if !value.get().starts_with('{') {
            return Err(Problem::new(Code::ValidationFailed).detail("The body must be a JSON object."));
        }
        let values = serde_json::Deserializer::from_str(value.get())
            .deserialize_map(Members)
            .map_err(|error| malformed(&error))?;
        Ok(Self { source: Source::Json, values, ..Self::of_no_body(currency) })
    }

    /// Reads a query string.
    pub fn of_query(query: &str, currency: Currency) -> Result<Self, Problem> {
        let values = serde_urlencoded::from_str(query)
            .map_err(|_| Problem::new(Code::ValidationFailed).detail("The query string can't be read."))?;
        Ok(Self { source: Source::Query, values, ..Self::of_no_body(currency) })
    }

    /// The shop's one currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// A field that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        reader: Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<T, String>>,
    ) -> Option<T> {
        if let Some(asked) = &mut self.description {
            asked.push(FieldDescription { name, required: true, schema: (reader.schema)() });
        }
        match self.take(name) {
            None => {
                self.missing = true;
                self.refuse(name, "is required");
                None
            }
            Some(value) => self.read(name, &value, reader),
        }
    }

    /// A field that may be absent; JSON's `null` and an empty query parameter count as absent.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        reader: Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<T, String>>,
    ) -> Option<T> {
        if let Some(asked) = &mut self.description {
            asked.push(FieldDescription { name, required: false, schema: (reader.schema)() });
        }
        let value = self.take(name)?;
        if self.is_absent(&value) { None } else { self.read(name, &value, reader) }
    }

    /// Whether a field is there, right or wrong, before it is read; for rules about which fields go together.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(key, value)| key == name && !self.is_absent(value))
    }

    /// Records a rule that several fields break together, or that a reader can't see.
    pub fn refuse(&mut self, name: &str, message: impl Display) {
        self.errors.push(FieldError { field: name.to_owned(), message: message.to_string() });
    }

    fn is_absent(&self, value: &str) -> bool {
        match self.source {
            Source::Query => value.is_empty(),
            Source::Json | Source::NoBody => value == "null",
        }
    }

    fn read<T, S>(
        &mut self,
        name: &str,
        value: &str,
        reader: Reader<S, impl FnOnce(Wire<'_>) -> Result<T, String>>,
    ) -> Option<T> {
        let wire = if self.source == Source::Query { Wire::Query(value) } else { Wire::Json(value) };
        reader.read(wire).map_err(|message| self.refuse(name, message)).ok()
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let first = self.values.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.values.remove(first);
        if self.values.iter().any(|(key, _)| key == name) {
            self.values.retain(|(key, _)| key != name);
            self.refuse(name, "must be given only once");
        }
        Some(value)
    }

    /// Ends the reading: unknown fields of a body are refused, unknown query parameters are ignored.
    fn finish(mut self) -> Result<(), Problem> {
        if self.source == Source::NoBody && self.missing {
            return Err(Problem::new(Code::MalformedRequest).detail("A JSON body is required here."));
        }
        if self.source == Source::Json {
            for (name, _) in self.values.drain(..).take(MAX_UNKNOWN) {
                let field = name.chars().take(MAX_UNKNOWN_LENGTH).collect();
                self.errors.push(FieldError { field, message: "is not known here".to_owned() });
            }
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }
}

/// Collects an object's members without looking into their values.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            members.push((name, value.get().to_owned()));
        }
        Ok(members)
    }
}

/// Reads a string, then lets `parse` make a domain type of it.
pub fn text<T: Described, E: Display>(
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<T, String>> {
    text_of(T::schema, parse)
}

/// Reads a string that has a schema, but no type of its own.
pub fn text_of<T, E: Display>(
    schema: impl Fn() -> Value,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<T, String>> {
    Reader::new(schema, move |wire: Wire<'_>| parse(&string(wire)?).map_err(|error| error.to_string()))
}

/// Reads a whole number, then lets `parse` make a domain type of it.
pub fn integer<T: Described, E: Display>(
    parse: impl FnOnce(i64) -> Result<T, E>,
) -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<T, String>> {
    Reader::new(T::schema, move |wire: Wire<'_>| {
        let (Wire::Json(number) | Wire::Query(number)) = wire;
        let number: i64 = number.parse().map_err(|_| "must be a whole number".to_owned())?;
        parse(number).map_err(|error| error.to_string())
    })
}

/// Reads `true` or `false`.
#[must_use]
pub fn boolean() -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<bool, String>> {
    Reader::new(
        || json!({ "type": "boolean" }),
        |wire: Wire<'_>| {
            let (Wire::Json(value) | Wire::Query(value)) = wire;
            value.parse().map_err(|_| "must be true or false".to_owned())
        },
    )
}

/// Reads an amount in minor units, zero included, as it was written: a string or a JSON number (contract 1, "money").
pub fn amount() -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<i64, String>> {
    Reader::new(schemas::amount_sent, amount_minor)
}

fn amount_minor(wire: Wire<'_>) -> Result<i64, String> {
    let written = match wire {
        Wire::Json(number) if !number.starts_with('"') => number.to_owned(),
        Wire::Json(_) | Wire::Query(_) => string(wire)?,
    };
    parse_amount_minor(written.trim()).map_err(|error| error.to_string())
}

/// Reads a price in the shop's currency: more than 0.
pub fn price(currency: Currency) -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<Price, String>> {
    Reader::new(schemas::price_sent, move |wire: Wire<'_>| {
        let amount = domain::money::Money::from_minor(amount_minor(wire)?, currency);
        Price::new(amount).map_err(|error| error.to_string())
    })
}

/// Reads an id.
pub fn id<T: std::str::FromStr>() -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<T, String>> {
    Reader::new(schemas::id, |wire: Wire<'_>| string(wire)?.parse().map_err(|_| "must be a UUID".to_owned()))
}

/// Reads one of a few words, such as an enum's.
pub fn one_of<T: Copy>(
    words: &[(&'static str, T)],
) -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<T, String>> {
    Reader::new(
        move || schemas::words(words.iter().map(|(word, _)| *word)),
        |wire: Wire<'_>| {
            let word = string(wire)?;
            words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
                format!("must be one of {}", known.join(", "))
            })
        },
    )
}

/// Reads a moment in RFC 3339.
pub fn timestamp() -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<domain::clock::Timestamp, String>> {
    Reader::new(schemas::timestamp, |wire: Wire<'_>| {
        cursor::parse_timestamp(&string(wire)?)
            .ok_or_else(|| "must be a time in RFC 3339, such as 2026-01-31T12:00:00Z".to_owned())
    })
}

/// Reads the `limit` of a list: 1 to 100, 20 if absent.
pub fn limit(fields: &mut Fields) -> PageLimit {
    let within = |limit: i64| u64::try_from(limit).ok().and_then(PageLimit::new).ok_or("must be 1 to 100");
    fields.optional("limit", integer(within)).unwrap_or_default()
}

/// Reads the `cursor` of a list into the position that [`cursor::encode`] wrote.
pub fn cursor<W: DeserializeOwned, T>(fields: &mut Fields, position: impl FnOnce(W) -> Option<T>) -> Option<T> {
    let read = |text: &str| cursor::decode::<W>(text).and_then(position).ok_or("is not a cursor of this list");
    fields.optional("cursor", text_of(schemas::cursor, read))
}

/// The string itself. Control characters are for the domain's types to judge; those that come without a type of
/// their own end in a parser that knows none.
fn string(wire: Wire<'_>) -> Result<String, String> {
    match wire {
        Wire::Query(text) => Ok(text.to_owned()),
        Wire::Json(json) if json.starts_with('"') => {
            serde_json::from_str(json).map_err(|_| "must be valid Unicode".to_owned())
        }
        Wire::Json(_) => Err("must be a string".to_owned()),
    }
}
