//! Problems as schemas: one per code, so that a client can tell them apart by `code` and read what each adds.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use domain::order::Flag;
use serde_json::{Map, Value, json};

use super::components::{Components, reference};
use super::schemas::examples_of::PRODUCT;
use crate::problem::{Code, FieldError, Problem};

/// Adds the schema that all problems share, and one for each code.
pub(super) fn add_schemas(components: &mut Components) {
    components.add(
        "Problem",
        json!({
            "type": "object",
            "description": "RFC 9457. `code` is stable; `title` and `detail` are for people and may change.",
            "properties": {
                "type": { "type": "string", "format": "uri-reference" },
                "title": { "type": "string" },
                "status": { "type": "integer", "minimum": 400, "maximum": 599 },
                "detail": { "type": "string" },
                "instance": { "type": "string", "description": "The path of the request." },
                "code": { "type": "string", "enum": Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>() },
                "requestId": { "type": "string", "description": "As in `X-Request-Id`: quote it when you report a problem." },
            },
            "required": ["type", "title", "status", "detail", "instance", "code", "requestId"],
        }),
    );
    // A method that is not allowed is no operation, so nothing refers to its problem.
    for code in Code::ALL.iter().filter(|code| **code != Code::MethodNotAllowed) {
        components.add(&schema_name(*code), schema(*code));
    }
}

fn schema(code: Code) -> Value {
    let mut properties = json!({ "code": { "const": code.as_str() }, "status": { "const": code.status().as_u16() } });
    let mut required = vec!["code", "status"];
    if let Some(own) = properties.as_object_mut() {
        for Member { name, schema, .. } in members(code) {
            own.insert(name.to_owned(), schema);
            required.push(name);
        }
        if code == Code::ValidationFailed {
            own.insert("errors".to_owned(), errors());
        }
    }
    json!({
        "description": format!("{}.", code.title()),
        "allOf": [
            reference("Problem"),
            { "type": "object", "properties": properties, "required": required },
        ],
        "examples": [example(code)],
    })
}

/// Not there if the body or the query as a whole can't be read field by field.
fn errors() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": { "field": { "type": "string" }, "message": { "type": "string" } },
            "required": ["field", "message"],
        },
    })
}

/// A member that problems of one code add.
struct Member {
    name: &'static str,
    schema: Value,
    example: Value,
}

fn members(code: Code) -> Vec<Member> {
    let member = |name, schema, example| Member { name, schema, example };
    let product = || member("productId", reference("Id"), json!(PRODUCT));
    let word = |name, example: &str| member(name, json!({ "type": "string" }), json!(example));
    match code {
        Code::InsufficientStock => {
            let units = || json!({ "type": "integer", "minimum": 0 });
            vec![product(), member("available", units(), json!(1)), member("requested", units(), json!(2))]
        }
        Code::ProductUnavailable => vec![product()],
        Code::TotalChanged | Code::OrderTotalNotPayable => {
            vec![member("total", reference("Money"), json!("25.00"))]
        }
        Code::InvalidTransition => vec![word("from", "DELIVERED"), word("to", "CANCELLED")],
        Code::OrderFlagged => {
            let flags = json!({ "type": "array", "items": reference("OrderFlag"), "minItems": 1 });
            vec![member("flags", flags, json!([Flag::Disputed.as_str()]))]
        }
        _ => Vec::new(),
    }
}

/// The problem as it is sent, with an id and a path.
fn example(code: Code) -> Value {
    let plain = match code {
        Code::ValidationFailed => {
            let message = "must be 1 to 1000".to_owned();
            Problem::invalid(vec![FieldError { field: "quantity".to_owned(), message }])
        }
        _ => Problem::new(code),
    };
    let problem = members(code).into_iter().fold(plain, |problem, member| problem.with(member.name, member.example));
    problem.body("019b2f1e-9d41-7c52-8f03-1a6e4b8c9d70", "/api/v1/…")
}

fn schema_name(code: Code) -> String {
    format!("{}Problem", pascal(code.as_str()))
}

fn pascal(snake: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    snake.split('_').filter(|word| !word.is_empty()).map(capital).collect()
}

/// The answers with these problems, by status.
pub(super) fn answers(codes: &[Code]) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL.iter().filter(|code| codes.contains(code)) {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    let answer = |(status, codes): (u16, Vec<Code>)| (status.to_string(), of_status(status, &codes));
    by_status.into_iter().map(answer).collect()
}

fn of_status(status: u16, codes: &[Code]) -> Value {
    let says: Vec<_> = codes.iter().map(|code| format!("`{}`: {}.", code.as_str(), code.title())).collect();
    let one = |code: &Code| reference(&schema_name(*code));
    let schema = match codes {
        [only] => one(only),
        several => {
            let mapping: Map<_, _> = several
                .iter()
                .map(|code| (code.as_str().to_owned(), json!(format!("#/components/schemas/{}", schema_name(*code)))))
                .collect();
            let one_of: Vec<_> = several.iter().map(one).collect();
            json!({ "oneOf": one_of, "discriminator": { "propertyName": "code", "mapping": mapping } })
        }
    };
    let examples: Map<_, _> =
        codes.iter().map(|code| (code.as_str().to_owned(), json!({ "value": example(*code) }))).collect();
    json!({
        "description": says.join("\n\n"),
        "headers": headers(status, codes),
        "content": { "application/problem+json": { "schema": schema, "examples": examples } },
    })
}

fn headers(status: u16, codes: &[Code]) -> Value {
    let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    let mut headers = json!({ "X-Request-Id": header("X-Request-Id") });
    let waits = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].map(|status| status.as_u16());
    if waits.contains(&status) || codes.contains(&Code::IdempotencyInProgress) {
        headers["Retry-After"] = header("Retry-After");
    }
    if status == StatusCode::UNAUTHORIZED.as_u16() {
        headers["WWW-Authenticate"] = header("WWW-Authenticate");
    }
    headers
}
