//! Typed reading of a request's parameters, with Stripe's own complaints about them.

use std::collections::BTreeMap;

use crate::error::ApiError;
use crate::form::{Node, bracketed};

/// Key-value pairs that a caller attaches to an object.
pub(crate) type Metadata = BTreeMap<String, String>;

const METADATA_MAX_KEYS: usize = 50;
const METADATA_KEY_MAX_CHARS: usize = 40;
const METADATA_VALUE_MAX_CHARS: usize = 500;

/// Refuses every parameter that no pattern knows.
///
/// A pattern is a path with dots; `#` stands for a list's index, `*` for any one name, a closing `**` for anything
/// below.
pub(crate) fn refuse_unknown(root: &Node, patterns: &[&str]) -> Result<(), ApiError> {
    let mut unknown = None;
    root.visit_leaves(&mut Vec::new(), &mut |path, _| {
        if unknown.is_none() && !patterns.iter().any(|pattern| matches_pattern(pattern, path)) {
            unknown = Some(bracketed(path));
        }
    });
    match unknown {
        None => Ok(()),
        Some(name) => {
            Err(ApiError::invalid(format!("Received unknown parameter: {name}")).code("parameter_unknown").param(name))
        }
    }
}

fn matches_pattern(pattern: &str, path: &[&str]) -> bool {
    let mut parts = pattern.split('.');
    for &name in path {
        match parts.next() {
            Some("**") => return true,
            Some("*") => {}
            Some("#") => {
                if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_digit()) {
                    return false;
                }
            }
            Some(part) if part == name => {}
            None | Some(_) => return false,
        }
    }
    // An empty value may end early: it unsets the whole of what is below.
    true
}

/// One parameter, there or not, that knows its own name.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    node: Option<&'a Node>,
    path: Vec<&'a str>,
}

impl<'a> Field<'a> {
    pub(crate) fn root(node: &'a Node) -> Self {
        Self { node: Some(node), path: Vec::new() }
    }

    pub(crate) fn get(&self, name: &'a str) -> Self {
        let mut path = self.path.clone();
        path.push(name);
        Self { node: self.node.and_then(|node| node.get(name)), path }
    }

    pub(crate) fn name(&self) -> String {
        bracketed(&self.path)
    }

    pub(crate) fn is_present(&self) -> bool {
        self.node.is_some()
    }

    fn wrong(&self, code: &'static str, message: String) -> ApiError {
        ApiError::invalid(message).code(code).param(self.name())
    }

    pub(crate) fn missing(&self) -> ApiError {
        let name = self.name();
        self.wrong("parameter_missing", format!("Missing required param: {name}."))
    }

