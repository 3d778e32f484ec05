//! How far a long command is: a bar on a terminal, plain lines elsewhere. On standard error, which is not the answer.

use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The pause between two lines where there is no terminal: enough to see that it goes on, too little to fill a log.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// How far a command is.
pub(crate) struct Progress {
    what: &'static str,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
}

struct Lines {
    total: u64,
    done: u64,
    last: Option<Instant>,
    is_told: bool,
    to: Box<dyn Write + Send>,
}

impl Progress {
    /// Begins to show how much of `what` is done, such as `products checked`; a `total` of 0 is not known yet.
    pub(crate) fn of(what: &'static str, total: u64) -> Self {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(total).with_style(style(total)).with_message(what);
            return Self { what, shown: Shown::Bar(bar) };
        }
        Self::in_lines(what, total, Box::new(std::io::stderr()))
    }

    fn in_lines(what: &'static str, total: u64, to: Box<dyn Write + Send>) -> Self {
        Self { what, shown: Shown::Lines(Mutex::new(Lines { total, done: 0, last: None, is_told: false, to })) }
    }

    /// So much is done by now, of so much.
    pub(crate) fn at(&self, done: u64, total: u64) {
        match &self.shown {
            Shown::Bar(bar) => {
                if bar.length() != Some(total) {
                    bar.set_style(style(total));
                    bar.set_length(total);
                }
                bar.set_position(done);
            }
            Shown::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                (lines.done, lines.total, lines.is_told) = (done, total, false);
                let is_due = lines.last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL);
                if is_due {
                    lines.say(self.what);
                }
            }
        }
    }
}

impl Drop for Progress {
    /// The bar goes, so that the answer stands alone; the last line stays.
    fn drop(&mut self) {
        match &self.shown {
            Shown::Bar(bar) => bar.finish_and_clear(),
            Shown::Lines(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).say(self.what),
        }
    }
}

impl Lines {
    fn say(&mut self, what: &str) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        self.last = Some(Instant::now());
        // A closed pipe is no reason to stop.
        let _closed = match self.total {
            0 => writeln!(self.to, "{} {what}", self.done),
            total => writeln!(self.to, "{} of {total} {what}", self.done),
        };
    }
}

fn style(total: u64) -> ProgressStyle {
    let template = if total == 0 { "{spinner} {pos} {msg}" } else { "{bar:40} {pos} of {len} {msg}" };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn without_a_terminal_there_are_few_plain_lines_and_the_last_says_the_end() {
        let memory = Memory::default();
        let progress = Progress::in_lines("products checked", 1000, Box::new(memory.clone()));
        (1..=1000).for_each(|done| progress.at(done, 1000));
        drop(progress);
        assert_eq!(memory.text(), "1 of 1000 products checked\n1000 of 1000 products checked\n");
    }
}
