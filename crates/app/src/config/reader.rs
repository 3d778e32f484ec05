//! Reads settings as the types they are, and keeps every mistake instead of stopping at the first.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::keys::{self, Key};
use super::mistake::{InvalidSettings, Mistake};
use super::secret::Secret;
use super::sources::{Given, Sources, Stage};

/// A setting is wrong, and the reader has noted how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noted;

/// Hands out the settings.
pub(super) struct Reader {
    sources: Sources,
    read: BTreeSet<&'static str>,
}

impl Reader {
    pub(super) fn new(sources: Sources) -> Self {
        Self { sources, read: BTreeSet::new() }
    }

    pub(super) fn stage(&self) -> Stage {
        self.sources.stage
    }

    /// Gives `settings` if nothing at all was wrong.
    pub(super) fn finish<T>(self, settings: Result<T, Noted>) -> Result<T, InvalidSettings> {
        match settings {
            Ok(settings) if self.sources.mistakes.is_empty() => Ok(settings),
            _ => Err(InvalidSettings(self.sources.mistakes)),
        }
    }

    /// The keys that were asked for.
    #[cfg(test)]
    pub(super) fn read_keys(&self) -> &BTreeSet<&'static str> {
        &self.read
    }

    /// What `parse` makes of the value.
    pub(super) fn parsed<T>(
        &mut self,
        path: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Noted> {
        let (key, given) = self.given(path)?;
        parse(&given.text).ok_or_else(|| self.wrong(key, &given, allowed))
    }

    /// As [`parsed`](Self::parsed), but `none` and `off` stand for nothing.
    pub(super) fn optional<T>(
        &mut self,
        path: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Noted> {
        self.parsed(path, allowed, |text| if is_nothing(text) { Some(None) } else { parse(text).map(Some) })
    }

    /// Entries separated by commas; none of them may be empty.
    pub(super) fn list<T>(
        &mut self,
        path: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Noted> {
        self.parsed(path, allowed, |text| {
            if is_nothing(text) {
                return Some(Vec::new());
            }
            text.split(',').map(|entry| parse(entry.trim())).collect()
        })
    }

    pub(super) fn integer<N>(&mut self, path: &str, range: RangeInclusive<N>) -> Result<N, Noted>
    where
        N: FromStr + PartialOrd + Display,
    {
        self.parsed(path, &whole_number(&range), |text| in_range(text, &range))
    }

    pub(super) fn optional_integer<N>(&mut self, path: &str, range: RangeInclusive<N>) -> Result<Option<N>, Noted>
    where
        N: FromStr + PartialOrd + Display,
    {
        let allowed = format!("{}, or off", whole_number(&range));
        self.optional(path, &allowed, |text| in_range(text, &range))
    }

    pub(super) fn seconds(&mut self, path: &str, range: RangeInclusive<u64>) -> Result<Duration, Noted> {
        self.integer(path, range).map(Duration::from_secs)
    }

    pub(super) fn boolean(&mut self, path: &str) -> Result<bool, Noted> {
        self.parsed(path, "true or false", |text| text.parse().ok())
    }

    /// A secret that `is_good`, or nothing where the stage makes up for it; in production it must be there.
    pub(super) fn secret(
        &mut self,
        path: &str,
        allowed: &str,
        is_good: impl FnOnce(&str) -> bool,
    ) -> Result<Option<Secret>, Noted> {
        let secret = self.optional(path, allowed, |text| is_good(text).then(|| Secret::new(text)))?;
        if secret.is_none() && self.stage() == Stage::Production {
            return Err(self.missing(path, &format!("production has no default for it; allowed: {allowed}")));
        }
        Ok(secret)
    }

    /// Notes that a setting that others call for is not there.
    pub(super) fn missing(&mut self, path: &str, why: &str) -> Noted {
        let name = keys::at(path).map_or_else(|| path.to_owned(), Key::variable);
        self.note(name, "is not set".to_owned(), why.to_owned())
    }

    /// Notes that a value is no good beside the others.
    pub(super) fn contradiction(&mut self, path: &str, allowed: &str) -> Noted {
        match self.given(path) {
            Ok((key, given)) => self.wrong(key, &given, allowed),
            Err(noted) => noted,
        }
    }

    fn given(&mut self, path: &str) -> Result<(Key, Given), Noted> {
        let key = keys::at(path);
        let given = key.and_then(|key| self.sources.given.get(key.path)).cloned();
        let (Some(key), Some(given)) = (key, given) else {
            // A test holds the keys, the built-in file and the code together.
            let found = "is not in the built-in default.toml".to_owned();
            return Err(self.note(path.to_owned(), found, "this is a bug".to_owned()));
        };
        self.read.insert(key.path);
        Ok((key, given))
    }

    fn wrong(&mut self, key: Key, given: &Given, allowed: &str) -> Noted {
        let found = match given.text.as_str() {
            text if text.trim().is_empty() => "is empty".to_owned(),
            _ if key.is_secret => "is not allowed (its value is not shown)".to_owned(),
            text => format!("is {text:?}"),
        };
        self.note(given.place.name_of(key), found, format!("allowed: {allowed}"))
    }

    fn note(&mut self, name: String, found: String, allowed: String) -> Noted {
        self.sources.mistakes.push(Mistake { name, found, allowed });
        Noted
    }
}

fn is_nothing(text: &str) -> bool {
    matches!(text, "none" | "off")
}

fn whole_number<N: Display>(range: &RangeInclusive<N>) -> String {
    format!("a whole number from {} to {}", range.start(), range.end())
}

fn in_range<N: FromStr + PartialOrd>(text: &str, range: &RangeInclusive<N>) -> Option<N> {
    // `parse` would take a leading plus.
    let is_plain = text.starts_with(|first: char| first.is_ascii_digit());
    let number = is_plain.then(|| text.parse().ok()).flatten()?;
    range.contains(&number).then_some(number)
}
