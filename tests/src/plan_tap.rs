//! Hears the plan of every statement that a shop sends: PostgreSQL's `auto_explain` tells each to the client as a
//! notice, and a relay on the wire keeps it. So no list of statements is kept by hand, and none is forgotten.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use adapters_postgres::DatabaseUrl;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::database::Database;

/// A statement as it was run, checks of foreign keys and the like too.
#[derive(Debug, Clone)]
pub struct SeenPlan {
    /// Its text.
    pub query: String,
    /// PostgreSQL's plan of it and what came of it, as `EXPLAIN (ANALYZE, FORMAT JSON)` shows it.
    pub plan: Value,
}

impl SeenPlan {
    /// Every node of the plan.
    #[must_use]
    pub fn nodes(&self) -> Vec<&Value> {
        let mut nodes = vec![&self.plan];
        let mut next = 0;
        while let Some(node) = nodes.get(next) {
            next += 1;
            if let Some(children) = node["Plans"].as_array() {
                nodes.extend(children);
            }
        }
        nodes
    }

    /// The names of the indexes that it reads.
    pub fn indexes(&self) -> impl Iterator<Item = &str> {
        self.nodes().into_iter().filter_map(|node| node["Index Name"].as_str())
    }

    /// How many rows one node of it read in vain, at most: an index led to them, and a filter refused them.
    #[must_use]
    pub fn most_rows_in_vain(&self) -> u64 {
        let count = |node: &Value, name| node[name].as_u64().unwrap_or_default();
        let in_vain = |node: &&Value| {
            let refused = count(node, "Rows Removed by Filter") + count(node, "Rows Removed by Index Recheck");
            refused * count(node, "Actual Loops")
        };
        self.nodes().iter().map(in_vain).max().unwrap_or_default()
    }

    /// Whether it was made for any values, as the plan of a kept statement is after its first uses.
    #[must_use]
    pub fn is_generic(&self) -> bool {
        self.plan.to_string().contains("$1")
    }
}

/// A relay in front of a database. Dropped, it stops listening.
#[derive(Debug)]
pub struct PlanTap {
    /// Where a shop must connect to be heard.
    pub url: DatabaseUrl,
    seen: Arc<Mutex<Vec<SeenPlan>>>,
    serving: JoinHandle<()>,
}

/// For each session of the database that begins from now on.
const SETTINGS: [(&str, &str); 7] = [
    ("session_preload_libraries", "auto_explain"),
    ("auto_explain.log_min_duration", "0"),
    ("auto_explain.log_level", "notice"),
    ("auto_explain.log_format", "json"),
    ("auto_explain.log_analyze", "on"),
    ("auto_explain.log_timing", "off"),
    ("auto_explain.log_nested_statements", "on"),
];

impl PlanTap {
    /// Listens in front of a test's database, whose server must have `auto_explain` (it is part of PostgreSQL's
    /// `contrib`) and whose role must be a superuser.
    pub async fn before(database: &Database) -> Self {
        let name = database.texts("SELECT quote_ident(current_database()) AS t").await.pop().expect("a name");
        for (setting, value) in SETTINGS {
            let set = format!("ALTER DATABASE {name} SET {setting} = '{value}'");
            database.run_sql(&set).await.expect("a superuser");
        }
        let config: tokio_postgres::Config = database.url_text().parse().expect("a good address");
        let tokio_postgres::config::Host::Tcp(host) = &config.get_hosts()[0] else {
            unreachable!("test servers listen on TCP")
        };
        let server = (host.clone(), config.get_ports()[0]);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let url = database.url_text().replace(&format!("{}:{}", server.0, server.1), &format!("127.0.0.1:{port}"));
        assert_ne!(url, database.url_text(), "the relay must be in between");
        let seen = Arc::default();
        let serving = tokio::spawn(serve(listener, server, Arc::clone(&seen)));
        Self { url: url.parse().expect("a good address"), seen, serving }
    }

    /// What was heard since it was last asked.
    #[must_use]
    pub fn take(&self) -> Vec<SeenPlan> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for PlanTap {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, server: (String, u16), seen: Arc<Mutex<Vec<SeenPlan>>>) {
    // Aborted, the set is dropped with all its connections.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let Ok(server) = TcpStream::connect(server.clone()).await else { continue };
        for socket in [&client, &server] {
            socket.set_nodelay(true).expect("an option of the socket");
        }
        let seen = Arc::clone(&seen);
        connections.spawn(async move {
            let (mut from_client, to_client) = client.into_split();
            let (from_server, mut to_server) = server.into_split();
            tokio::select! {
                _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                _ = back(from_server, to_client, &seen) => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Passes on what the server says, all but the plans, which only make work for the client.
async fn back(
    mut server: tokio::net::tcp::OwnedReadHalf,
    mut client: tokio::net::tcp::OwnedWriteHalf,
    seen: &Mutex<Vec<SeenPlan>>,
) -> std::io::Result<()> {
    let mut pending = Vec::new();
    while server.read_buf(&mut pending).await? > 0 {
        let mut passed_on = Vec::with_capacity(pending.len());
        while let Some(length) = whole_message(&pending) {
            let message: Vec<u8> = pending.drain(..length).collect();
            match told_plan(&message) {
                Some(plan) => seen.lock().unwrap_or_else(PoisonError::into_inner).push(plan),
                None => passed_on.extend(message),
            }
        }
        client.write_all(&passed_on).await?;
    }
    Ok(())
}

/// The length of the first message, if all of it is there: after the type, 4 bytes say how long the rest is.
fn whole_message(bytes: &[u8]) -> Option<usize> {
    let length: [u8; 4] = bytes.get(1..5)?.try_into().ok()?;
    let length = u32::from_be_bytes(length) as usize + 1;
    (bytes.len() >= length).then_some(length)
}

/// The plan in a notice: "duration: 0.012 ms  plan:\n{…}".
fn told_plan(message: &[u8]) -> Option<SeenPlan> {
    let fields = message.strip_prefix(b"N")?.get(4..)?;
    let text = fields.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"M"))?;
    let (_, json) = std::str::from_utf8(text).ok()?.split_once("plan:\n")?;
    let mut told: Value = serde_json::from_str(json).ok()?;
    Some(SeenPlan { query: told["Query Text"].as_str()?.to_owned(), plan: told["Plan"].take() })
}

#[cfg(test)]
mod tests {
    use super::{told_plan, whole_message};

    #[test]
    fn plans_are_read_from_notices() {
        let text = "duration: 0.012 ms  plan:\n{\"Query Text\": \"SELECT 1\", \
                    \"Plan\": {\"Node Type\": \"Limit\", \"Plans\": [{\"Node Type\": \"Result\"}]}}";
        let mut notice = b"N\0\0\0\0SNOTICE\0M".to_vec();
        notice.extend(text.bytes());
        notice.extend(b"\0\0");
        let length = u32::try_from(notice.len() - 1).expect("short");
        notice[1..5].copy_from_slice(&length.to_be_bytes());
        assert_eq!(whole_message(&notice), Some(notice.len()));
        assert_eq!(whole_message(&notice[..20]), None);
        let seen = told_plan(&notice).expect("a plan");
        assert_eq!(seen.query, "SELECT 1");
        assert_eq!(seen.nodes().len(), 2);
        assert!(told_plan(b"N\0\0\0\x0cMsomething\0\0").is_none());
    }
}
