//! What `app reconcile` prints: a line per order, and what was left unknown.

use std::fmt::Write as _;

use domain::order::{Drift, ReconcileMode, Reconciliation};

/// A line per order with what differed, and a summary.
pub(crate) fn told(report: &Reconciliation, mode: ReconcileMode) -> String {
    let did = match mode {
        ReconcileMode::Settle => "settled",
        ReconcileMode::DryRun => "would settle",
    };
    let mut text = String::new();
    // Writing to a string can't fail.
    for (order_id, drifts) in &report.orders {
        let _ = writeln!(text, "{order_id} {did}: {}", list(drifts));
    }
    for drift in &report.orderless {
        let _ = writeln!(text, "no order, {did}: {drift}");
    }
    let asked = report.asked;
    let (orders, events, unasked) = (report.orders.len(), report.orderless.len(), report.unasked.len());
    let _ = writeln!(
        text,
        "Asked about {asked} orders and the undelivered events: {did} {orders} orders and {events} events of no order; \
         {unasked} questions without an answer."
    );
    text
}

/// What the provider could not be asked about, and why.
pub(crate) fn left_unknown(report: &Reconciliation) -> String {
    let mut text = String::from("error: the provider could not be asked about everything. To do: run it again.\n");
    for unasked in &report.unasked {
        let about = unasked.order_id.map_or_else(|| "no order".to_owned(), |id| id.to_string());
        let _ = writeln!(text, "{about} unknown: {}", unasked.reason);
    }
    text
}

fn list(drifts: &[Drift]) -> String {
    drifts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use domain::id::{AttemptId, OrderId};
    use domain::order::Unasked;

    use super::*;

    const ID: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

    #[test]
    fn every_order_has_its_line_and_what_is_unknown_is_named() {
        let order_id = OrderId::parse(ID).unwrap();
        let drift = Drift::Unanswered(AttemptId::parse(ID).unwrap());
        let report = Reconciliation {
            asked: 2,
            orders: [(order_id, vec![drift.clone(), drift])].into(),
            unasked: vec![Unasked { order_id: Some(order_id), reason: "session cs_1: no answer".to_owned() }],
            ..Reconciliation::default()
        };
        let once = format!("the session of attempt {ID} was asked for without an answer");
        let would = told(&report, ReconcileMode::DryRun);
        assert_eq!(would.lines().next(), Some(format!("{ID} would settle: {once}; {once}").as_str()));
        assert!(would.contains("Asked about 2 orders") && would.contains("would settle 1 orders"), "{would}");
        assert!(told(&report, ReconcileMode::Settle).contains(" settled: "));
        assert!(left_unknown(&report).contains(&format!("{ID} unknown: session cs_1: no answer")));
    }
}
