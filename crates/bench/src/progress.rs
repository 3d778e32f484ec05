//! What a run does, told while it does it.

/// A line on standard error.
#[expect(clippy::print_stderr, reason = "this is where a person who waits looks")]
pub(crate) fn progress(line: &str) {
    eprintln!("{line}");
}
