//! Stripe's request encoding: forms whose keys nest by brackets, as `a[b][0]=c`, read into a tree.

use std::borrow::Cow;

use crate::error::ApiError;

/// Deeper keys are refused; Stripe's own parameters stay below.
const MAX_DEPTH: usize = 8;
/// Pairs in one request: 100 line items with every field and full metadata stay well below.
const MAX_PAIRS: usize = 4_000;

/// A value, or named values in the order sent. A list is a tree whose names are its indices.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Tree(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn empty() -> Self {
        Self::Tree(Vec::new())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Text(_) => None,
            Self::Tree(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, node)| node),
        }
    }

    /// Parses a query string or a form body. Keys may be escaped or not, as Stripe's own libraries differ in it.
    pub(crate) fn parse(encoded: &[u8]) -> Result<Self, ApiError> {
        let mut root = Self::empty();
        for (count, (key, value)) in form_urlencoded::parse(encoded).enumerate() {
            if count >= MAX_PAIRS {
                return Err(ApiError::invalid(format!("More than {MAX_PAIRS} parameters in one request.")));
            }
            let path = split_key(&key)?;
            root.insert(&path, value, &key)?;
        }
        Ok(root)
    }

    fn insert(&mut self, path: &[&str], value: Cow<'_, str>, key: &str) -> Result<(), ApiError> {
        let Self::Tree(entries) = self else {
            return Err(ApiError::invalid(format!("Invalid parameters: '{key}' is both a value and an object.")));
        };
        let Some((&head, rest)) = path.split_first() else {
            *self = Self::Text(value.into_owned());
            return Ok(());
        };
        let name = if head.is_empty() { next_index(entries, rest) } else { head.to_owned() };
        let position = entries.iter().position(|(existing, _)| *existing == name);
        let entry = if let Some(position) = position {
            &mut entries[position].1
        } else {
            entries.push((name, Self::empty()));
            let last = entries.len() - 1;
            &mut entries[last].1
        };
        if rest.is_empty() {
            *entry = Self::Text(value.into_owned());
            return Ok(());
        }
        entry.insert(rest, value, key)
    }

    /// The tree as JSON, for the record of requests.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => serde_json::Value::String(text.clone()),
            Self::Tree(entries) => {
                serde_json::Value::Object(entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect())
            }
        }
    }

    /// Every path to a value, in bracket form: what two requests are compared by.
    pub(crate) fn fingerprint(&self) -> String {
        let mut leaves = Vec::new();
        self.visit_leaves(&mut Vec::new(), &mut |path, text| leaves.push(format!("{}={text}", bracketed(path))));
        leaves.sort_unstable();
        leaves.join("&")
    }

    pub(crate) fn visit_leaves<'a>(&'a self, path: &mut Vec<&'a str>, visit: &mut impl FnMut(&[&'a str], &str)) {
        match self {
            Self::Text(text) => visit(path, text),
            Self::Tree(entries) => {
                for (name, node) in entries {
                    path.push(name);
                    node.visit_leaves(path, visit);
                    path.pop();
                }
            }
        }
    }
}

/// `["a", "b", "0"]` as `a[b][0]`, the way Stripe names a parameter in an error.
pub(crate) fn bracketed(path: &[&str]) -> String {
    let mut text = String::new();
    for (index, part) in path.iter().enumerate() {
        if index == 0 {
            text.push_str(part);
        } else {
            text.push('[');
            text.push_str(part);
            text.push(']');
        }
    }
    text
}

/// `a[][b]=…` continues the last entry until it has a `b`, then begins the next: so lists of objects are sent.
fn next_index(entries: &[(String, Node)], rest: &[&str]) -> String {
    if let (Some((last, node)), Some(field)) = (entries.last(), rest.first())
        && !field.is_empty()
        && node.get(field).is_none()
    {
        return last.clone();
    }
    entries.len().to_string()
}

fn split_key(key: &str) -> Result<Vec<&str>, ApiError> {
    let broken = || ApiError::invalid(format!("Invalid parameter name: '{key}'."));
    let Some(open) = key.find('[') else {
        return if key.is_empty() { Err(broken()) } else { Ok(vec![key]) };
    };
    let (head, mut rest) = key.split_at(open);
    if head.is_empty() {
        return Err(broken());
    }
    let mut path = vec![head];
    while !rest.is_empty() {
        let inner = rest.strip_prefix('[').ok_or_else(broken)?;
        let close = inner.find(']').ok_or_else(broken)?;
        path.push(&inner[..close]);
        rest = &inner[close + 1..];
        if path.len() > MAX_DEPTH {
            return Err(broken());
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn text<'a>(node: &'a Node, path: &[&str]) -> Option<&'a str> {
        let mut current = node;
        for part in path {
            current = current.get(part)?;
        }
        match current {
            Node::Text(text) => Some(text),
            Node::Tree(_) => None,
        }
    }

    #[test]
    fn keys_may_be_escaped_or_not() {
        let plain = Node::parse(b"expand[0]=payment_intent&a[b]=1%262").unwrap();
        let escaped = Node::parse(b"expand%5B0%5D=payment_intent&a%5Bb%5D=1%262").unwrap();
        assert_eq!(plain, escaped);
        assert_eq!(text(&plain, &["a", "b"]), Some("1&2"));
    }

    #[test]
    fn empty_brackets_append_and_group_the_fields_of_one_entry() {
        let node =
            Node::parse(b"items[][price]=p1&items[][quantity]=2&items[][price]=p2&expand[]=a&expand[]=b").unwrap();
        assert_eq!(text(&node, &["items", "0", "quantity"]), Some("2"));
        assert_eq!(text(&node, &["items", "1", "price"]), Some("p2"));
        assert_eq!(text(&node, &["expand", "1"]), Some("b"));
    }

    #[test]
    fn the_order_of_parameters_does_not_change_the_fingerprint() {
        let one = Node::parse(b"a=1&b[c]=2").unwrap();
        let other = Node::parse(b"b[c]=2&a=1").unwrap();
        assert_eq!(one.fingerprint(), other.fingerprint());
    }

    #[test]
    fn broken_keys_are_refused() {
        for body in ["=1", "[a]=1", "a[b=1", "a]b[=1", "a=1&a[b]=2"] {
            assert!(Node::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
