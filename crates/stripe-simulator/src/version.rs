//! API versions: which one a request is pinned to, and what changed between them.

use std::fmt;

/// A version of Stripe's API, e.g. `2026-09-30.endive`. Versions order by their date.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(String);

impl ApiVersion {
    /// The version that the simulator speaks unless a request is pinned to another.
    pub const DEFAULT: &'static str = "2026-09-30.endive";

    /// Reads `YYYY-MM-DD`, with or without a release name.
    ///
    /// Returns `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, name) = text.split_once('.').unwrap_or((text, ""));
        let well_formed_date = date.len() == 10
            && date.bytes().enumerate().all(|(index, byte)| match index {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let well_formed_name = name.bytes().all(|byte| byte.is_ascii_lowercase());
        (well_formed_date && well_formed_name).then(|| Self(text.to_owned()))
    }

    /// The version as it is written in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Since this release `payment_method_types` is gone from session creation, and `ui_mode` has its new names.
    #[must_use]
    pub fn is_endive_or_newer(&self) -> bool {
        self.0.get(..10).is_some_and(|date| date >= "2026-09-30")
    }
}

impl Default for ApiVersion {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
