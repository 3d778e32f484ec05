//! Where settings come from: the files built in, those beside the process, `.env`, and the environment.
//!
//! Later ones override earlier ones, key by key: `default.toml` built in, then in `config/`; the environment's file
//! built in, then in `config/`; `.env` (in development only); variables.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use config::{File, FileFormat, Source, Value, ValueKind};

use super::dotenv;
use super::keys::{self, KEYS, Key, PREFIX};
use super::mistake::Mistake;
use crate::environment::Environment;

/// What kind of place the shop runs in (`APP_ENV`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A developer's machine: what is missing is made up for.
    Development,
    /// The shop itself is under test: as development, but `.env` is not read.
    Test,
    /// The real thing: nothing is made up for.
    Production,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Development, Self::Test, Self::Production];

    /// As `APP_ENV` and the file names spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Production => "production",
        }
    }

    fn built_in(self) -> &'static str {
        match self {
            Self::Development => include_str!("../../../../config/development.toml"),
            Self::Test => include_str!("../../../../config/test.toml"),
            Self::Production => include_str!("../../../../config/production.toml"),
        }
    }
}

pub(super) const BUILT_IN_DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// A value as it was given, and where.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) place: Place,
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    BuiltIn(String),
    File(String),
    DotEnv { line: usize },
    Variable,
}

impl Place {
    /// The setting as the person who gave it knows it.
    pub(super) fn name_of(&self, key: Key) -> String {
        match self {
            Self::BuiltIn(file) => format!("{} (built-in {file}; set {})", key.path, key.variable()),
            Self::File(file) => format!("{} in {file}", key.path),
            Self::DotEnv { line } => format!("{} in .env, line {line}", key.variable()),
            Self::Variable => key.variable(),
        }
    }
}

/// Every value that was given, and every mistake that shows before a value is looked at.
pub(super) struct Sources {
    pub(super) stage: Stage,
    pub(super) given: BTreeMap<&'static str, Given>,
    pub(super) mistakes: Vec<Mistake>,
}

impl Sources {
    /// Gathers all settings of a process that works in `directory`.
    pub(super) fn gather(environment: &Environment, directory: &Path) -> Self {
        let mut sources = Self { stage: Stage::Development, given: BTreeMap::new(), mistakes: Vec::new() };
        sources.stage = sources.read_stage(environment);
        let stage_file = format!("{}.toml", sources.stage.name());
        for (file, built_in) in [("default.toml", BUILT_IN_DEFAULTS), (&stage_file, sources.stage.built_in())] {
            sources.add_toml(built_in, &Place::BuiltIn(file.to_owned()));
            let beside = format!("config/{file}");
            if let Some(text) = sources.read_file(directory, &beside) {
                sources.add_toml(&text, &Place::File(beside));
            }
        }
        if sources.stage == Stage::Development
            && let Some(text) = sources.read_file(directory, ".env")
        {
            sources.add_dotenv(&text);
        }
        for (name, value) in environment.iter() {
            sources.add_variable(name, value, &Place::Variable);
        }
        sources
    }

    fn read_stage(&mut self, environment: &Environment) -> Stage {
        let Some(text) = environment.get("APP_ENV") else {
            return Stage::Development;
        };
        let stage = Stage::ALL.into_iter().find(|stage| stage.name() == text);
        stage.unwrap_or_else(|| {
            self.add_mistake("APP_ENV", format!("is {text:?}"), "allowed: development, test, production");
            // The strictest one, so that what else is missing is told at once.
            Stage::Production
        })
    }

