//! Reads a `.env` file: `NAME=value` lines, comments and quotes, nothing cleverer.

/// One assignment, and the line it stands on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// The assignments of `text`, and the numbers of the lines that are none. Those lines are not repeated: what is
/// wrong with them may be a secret in the wrong place.
pub(super) fn parse(text: &str) -> (Vec<Assignment>, Vec<usize>) {
    let mut assignments = Vec::new();
    let mut mistakes = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match assignment(content) {
            Some((name, value)) => assignments.push(Assignment { name, value, line }),
            None => mistakes.push(line),
        }
    }
    (assignments, mistakes)
}

fn assignment(content: &str) -> Option<(String, String)> {
    let content = content.strip_prefix("export ").unwrap_or(content);
    let (name, value) = content.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|each| each.is_ascii_alphanumeric() || each == '_');
    is_name.then_some(())?;
    Some((name.to_owned(), unquoted(value.trim())?))
}

/// Quoted values are taken as they stand between the quotes; of others, ` #` begins a comment.
fn unquoted(value: &str) -> Option<String> {
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        let bare = value.split_once(" #").map_or(value, |(bare, _)| bare);
        return Some(bare.trim_end().to_owned());
    };
    let (inside, rest) = value[1..].split_once(quote)?;
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with('#')).then(|| inside.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_a_shell_would() {
        for (line, name, value) in [
            ("A=1", "A", "1"),
            ("  A = 1  ", "A", "1"),
            ("export A=1", "A", "1"),
            ("A=", "A", ""),
            ("A=a=b", "A", "a=b"),
            ("A=a#b", "A", "a#b"),
            ("A=a #b", "A", "a"),
            ("A='a #b'", "A", "a #b"),
            ("A=\"a b\" # c", "A", "a b"),
            ("A=\"it's\"", "A", "it's"),
            ("APP__SERVER__PORT=1", "APP__SERVER__PORT", "1"),
        ] {
            let expected = Assignment { name: name.into(), value: value.into(), line: 1 };
            assert_eq!(parse(line), (vec![expected], vec![]), "{line:?}");
        }
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        assert_eq!(parse("\n# A=1\n   \n"), (vec![], vec![]));
    }

    #[test]
    fn lines_that_assign_nothing_are_told_by_number() {
        for line in ["A", "1A=1", "A B=1", "=1", "A='1", "A=\"1\" 2", "A-B=1"] {
            assert_eq!(parse(&format!("OK=1\n{line}")).1, [2], "{line:?}");
        }
    }
}
