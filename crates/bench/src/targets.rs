//! What the shop is asked to reach, and whether it did. Only what was measured is judged.

use serde::Serialize;

use crate::figures::{Cell, Figures};
use crate::plan::Kind;

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) target: String,
    pub(crate) asked: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
}

/// Least ratios to the limit, at so many connections.
const RATIOS: [(Kind, usize, f64); 12] = [
    (Kind::List, 16, 1.0),
    (Kind::List, 64, 2.0),
    (Kind::Detail, 16, 1.0),
    (Kind::Detail, 64, 2.0),
    (Kind::Cart, 16, 0.7),
    (Kind::Cart, 64, 0.7),
    (Kind::Checkout, 16, 1.0),
    (Kind::Checkout, 64, 1.5),
    (Kind::Order, 16, 1.5),
    (Kind::Order, 64, 3.0),
    (Kind::Flash, 16, 1.2),
    (Kind::Flash, 64, 6.0),
];

/// All targets of which enough was measured.
pub(crate) fn verdicts(figures: &Figures) -> Vec<Verdict> {
    let seen = Seen(&figures.cells);
    let mut all = Vec::new();
    for (kind, connections, least) in RATIOS {
        all.extend(seen.ratio(kind, connections, least));
    }
    all.extend(seen.not_slower((Kind::Flash, 64), (Kind::Flash, 16), 1.0));
    all.extend(seen.not_slower((Kind::Flash, 256), (Kind::Flash, 64), 0.9));
    for connections in [16, 64] {
        all.extend(seen.not_slower((Kind::Webhook, connections), (Kind::Order, connections), 1.0));
    }
    all.extend(seen.checkout_cost());
    all.extend(seen.memory());
    all.extend(seen.start());
    all.extend(baseline(figures));
    all.extend(overload(figures));
    all.extend(seen.errors());
    all
}

fn at_least(target: String, measured: f64, least: f64) -> Verdict {
    Verdict { target, asked: format!("≥ {least:.1}"), measured: format!("{measured:.2}"), is_met: measured >= least }
}

fn below(target: String, (measured, unit): (f64, &str), most: f64) -> Verdict {
    Verdict {
        target,
        asked: format!("< {most} {unit}"),
        measured: format!("{measured:.2} {unit}"),
        is_met: measured < most,
    }
}

struct Seen<'a>(&'a [Cell]);

impl Seen<'_> {
    fn cell(&self, kind: Kind, connections: usize) -> Option<&Cell> {
        self.0.iter().find(|cell| cell.scenario == kind && cell.connections == Some(connections))
    }

    fn ratio(&self, kind: Kind, connections: usize, least: f64) -> Option<Verdict> {
        let ratio = self.cell(kind, connections)?.times_limit?;
        Some(at_least(format!("{} at {connections}, × limit", kind.name()), ratio, least))
    }

    fn not_slower(&self, one: (Kind, usize), other: (Kind, usize), least: f64) -> Option<Verdict> {
        let rate = |(kind, connections)| Some(self.cell(kind, connections)?.units_per_second.median);
        let share = rate(one)? / rate(other)?;
        let named = |(kind, connections): (Kind, usize)| format!("{} at {connections}", kind.name());
        Some(at_least(format!("{}, × {}", named(one), named(other)), share, least))
    }

    fn checkout_cost(&self) -> Vec<Verdict> {
        let Some(cell) = self.cell(Kind::Checkout, 64) else { return Vec::new() };
        vec![
            below("app CPU per checkout at 64".to_owned(), (cell.app_cpu_ms_per_unit, "ms"), 0.5),
            below("PostgreSQL CPU per checkout at 64".to_owned(), (cell.postgres_cpu_ms_per_unit, "ms"), 1.0),
        ]
    }

    fn memory(&self) -> Vec<Verdict> {
        let peak = |(connections, most): (usize, f64)| {
            let cells = self.0.iter().filter(|cell| cell.connections == Some(connections));
            let greatest = cells.map(|cell| cell.peak_rss_mib).max_by(f64::total_cmp)?;
            Some(below(format!("peak RSS at {connections}, of all scenarios"), (greatest, "MiB"), most))
        };
        [(64, 64.0), (256, 128.0)].into_iter().filter_map(peak).collect()
    }

    fn start(&self) -> Option<Verdict> {
        let slowest = self.0.iter().map(|cell| cell.ready_after_ms).max_by(f64::total_cmp)?;
        Some(below("start to ready, the slowest of all".to_owned(), (slowest / 1_000.0, "s"), 1.0))
    }

    fn errors(&self) -> Option<Verdict> {
        let count: u64 = self.0.iter().flat_map(|cell| cell.errors.values()).sum();
        (!self.0.is_empty()).then(|| Verdict {
            target: "unexpected answers, ledger and order counts".to_owned(),
            asked: "none wrong".to_owned(),
            measured: format!("{count} wrong"),
            is_met: count == 0,
        })
    }
}

fn baseline(figures: &Figures) -> Option<Verdict> {
    let baseline = figures.baseline.as_ref()?;
    let share = baseline.ours_ms.median / baseline.theirs_ms.median;
    Some(Verdict {
        target: "a single idle order, × baseline's time".to_owned(),
        asked: "≤ 1.1".to_owned(),
        measured: format!("{share:.2}"),
        is_met: share <= 1.1,
    })
}

fn overload(figures: &Figures) -> Vec<Verdict> {
    let Some(overload) = &figures.overload else { return Vec::new() };
    let share = overload.accepted_per_second / overload.peak_per_second;
    let slowest = overload.accepted_ms.map_or(f64::INFINITY, |accepted| accepted.p99 / 1_000.0);
    let others: u64 = overload.not_sent + overload.errors.values().sum::<u64>();
    vec![
        at_least("accepted orders under overload, × peak".to_owned(), share, 0.9),
        Verdict {
            target: "the excess is refused with 503 and Retry-After".to_owned(),
            asked: "all of it".to_owned(),
            measured: format!("{} refused, {others} otherwise", overload.refused),
            is_met: overload.refused > 0 && others == 0,
        },
        below("p99 of accepted orders under overload".to_owned(), (slowest, "s"), 2.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_from_its_bound_on() {
        assert!(at_least(String::new(), 1.5, 1.5).is_met);
        assert!(!at_least(String::new(), 1.49, 1.5).is_met);
        assert!(!below(String::new(), (64.0, "MiB"), 64.0).is_met);
    }
}