    fn read_file(&mut self, directory: &Path, name: &str) -> Option<String> {
        match std::fs::read_to_string(directory.join(name)) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                self.add_mistake(name, format!("cannot be read: {error}"), "make it readable, or remove it");
                None
            }
        }
    }

    fn add_toml(&mut self, text: &str, place: &Place) {
        let file = match place {
            Place::BuiltIn(file) | Place::File(file) => file.clone(),
            Place::DotEnv { .. } | Place::Variable => return,
        };
        match File::from_str(text, FileFormat::Toml).collect() {
            Ok(sections) => {
                for (section, content) in sections {
                    self.add_section(&section, content, &file, place);
                }
            }
            Err(error) => {
                // The lines between show the text itself, which may hold a secret.
                let told = error.to_string();
                let first = told.lines().next().unwrap_or_default();
                self.add_mistake(&file, format!("is no TOML: {first}"), "correct it");
            }
        }
    }

    fn add_section(&mut self, section: &str, content: Value, file: &str, place: &Place) {
        let ValueKind::Table(entries) = content.kind else {
            let name = format!("{section} in {file}");
            return self.add_mistake(&name, "stands outside of a [section]".to_owned(), KNOWN_KEYS);
        };
        for (entry, value) in entries {
            let path = format!("{section}.{entry}");
            let Some(key) = keys::at(&path) else {
                self.add_mistake(&format!("{path} in {file}"), "is no setting".to_owned(), KNOWN_KEYS);
                continue;
            };
            match text_of(&value) {
                Ok(text) => {
                    self.given.insert(key.path, Given { text, place: place.clone() });
                }
                Err(allowed) => {
                    self.add_mistake(&format!("{path} in {file}"), "has the wrong type".to_owned(), allowed);
                }
            }
        }
    }

    fn add_dotenv(&mut self, text: &str) {
        let (assignments, wrong_lines) = dotenv::parse(text);
        for line in wrong_lines {
            let name = format!(".env, line {line}");
            self.add_mistake(&name, "is no assignment".to_owned(), "allowed: NAME=value, or a comment after #");
        }
        for assignment in assignments {
            let place = Place::DotEnv { line: assignment.line };
            if assignment.name == "APP_ENV" && assignment.value != Stage::Development.name() {
                self.add_mistake(
                    &format!("APP_ENV in .env, line {}", assignment.line),
                    format!("is {:?}, but .env is read in development only", assignment.value),
                    "set it in the environment of the process",
                );
            }
            self.add_variable(&assignment.name, &assignment.value, &place);
        }
    }

    fn add_variable(&mut self, name: &str, value: &str, place: &Place) {
        if let Some(key) = KEYS.into_iter().find(|key| key.variable() == name) {
            self.given.insert(key.path, Given { text: value.to_owned(), place: place.clone() });
        } else if name.starts_with(PREFIX) {
            let same = KEYS.into_iter().find(|key| keys::rule_variable(key.path) == name);
            let allowed = match same {
                Some(key) => format!("set {} instead", key.variable()),
                None => "allowed: the variables that .env.example lists".to_owned(),
            };
            self.add_mistake(name, "is no setting".to_owned(), allowed);
        }
    }

    fn add_mistake(&mut self, name: &str, found: String, allowed: impl fmt::Display) {
        self.mistakes.push(Mistake { name: name.to_owned(), found, allowed: allowed.to_string() });
    }
}

const KNOWN_KEYS: &str = "allowed: the keys that config/default.toml lists";

/// A value as a variable would give it; lists with commas.
fn text_of(value: &Value) -> Result<String, &'static str> {
    match &value.kind {
        ValueKind::Boolean(value) => Ok(value.to_string()),
        ValueKind::I64(value) => Ok(value.to_string()),
        ValueKind::String(value) => Ok(value.clone()),
        ValueKind::Array(entries) if entries.is_empty() => Ok("none".to_owned()),
        ValueKind::Array(entries) => {
            let entries = entries.iter().map(|entry| match &entry.kind {
                ValueKind::String(text) if !text.contains(',') => Ok(text.clone()),
                _ => Err("allowed in a list: texts without commas"),
            });
            Ok(entries.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        ValueKind::Float(_) => Err("write it in quotes, so that it is read as it stands"),
        _ => Err("allowed: a text, a whole number, true or false, or a list of texts"),
    }
}
