//! Patterns of `LIKE`, which trigram indexes serve.

/// The pattern of texts that contain `text`, taken literally.
pub(crate) fn containing(text: &str) -> String {
    let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_search_are_letters_like_any_other() {
        assert_eq!(containing(r"50% of_a\b"), r"%50\% of\_a\\b%");
    }
}
