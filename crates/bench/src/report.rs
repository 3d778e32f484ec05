//! The figures as people read them: Markdown.

use std::fmt::Write as _;

use crate::figures::{Cell, Figures, Percentiles, Spread};
use crate::targets::Verdict;

/// The whole report. Writing to a `String` can't fail.
pub(crate) fn markdown(figures: &Figures) -> String {
    let mut text = String::new();
    let machine = &figures.machine;
    let _ = writeln!(
        text,
        "{} CPUs ({}), Linux {}; {}. {} rounds of {} s (reads: {} s, webhook: {} s), in {:.0} s.\n",
        machine.cpus,
        machine.processor,
        machine.kernel,
        machine.postgres,
        figures.plan.rounds,
        figures.plan.window_seconds,
        figures.plan.read_seconds,
        figures.plan.webhook_seconds,
        figures.took_seconds
    );
    text.push_str(HEAD);
    figures.cells.iter().for_each(|cell| row(&mut text, cell));
    text.push_str(LEGEND);
    for failure in &figures.failures {
        let _ = writeln!(text, "\nNot measured: {failure}");
    }
    if let Some(overload) = &figures.overload {
        let _ = writeln!(
            text,
            "\nOverload: {:.0} orders/s offered, {:.0} times the peak of {:.0}/s. Accepted {:.0}/s ({}), {} of them in \
             all; refused with 503 and Retry-After {} ({}); not sent for want of connections {}; the last answer came \
             {:.0} ms after the last arrival; peak RSS {:.0} MiB; other answers: {}.",
            overload.offered_per_second,
            overload.offered_per_second / overload.peak_per_second,
            overload.peak_per_second,
            overload.accepted_per_second,
            latencies(overload.accepted_ms),
            overload.accepted,
            overload.refused,
            latencies(overload.refused_ms),
            overload.not_sent,
            overload.drained_after_ms,
            overload.peak_rss_mib,
            told(&overload.errors),
        );
    }
    if let Some(baseline) = &figures.baseline {
        let _ = writeln!(
            text,
            "\nA single idle order: {} ms, with the baseline's binary {} ms (medians of rounds in turn); errors: {}.",
            precise(baseline.ours_ms),
            precise(baseline.theirs_ms),
            told(&baseline.errors),
        );
    }
    errors(&mut text, &figures.cells);
    targets(&mut text, &figures.targets);
    text
}

const HEAD: &str = "\
| scenario | conns | units/s (rounds) | p50 / p95 / p99 ms | limit/s (rounds) | × limit | one call/s | app CPU | PG CPU \
| limit's PG CPU | load CPU | RSS MiB | errors |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

const LEGEND: &str = "
units/s and limit/s: median of the rounds (least–greatest). CPU: ms per unit. RSS: the app's peak. \
* the limit at 64 connections.
";

fn row(text: &mut String, cell: &Cell) {
    let limit = cell.limit.as_ref();
    let is_borrowed = limit.is_some_and(|limit| Some(limit.clients) != cell.connections);
    let mark = if is_borrowed { " *" } else { "" };
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let errors: u64 = cell.errors.values().sum();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {}{mark} | {} | {} | {:.3} | {:.3} | {} | {:.3} | {:.0} | {errors} |",
        cell.scenario.name(),
        or_dash(cell.connections.map(|count| count.to_string())),
        spread(cell.units_per_second),
        or_dash(cell.latency_ms.map(three)),
        or_dash(limit.map(|limit| spread(limit.per_second))),
        or_dash(cell.times_limit.map(|ratio| format!("{ratio:.2}"))),
        or_dash(cell.one_call_per_second.map(|rate| format!("{:.0}", rate.median))),
        cell.app_cpu_ms_per_unit,
        cell.postgres_cpu_ms_per_unit,
        or_dash(limit.map(|limit| format!("{:.3}", limit.postgres_cpu_ms_per_unit))),
        cell.generator_cpu_ms_per_unit,
        cell.peak_rss_mib,
    );
}

fn spread(rate: Spread) -> String {
    if rate.median < 100.0 {
        return format!("{:.1} ({:.1}–{:.1})", rate.median, rate.least, rate.greatest);
    }
    format!("{:.0} ({:.0}–{:.0})", rate.median, rate.least, rate.greatest)
}

fn precise(value: Spread) -> String {
    format!("{:.3} ({:.3}–{:.3})", value.median, value.least, value.greatest)
}

fn three(Percentiles { p50, p95, p99 }: Percentiles) -> String {
    format!("{p50:.1} / {p95:.1} / {p99:.1}")
}

fn latencies(percentiles: Option<Percentiles>) -> String {
    percentiles.map_or("none".to_owned(), |percentiles| format!("p50 / p95 / p99 {} ms", three(percentiles)))
}

fn told(errors: &crate::load::Errors) -> String {
    if errors.is_empty() {
        return "none".to_owned();
    }
    errors.iter().map(|(words, count)| format!("{count} × {words}")).collect::<Vec<_>>().join("; ")
}

fn errors(text: &mut String, cells: &[Cell]) {
    for cell in cells.iter().filter(|cell| !cell.errors.is_empty()) {
        let at = cell.connections.map(|count| format!(" at {count}")).unwrap_or_default();
        let _ = writeln!(text, "\nErrors of {}{at}: {}.", cell.scenario.name(), told(&cell.errors));
    }
}

fn targets(text: &mut String, verdicts: &[Verdict]) {
    if verdicts.is_empty() {
        return;
    }
    text.push_str("\n| target | asked for | measured | |\n|---|---|--:|---|\n");
    for verdict in verdicts {
        let word = if verdict.is_met { "met" } else { "**missed**" };
        let _ = writeln!(text, "| {} | {} | {} | {word} |", verdict.target, verdict.asked, verdict.measured);
    }
}

/// One cell on one line, for whoever waits.
pub(crate) fn line(cell: &Cell) -> String {
    let errors: u64 = cell.errors.values().sum();
    let ratio = cell.times_limit.map(|ratio| format!(", {ratio:.2} x limit")).unwrap_or_default();
    let at = cell.connections.map(|count| format!(" at {count}")).unwrap_or_default();
    let unexpected = if errors > 0 { format!(", {errors} errors") } else { String::new() };
    format!("{}{at}: {}/s{ratio}{unexpected}", cell.scenario.name(), spread(cell.units_per_second))
}
