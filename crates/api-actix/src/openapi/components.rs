//! The schemas that answers and requests refer to, each once and by its name.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::argument::BodyDescription;
use super::{examples, schemas};

/// The schemas so far.
#[derive(Debug, Default)]
pub(super) struct Components(BTreeMap<String, Value>);

impl Components {
    /// A reference to a body of this type, which is added with all that it refers to.
    pub(super) fn body<T: ToSchema>(&mut self) -> Value {
        let mut found = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        for (name, schema) in found {
            let example = examples::of(&name);
            self.0.entry(name).or_insert_with(|| {
                let mut schema = require_all(schemas::as_value(&schema));
                if let Some(example) = example {
                    schema["examples"] = json!([example]);
                }
                schema
            });
        }
        reference(&T::name())
    }

    /// A reference to a page of a list of these.
    pub(super) fn list<T: ToSchema>(&mut self) -> Value {
        let item = self.body::<T>();
        let name = format!("{}List", T::name());
        let list = json!({
            "type": "object",
            "properties": {
                "items": { "type": "array", "items": item },
                "nextCursor": {
                    "type": ["string", "null"],
                    "description": "Send it as `cursor` to get the next page; null on the last one.",
                },
            },
            "required": ["items", "nextCursor"],
            "examples": [{ "items": examples::of(&T::name()).map_or_else(Vec::new, |one| vec![one]), "nextCursor": null }],
        });
        self.0.insert(name.clone(), list);
        reference(&name)
    }

    /// A reference to a request's body.
    pub(super) fn request(&mut self, name: &str, body: &BodyDescription) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut example = Map::new();
        for field in &body.fields {
            if field.required {
                required.push(field.name);
            }
            if let Some(first) = field.schema["examples"].get(0) {
                example.insert(field.name.to_owned(), first.clone());
            }
            let schema = if field.required { field.schema.clone() } else { or_null(&field.schema) };
            properties.insert(field.name.to_owned(), schema);
        }
        let schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
            "examples": [example],
        });
        self.0.insert(name.to_owned(), (body.refine)(schema));
        reference(name)
    }

    /// Adds a schema by hand.
    pub(super) fn add(&mut self, name: &str, schema: Value) {
        self.0.insert(name.to_owned(), schema);
    }

    /// The schema behind a reference.
    pub(super) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        name.and_then(|name| self.0.get(name)).unwrap_or(schema)
    }

    pub(super) fn into_json(self) -> Value {
        json!(self.0)
    }
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Answers always show all of their fields; what has no value is null.
fn require_all(mut schema: Value) -> Value {
    if let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) {
        for part in parts {
            *part = require_all(part.take());
        }
        return schema;
    }
    let names: Vec<_> = schema["properties"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
    if !names.is_empty() {
        schema["required"] = json!(names);
    }
    schema
}

/// JSON's null counts as absent.
fn or_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let is_plain = schema["type"].is_string() && schema.get("enum").is_none() && schema.get("const").is_none();
    if is_plain {
        schema["type"] = json!([schema["type"], "null"]);
        return schema;
    }
    let examples = schema.as_object_mut().and_then(|object| object.remove("examples"));
    let mut either = json!({ "anyOf": [schema, { "type": "null" }] });
    if let Some(examples) = examples {
        either["examples"] = examples;
    }
    either
}
