//! A span for each statement, as part of whatever asked for it. Only a connection that is opened while such spans are
//! recorded gets them; to any other they cost nothing.

use std::collections::VecDeque;
use std::fmt::Display;

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use tracing::{Level, Span};

/// What is remembered of statements whose end never came, because the future that waited was dropped.
const MAX_OPEN: usize = 64;

/// Has the connection's statements traced, if anybody records such spans.
pub(crate) fn trace(connection: &mut AsyncPgConnection) {
    if tracing::span_enabled!(Level::DEBUG, "SQL") {
        connection.set_instrumentation(SqlSpans::default());
    }
}

/// The statements under way on one connection; pipelined ones overlap.
#[derive(Default)]
struct SqlSpans(VecDeque<(String, Span)>);

impl Instrumentation for SqlSpans {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            // What belongs to nothing, such as a loop's look whether there is something to do, would be a trace of
            // its own each second.
            InstrumentationEvent::StartQuery { query, .. } if !Span::current().is_none() => {
                let sql = without_binds(&query);
                let span = tracing::debug_span!(
                    "SQL",
                    otel.name = sql.split_whitespace().next(),
                    otel.kind = "client",
                    otel.status_code = tracing::field::Empty,
                    db.system.name = "postgresql",
                    db.query.text = sql,
                );
                if self.0.len() == MAX_OPEN {
                    self.0.pop_front();
                }
                self.0.push_back((sql, span));
            }
            InstrumentationEvent::FinishQuery { query, error, .. } => {
                let sql = without_binds(&query);
                let Some(index) = self.0.iter().position(|(open, _)| *open == sql) else { return };
                if let Some((_, span)) = self.0.remove(index)
                    && error.is_some()
                {
                    span.record("otel.status_code", "ERROR");
                }
            }
            _ => {}
        }
    }
}

/// A statement's text. Its values may be anybody's name and address, so they are left out.
fn without_binds(query: &impl Display) -> String {
    let mut text = query.to_string();
    if let Some(end) = text.find(" -- binds: ") {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use diesel::pg::Pg;
    use diesel::sql_types::Text;

    use super::*;

    #[test]
    fn a_statement_is_shown_without_its_values() {
        let query = diesel::sql_query("SELECT id FROM users WHERE email = $1").bind::<Text, _>("somebody@example.com");
        let shown = diesel::debug_query::<Pg, _>(&query);
        assert!(shown.to_string().contains("somebody@example.com"), "else there is nothing to leave out: {shown}");
        assert_eq!(without_binds(&shown), "SELECT id FROM users WHERE email = $1");
    }
}
