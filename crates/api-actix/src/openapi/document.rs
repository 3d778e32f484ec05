//! Puts the document together from the routes.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::argument::RequestDescription;
use super::components::Components;
use super::operation::{Answer, Content};
use super::schemas::{Described, as_value};
use super::{OperationAt, Tag, problems, schemas};
use crate::access::Who;
use crate::problem::Code;
use crate::resource::{Methods, Routes};
use crate::routes;
use domain::idempotency::IdempotencyKey;
use utoipa::PartialSchema;

/// The document, made once. It says the same for every shop.
#[must_use]
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(make);
    &DOCUMENT
}

fn make() -> Value {
    let mut components = Components::default();
    problems::add_schemas(&mut components);
    for (name, schema) in [("Id", schemas::Id::schema()), ("Money", schemas::Money::schema())] {
        components.add(name, as_value(&schema));
    }
    components.add("OrderFlag", as_value(&schemas::OrderFlag::schema()));
    let mut paths = Map::new();
    let mut outside = Collected { prefix: "", components: &mut components, paths: &mut paths };
    routes::outside(&mut outside);
    routes::open(&mut outside);
    routes::metrics::routes(&mut outside);
    routes::api(&mut Collected { prefix: "/api/v1", ..outside });
    json!({
        "openapi": "3.1.0",
        "info": info(),
        "servers": [{ "url": "/", "description": "The shop that serves this document." }],
        "tags": Tag::ALL.map(|tag| json!({ "name": tag.name(), "description": tag.says() })),
        "paths": paths,
        "components": {
            "schemas": components.into_json(),
            "headers": headers(),
            "securitySchemes": security_schemes(),
        },
    })
}

fn info() -> Value {
    json!({
        "title": "Ironcart",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": "MIT", "identifier": "MIT" },
        "description": "A shop's backend: accounts, catalogue, carts, orders, payment through Stripe Checkout.\n\n\
            - Strings are trimmed, then measured. Unknown fields of a body are refused, unknown query parameters are \
            ignored, and so are empty ones.\n\
            - Money is a decimal string with two fraction digits. Requests may send a number instead; it is read as it \
            is written, so exponents are refused.\n\
            - Whole numbers are written without a fraction: `2`, not `2.0`.\n\
            - Every error is a problem (RFC 9457) with a stable `code`.\n\
            - Lists are read page by page: send `nextCursor` back as `cursor` until it is null.\n\
            - `X-Request-Id` is echoed if it is sane (up to 128 visible ASCII characters), else made.",
    })
}

/// Mounts resources in the document.
struct Collected<'a> {
    prefix: &'static str,
    components: &'a mut Components,
    paths: &'a mut Map<String, Value>,
}

impl Routes for Collected<'_> {
    fn service(&mut self, methods: Methods) -> &mut Self {
        let (path, is_read_whole, operations) = methods.described();
        let path = format!("{}{path}", self.prefix);
        let site = if !self.prefix.is_empty() {
            Site::Api
        } else if is_read_whole {
            Site::Webhook
        } else {
            Site::Outside
        };
        let mut item = Map::new();
        for at in operations.into_iter().filter(|at| at.operation.is_listed) {
            item.insert(at.method.to_owned(), describe(&path, site, &at, self.components));
        }
        if !item.is_empty() {
            self.paths.insert(path, Value::Object(item));
        }
        self
    }
}

/// Where a route is mounted, and so what it shares with others there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// Limits, and a body that is read up to its limit.
    Api,
    /// The latter only.
    Webhook,
    /// Neither.
    Outside,
}

fn describe(path: &str, site: Site, at: &OperationAt, components: &mut Components) -> Value {
    let operation = &at.operation;
    let mut request = RequestDescription::default();
    (at.describe_request)(&mut request);
    let mut answers = problems::answers(&codes(site, at, &request));
    for answer in &operation.answers {
        answers.insert(answer.status.as_str().to_owned(), show_answer(answer, site, &request, components));
    }
    let mut described = json!({
        "tags": [operation.tag.name()],
        "operationId": operation.id,
        "summary": operation.summary,
        "description": explain(at),
        "security": security(at),
        "responses": answers,
    });
    let parameters = parameters(path, operation.headers.as_slice(), &request);
    if !parameters.is_empty() {
        described["parameters"] = json!(parameters);
    }
    if let Some(body) = request_body(operation.id, &request, components) {
        described["requestBody"] = body;
    }
    described
}

