//! Whether an answer is one that the document promises: what tests hold every answer to that they see.

use serde_json::Value;

use super::document;

/// What is wrong with an answer of this status (and code, if it is a problem); `None` if the document promises it, or
/// says nothing of such an address or method.
#[must_use]
pub fn broken_promise(method: &str, path: &str, status: u16, code: Option<&str>) -> Option<String> {
    let path = path.split('?').next().unwrap_or_default();
    let paths = document()["paths"].as_object()?;
    // The longest template that fits has the most words of its own.
    let (template, item) = paths.iter().filter(|(template, _)| fits(template, path)).max_by_key(|(t, _)| t.len())?;
    let operation = item.get(method.to_ascii_lowercase())?;
    let Some(answer) = operation["responses"].get(status.to_string()) else {
        return Some(format!("{method} {template} is not documented to answer {status}"));
    };
    let code = code?;
    let is_known = answer["content"]["application/problem+json"]["examples"].get(code).is_some_and(Value::is_object);
    (!is_known).then(|| format!("{method} {template} is not documented to answer {status} {code}"))
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given || (wanted.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
        }
    }
}
