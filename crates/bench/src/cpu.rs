//! What processes cost: CPU time and memory, as Linux counts them under `/proc`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::error::{During as _, Step, StepFailed};

/// `USER_HZ`, the unit of CPU time in `/proc`: 100 on every architecture that Linux still runs on.
const TICKS_PER_SECOND: u64 = 100;

/// One process or thread, as its `stat` file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of all its threads.
    ticks: u64,
    /// That of its children that have ended and were waited for.
    ended_children_ticks: u64,
}

impl Stat {
    /// The second field is the program's name in parentheses and may hold anything, spaces and parentheses too.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // `rest` begins with the third field of proc(5).
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(field(4)?).ok()?,
            ticks: field(14)? + field(15)?,
            ended_children_ticks: field(16)? + field(17)?,
        })
    }

    fn read(path: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(path).ok()?)
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1_000 / TICKS_PER_SECOND)
}

/// The CPU time of a process so far.
pub(crate) fn of_process(pid: u32) -> Step<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = Stat::read(Path::new(&path)).ok_or_else(|| StepFailed::new("reading CPU time", path))?;
    Ok(ticks(stat.ticks))
}

/// The CPU time so far of a process and of its children, those that have ended as well.
pub(crate) fn of_family(pid: u32) -> Step<Duration> {
    let path = format!("/proc/{pid}/stat");
    let parent = Stat::read(Path::new(&path)).ok_or_else(|| StepFailed::new("reading CPU time", path))?;
    let mut sum = parent.ticks + parent.ended_children_ticks;
    for entry in fs::read_dir("/proc").during("listing processes")?.filter_map(Result::ok) {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        // One that ended meanwhile counts with its parent's ended children next time.
        let stat = if is_process { Stat::read(&entry.path().join("stat")) } else { None };
        sum += stat.filter(|stat| stat.parent == pid).map_or(0, |stat| stat.ticks);
    }
    Ok(ticks(sum))
}

/// The CPU time so far of the thread that asks.
pub(crate) fn of_this_thread() -> Step<Duration> {
    let path = Path::new("/proc/thread-self/stat");
    let stat = Stat::read(path).ok_or_else(|| StepFailed::new("reading CPU time", "no /proc/thread-self"))?;
    Ok(ticks(stat.ticks))
}

/// The most memory that a process has held at once, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Step<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).during(format!("reading {path}"))?;
    peak_of_status(&status).ok_or_else(|| StepFailed::new("reading memory", format!("no VmHWM in {path}")))
}

fn peak_of_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LINE: &str =
        "4711 (my (odd) name) S 42 4711 4711 0 -1 4194304 100 7 0 0 250 50 30 20 20 0 9 0 86521 3133440 390";

    #[test]
    fn a_stat_line_is_read_behind_the_programs_name() {
        let expected = Stat { parent: 42, ticks: 300, ended_children_ticks: 50 };
        assert_eq!(Stat::parse(LINE), Some(expected));
        assert_eq!(ticks(expected.ticks), Duration::from_secs(3));
    }

    #[test]
    fn half_a_stat_line_is_none() {
        assert_eq!(Stat::parse("4711 (postgres) S 42 4711"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn the_peak_of_memory_is_told_in_kibibytes() {
        assert_eq!(peak_of_status("Name:\tapp\nVmPeak:\t  999 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n"), Some(2 << 20));
        assert_eq!(peak_of_status("Name:\tapp\n"), None);
    }

    #[test]
    fn this_process_costs_something() {
        let me = std::process::id();
        assert!(peak_memory(me).unwrap() > 100_000);
        assert!(of_family(me).unwrap() >= of_process(me).unwrap());
        assert!(of_this_thread().is_ok());
    }
}
