#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{broken_promise, document};
use crate::problem::Code;

fn committed_copy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

fn operations() -> Vec<(String, &'static str, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    let of_path = |(path, item): (&'static String, &'static Value)| {
        let named =
            move |(method, operation): (&'static String, &'static Value)| (path.clone(), method.as_str(), operation);
        item.as_object().unwrap().iter().map(named)
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn the_committed_copy_is_what_is_served() {
    let committed = std::fs::read_to_string(committed_copy()).expect("docs/openapi.json");
    let committed: Value = serde_json::from_str(&committed).expect("JSON");
    assert!(committed == *document(), "docs/openapi.json is not what the code says. To do: run `make openapi`.");
}

#[test]
#[ignore = "writes docs/openapi.json: `make openapi`"]
fn write_the_committed_copy() {
    let text = serde_json::to_string_pretty(document()).unwrap();
    std::fs::write(committed_copy(), format!("{text}\n")).unwrap();
}

#[test]
fn every_route_of_the_contract_is_described_for_whom_it_is() {
    let mut table = String::new();
    for (path, method, operation) in operations() {
        let who = match &operation["security"] {
            list if *list == json!([]) => "anyone",
            list if list[0] == json!({}) => "anyone, recognised",
            _ => operation["description"].as_str().unwrap().rsplit("\n\n").next().unwrap(),
        };
        writeln!(table, "{} {path}: {who}", method.to_uppercase()).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_operation_has_a_name_of_its_own_and_an_answer_that_is_no_problem() {
    let mut names = HashSet::new();
    for (path, method, operation) in operations() {
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{path}");
        for said in ["summary", "operationId"] {
            assert!(!operation[said].as_str().unwrap().is_empty(), "{method} {path}: {said}");
        }
        let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
        assert!(statuses.iter().any(|status| status.starts_with('2')), "{method} {path}: {statuses:?}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let target = (name == "$ref").then(|| member.as_str().unwrap().trim_start_matches('#'));
                    assert!(target.is_none_or(|target| document().pointer(target).is_some()), "{member}");
                    check(member);
                }
            }
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }
    check(document());
}

#[test]
fn every_problem_is_promised_by_an_operation_unless_it_concerns_none() {
    let promised: HashSet<String> = operations()
        .into_iter()
        .flat_map(|(_, _, operation)| operation["responses"].as_object().unwrap().values())
        .filter_map(|answer| answer["content"]["application/problem+json"]["examples"].as_object())
        .flat_map(|examples| examples.keys().cloned())
        .collect();
    for code in Code::ALL {
        // A method that is not allowed is no operation.
        assert_eq!(promised.contains(code.as_str()), *code != Code::MethodNotAllowed, "{}", code.as_str());
    }
}

#[test]
fn a_request_is_described_by_what_its_reader_asks_for() {
    let schemas = &document()["components"]["schemas"];
    let register = &schemas["RegisterRequest"];
    assert_eq!(register["required"], json!(["email", "password"]));
    assert_eq!(register["additionalProperties"], json!(false));
    assert_eq!(register["properties"]["password"]["minLength"], 8);
    assert_eq!(register["properties"]["name"]["maxLength"], 50);
    assert_eq!(register["properties"]["name"]["type"], json!(["string", "null"]), "null counts as absent");
    let parameters = document()["paths"]["/api/v1/products"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<_> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["maxPrice", "q", "minPrice", "inStock", "sort", "cursor", "limit"]);
    assert_eq!(schemas["FulfilOrderRequest"]["anyOf"].as_array().unwrap().len(), 3);
}

#[test]
fn an_answer_that_is_not_promised_is_found() {
    assert_eq!(broken_promise("GET", "/api/v1/products?limit=1", 200, None), None);
    assert_eq!(broken_promise("POST", "/api/v1/auth/login", 401, Some("invalid_credentials")), None);
    assert_eq!(broken_promise("GET", "/nothing", 404, Some("not_found")), None);
    for (method, path, status, code) in [
        ("GET", "/api/v1/products", 201, None),
        ("POST", "/api/v1/auth/login", 401, Some("unauthenticated")),
        ("GET", "/api/v1/orders/019b2f20-1c55-7e02-b6d8-94a3f7c0e812", 409, Some("cart_empty")),
    ] {
        assert!(broken_promise(method, path, status, code).is_some(), "{method} {path} {status} {code:?}");
    }
}