fn explain(at: &OperationAt) -> String {
    let who = match at.who {
        Who::Anyone | Who::AnyoneRecognised => "",
        Who::Customer => "For customers.",
        Who::Admin => "For admins.",
        Who::Either => "For customers and admins.",
    };
    [at.operation.explanation, who].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn security(at: &OperationAt) -> Value {
    match at.who {
        Who::Anyone => json!([]),
        Who::AnyoneRecognised => json!([{}, { "accessToken": [] }]),
        Who::Customer | Who::Admin | Who::Either => json!([{ "accessToken": [] }]),
    }
}

/// The operation's own problems, and those that follow from where it is, who may call it, and what it takes.
fn codes(site: Site, at: &OperationAt, request: &RequestDescription) -> Vec<Code> {
    let mut codes = at.operation.refusals.clone();
    if matches!(site, Site::Api | Site::Webhook) {
        codes.extend([Code::MalformedRequest, Code::RequestTimeout, Code::PayloadTooLarge]);
        codes.extend([Code::Internal, Code::Unavailable]);
    }
    if site == Site::Api {
        codes.push(Code::RateLimited);
    }
    match at.who {
        Who::Customer | Who::Admin => codes.extend([Code::Unauthenticated, Code::Forbidden]),
        Who::Either => codes.push(Code::Unauthenticated),
        Who::Anyone | Who::AnyoneRecognised => {}
    }
    if request.body.is_some() {
        codes.extend([Code::UnsupportedMediaType, Code::ValidationFailed]);
    }
    if request.query.is_some() {
        codes.push(Code::ValidationFailed);
    }
    if request.is_keyed {
        codes.extend([Code::ValidationFailed, Code::IdempotencyKeyReused, Code::IdempotencyInProgress]);
    }
    codes
}

fn parameters(path: &str, headers: &[&'static str], request: &RequestDescription) -> Vec<Value> {
    let mut parameters = Vec::new();
    if request.has_path_id {
        let name = path.split(['{', '}']).nth(1).unwrap_or_default();
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schemas::id() }));
    }
    for field in request.query.iter().flatten() {
        let mut schema = field.schema.clone();
        let says = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({ "name": field.name, "in": "query", "required": field.required, "schema": schema });
        if !field.required {
            // An empty parameter counts as absent.
            parameter["allowEmptyValue"] = json!(true);
        }
        if let Some(says) = says {
            parameter["description"] = says;
        }
        parameters.push(parameter);
    }
    if request.is_keyed {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false, "schema": IdempotencyKey::schema(),
            "description": "The client's own name for this request. Within 24 hours the same key with the same request \
                has one effect and one answer.",
        }));
    }
    parameters.extend(headers.iter().map(|name| header_parameter(name)));
    parameters
}

fn header_parameter(name: &str) -> Value {
    let (required, schema, says) = match name {
        "If-Match" => {
            (false, json!({ "type": "string" }), "Changes the product only if it still has this `ETag`; else 412.")
        }
        "If-None-Match" => (false, json!({ "type": "string" }), "Answers 304 if the product still has this `ETag`."),
        "Stripe-Signature" => (
            true,
            json!({
                "type": "string", "pattern": "^t=[0-9]+,v1=[0-9a-f]{64}$",
                "examples": [format!("t=1764072000,v1={}", "5f".repeat(32))],
            }),
            "Time and HMAC-SHA256 over time and body, as Stripe signs its events. It holds for 300 seconds.",
        ),
        _ => (false, json!({ "type": "string" }), ""),
    };
    json!({ "name": name, "in": "header", "required": required, "schema": schema, "description": says })
}

fn request_body(operation: &str, request: &RequestDescription, components: &mut Components) -> Option<Value> {
    if request.is_raw {
        return Some(json!({
            "required": true,
            "description": "The event as Stripe sends it. The signature is over its bytes.",
            "content": { "application/json": { "schema": {
                "type": "object",
                "properties": {
                    "id": schemas::provider_word("evt_1Qabc"),
                    "type": schemas::provider_word("checkout.session.completed"),
                },
                "required": ["id", "type"],
            } } },
        }));
    }
    let body = request.body.as_ref()?;
    let name = format!("{}{}Request", operation[..1].to_ascii_uppercase(), &operation[1..]);
    let schema = components.request(&name, body);
    Some(json!({
        "required": !accepts_nothing(components.resolve(&schema)),
        "content": { "application/json": { "schema": schema } },
    }))
}

/// Whether `{}` will do, which is what no body means.
fn accepts_nothing(schema: &Value) -> bool {
    let wants_nothing = |schema: &Value| schema["required"].as_array().is_none_or(Vec::is_empty);
    match schema["anyOf"].as_array() {
        Some(alternatives) => alternatives.iter().any(wants_nothing),
        None => wants_nothing(schema),
    }
}

fn show_answer(answer: &Answer, site: Site, request: &RequestDescription, components: &mut Components) -> Value {
    let mut headers = answer.headers.clone();
    headers.push("X-Request-Id");
    if request.is_keyed {
        headers.push("Idempotency-Replayed");
    }
    if site == Site::Api {
        headers.extend(["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]);
    }
    let header = |name: &&str| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    let headers: Map<_, _> = headers.iter().map(header).collect();
    let mut shown = json!({ "description": answer.says, "headers": headers });
    match answer.content {
        Content::Nothing => {}
        Content::Text(media_type) => {
            shown["content"] = json!({ media_type: { "schema": { "type": "string" } } });
        }
        Content::Json(schema) => {
            let schema = schema(components);
            let example = components.resolve(&schema)["examples"].get(0).cloned();
            let mut content = json!({ "schema": schema });
            if let Some(example) = example {
                content["example"] = example;
            }
            shown["content"] = json!({ "application/json": content });
        }
    }
    shown
}

fn headers() -> Value {
    let text = |says: &str| json!({ "description": says, "schema": { "type": "string" } });
    let number = |says: &str| json!({ "description": says, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "X-Request-Id": text("Names this request in the shop's log."),
        "RateLimit-Limit": number("The size of the limit that is closest."),
        "RateLimit-Remaining": number("How many more requests it lets through now."),
        "RateLimit-Reset": number("In how many seconds all of it is free again."),
        "Retry-After": number("In how many seconds another try may succeed."),
        "WWW-Authenticate": text("`Bearer`"),
        "Location": text("Where what was made can be read."),
        "ETag": text("What the product is now, for `If-Match` and `If-None-Match`."),
        "Idempotency-Replayed": text("`true` if this is the answer to an earlier request with the same key."),
    })
}

fn security_schemes() -> Value {
    json!({
        "accessToken": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "The `accessToken` of `POST /api/v1/auth/login`. It lasts 15 minutes, unless the shop says otherwise.",
        },
    })
}