    /// The value; an empty one is refused, since what is being made has nothing to unset.
    pub(crate) fn text(&self) -> Result<Option<&'a str>, ApiError> {
        match self.node {
            None => Ok(None),
            Some(Node::Text(text)) if text.is_empty() => Err(self.wrong(
                "parameter_invalid_empty",
                format!(
                    "You passed an empty string for '{name}'. We assume empty values are an attempt to unset a \
                     parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or \
                     supply a non-empty value.",
                    name = self.name()
                ),
            )),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::Tree(_)) => Err(ApiError::invalid("Invalid string: an object was sent.").param(self.name())),
        }
    }

    pub(crate) fn required_text(&self) -> Result<&'a str, ApiError> {
        self.text()?.ok_or_else(|| self.missing())
    }

    pub(crate) fn bounded_text(&self, max_chars: usize) -> Result<Option<&'a str>, ApiError> {
        let text = self.text()?;
        match text {
            Some(value) if value.chars().count() > max_chars => {
                Err(ApiError::invalid(format!("Invalid {}: must be at most {max_chars} characters", self.name()))
                    .code("parameter_invalid_string_too_long")
                    .param(self.name()))
            }
            _ => Ok(text),
        }
    }

    pub(crate) fn one_of(&self, allowed: &[&str]) -> Result<Option<&'a str>, ApiError> {
        match self.text()? {
            Some(value) if !allowed.contains(&value) => {
                Err(ApiError::invalid(format!("Invalid {}: must be one of {}", self.name(), allowed.join(", ")))
                    .param(self.name()))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn integer(&self) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text()? else { return Ok(None) };
        text.parse::<i64>()
            .map(Some)
            .map_err(|_| self.wrong("parameter_invalid_integer", format!("Invalid integer: {text}")))
    }

    pub(crate) fn positive_integer(&self) -> Result<Option<i64>, ApiError> {
        match self.integer()? {
            Some(number) if number < 1 => {
                Err(self
                    .wrong("parameter_invalid_integer", "This value must be greater than or equal to 1.".to_owned()))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn non_negative_integer(&self) -> Result<Option<i64>, ApiError> {
        match self.integer()? {
            Some(number) if number < 0 => {
                Err(self
                    .wrong("parameter_invalid_integer", "This value must be greater than or equal to 0.".to_owned()))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn boolean(&self) -> Result<Option<bool>, ApiError> {
        match self.text()? {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::invalid(format!("Invalid boolean: {other}")).param(self.name())),
        }
    }

    /// The entries of a list, in the order of their indices.
    pub(crate) fn list(&self) -> Result<Vec<Self>, ApiError> {
        match self.node {
            None => Ok(Vec::new()),
            Some(Node::Text(text)) if text.is_empty() => Ok(Vec::new()),
            Some(Node::Text(_)) => Err(ApiError::invalid("Invalid array").param(self.name())),
            Some(Node::Tree(entries)) => {
                let mut indexed = Vec::with_capacity(entries.len());
                for (name, _) in entries {
                    let index =
                        name.parse::<u32>().map_err(|_| ApiError::invalid("Invalid array").param(self.name()))?;
                    indexed.push((index, self.get(name)));
                }
                indexed.sort_by_key(|(index, _)| *index);
                Ok(indexed.into_iter().map(|(_, field)| field).collect())
            }
        }
    }

    pub(crate) fn texts(&self) -> Result<Vec<&'a str>, ApiError> {
        self.list()?.iter().map(Self::required_text).collect()
    }

    /// Metadata as sent: a key with an empty value asks for its removal (`None`).
    pub(crate) fn metadata_changes(&self) -> Result<Vec<(String, Option<String>)>, ApiError> {
        let entries = match self.node {
            None => return Ok(Vec::new()),
            Some(Node::Text(text)) if text.is_empty() => return Ok(Vec::new()),
            Some(Node::Text(_)) => return Err(ApiError::invalid("Invalid object").param(self.name())),
            Some(Node::Tree(entries)) => entries,
        };
        entries.iter().map(|(key, node)| self.metadata_entry(key, node)).collect()
    }

    fn metadata_entry(&self, key: &'a str, node: &Node) -> Result<(String, Option<String>), ApiError> {
        let Node::Text(value) = node else {
            return Err(ApiError::invalid("Metadata values must be strings.").param(self.get(key).name()));
        };
        if key.chars().count() > METADATA_KEY_MAX_CHARS {
            return Err(ApiError::invalid(format!(
                "Metadata keys must be at most {METADATA_KEY_MAX_CHARS} characters long."
            ))
            .param(self.name()));
        }
        if value.chars().count() > METADATA_VALUE_MAX_CHARS {
            return Err(ApiError::invalid(format!(
                "Metadata values can have up to {METADATA_VALUE_MAX_CHARS} characters, but you passed in a value that \
                 is {} characters.",
                value.chars().count()
            ))
            .param(self.get(key).name()));
        }
        Ok((key.to_owned(), (!value.is_empty()).then(|| value.clone())))
    }

    pub(crate) fn metadata(&self) -> Result<Metadata, ApiError> {
        let mut metadata = Metadata::new();
        self.change_metadata(&mut metadata)?;
        Ok(metadata)
    }

    /// Applies what was sent to what is there: new values are set, empty ones removed, `metadata=` removes all.
    pub(crate) fn change_metadata(&self, metadata: &mut Metadata) -> Result<(), ApiError> {
        let changes = self.metadata_changes()?;
        if matches!(self.node, Some(Node::Text(_))) {
            metadata.clear();
        }
        for (key, value) in changes {
            match value {
                Some(value) => metadata.insert(key, value),
                None => metadata.remove(&key),
            };
        }
        if metadata.len() > METADATA_MAX_KEYS {
            return Err(ApiError::invalid(format!(
                "Metadata can have up to {METADATA_MAX_KEYS} keys, but you passed in {}.",
                metadata.len()
            ))
            .param(self.name()));
        }
        Ok(())
    }
}
