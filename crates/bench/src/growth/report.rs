//! The figures of all sizes, as people and as programs read them.

use std::fmt::Write as _;
use std::path::Path;

use super::measures::Measure;
use super::space::gibibytes;
use super::{Grown, Growth};
use crate::error::{During as _, Step};

/// What takes longer by more than this in the largest shop than in the smallest grows with it.
const STEADY: f64 = 1.5;

/// Writes both, and says the one.
#[expect(clippy::print_stdout, reason = "the report is this program's answer")]
pub(super) fn write(out: &Path, growth: &Growth) -> Step<()> {
    let report = markdown(growth);
    let json = serde_json::to_string_pretty(growth).during("writing the figures")?;
    for (name, text) in [("growth.md", &report), ("growth.json", &json)] {
        let path = out.join(name);
        std::fs::write(&path, text).during(format!("writing {}", path.display()))?;
    }
    println!("{report}");
    Ok(())
}

/// What a line tells of each size.
type Line<'a> = (&'a str, &'a dyn Fn(&Grown) -> String);

/// Writing to a `String` can't fail.
fn markdown(growth: &Growth) -> String {
    let mut text = format!("{}.\n\n", growth.postgres);
    let columns = |each: &dyn Fn(&Grown) -> String| growth.grown.iter().map(each).collect::<String>();
    let _ = writeln!(
        text,
        "| p50 / p95, ms |{} largest / smallest |",
        columns(&|grown| format!(" {} orders |", thousands(grown.size.orders)))
    );
    let _ = writeln!(text, "|---|{}---:|", "---:|".repeat(growth.grown.len()));
    let Some((smallest, largest)) = growth.grown.first().zip(growth.grown.last()) else { return text };
    for (index, measure) in largest.measures.iter().enumerate() {
        let cells = columns(&|grown| {
            let Measure { p50_ms, p95_ms, .. } = grown.measures[index];
            format!(" {p50_ms:.2} / {p95_ms:.2} |")
        });
        let ratio = measure.p50_ms / smallest.measures[index].p50_ms;
        let mark = if ratio > STEADY { " (grows)" } else { "" };
        let _ = writeln!(text, "| {} |{cells} {ratio:.2}{mark} |", measure.name);
    }
    let rows: [Line<'_>; 6] = [
        ("products", &|grown| thousands(grown.size.products)),
        ("customers", &|grown| thousands(grown.size.customers)),
        ("size", &|grown| gibibytes(grown.bytes)),
        ("rows written in, s", &|grown| format!("{:.1}", grown.rows_seconds)),
        ("indexes made in, s", &|grown| format!("{:.1}", grown.indexes_seconds)),
        ("stock proved in, s", &|grown| format!("{:.1}", grown.check_stock_seconds)),
    ];
    for (name, each) in rows {
        let _ = writeln!(text, "| {name} |{} |", columns(&|grown| format!(" {} |", each(grown))));
    }
    for left_out in &growth.left_out {
        let _ = writeln!(text, "\nLeft out: {left_out}.");
    }
    text
}

/// 1,000,000.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::Size;

    #[test]
    fn what_grows_is_marked() {
        let grown = |orders, p50_ms| Grown {
            size: Size::of(orders),
            bytes: 1,
            rows_seconds: 1.0,
            indexes_seconds: 1.0,
            check_stock_seconds: 1.0,
            measures: vec![
                Measure { name: "steady", p50_ms: 1.0, p95_ms: 2.0, count: 1 },
                Measure { name: "growing", p50_ms, p95_ms: 2.0, count: 1 },
            ],
        };
        let growth = Growth {
            postgres: "PostgreSQL".to_owned(),
            grown: vec![grown(10_000, 1.0), grown(1_000_000, 1.6)],
            left_out: vec!["too large".to_owned()],
        };
        let text = markdown(&growth);
        assert!(text.contains("| steady | 1.00 / 2.00 | 1.00 / 2.00 | 1.00 |"), "{text}");
        assert!(text.contains("| growing | 1.00 / 2.00 | 1.60 / 2.00 | 1.60 (grows) |"), "{text}");
        assert!(text.contains("1,000,000 orders") && text.contains("Left out: too large."), "{text}");
    }
}
