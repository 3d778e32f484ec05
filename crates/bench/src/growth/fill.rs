//! Fills a database through `COPY`, over two connections: nothing but the rows is written, and what finds them is made
//! afterwards, as it was.

use std::cell::RefCell;
use std::io::Cursor;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_postgres::Client;

use super::rows::Rows;
use super::tables::{SHARES, Table};
use super::years::Years;
use crate::error::{During as _, Step, StepFailed};
use crate::progress::progress;

/// Chunks that wait between whoever writes rows and the server.
const CHUNKS: usize = 8;

/// What takes longer is told by itself.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// How long which part of a fill took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    pub(super) rows: Duration,
    pub(super) indexes: Duration,
}

/// Tables that foreign keys refer to: they can't be emptied by themselves, so they are filled as any other would be, and
/// vacuumed afterwards.
const REFERENCED: [&str; 5] = ["orders", "products", "receipts", "sessions", "users"];

/// Foreign keys are kept to by what is written, and need not be checked row by row; the sessions end with the fill.
const SESSION: &str = "SET session_replication_role = replica; SET synchronous_commit = off; \
                       SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 1;";

/// What can be dropped and made again: indexes that no foreign key needs, and by what each is made. A constraint's is
/// made with the constraint.
const FINDERS: &str = "
    SELECT CASE WHEN con.oid IS NULL THEN format('DROP INDEX %s', index.indexrelid::regclass)
                ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', index.indrelid::regclass, con.conname) END AS drop,
           CASE WHEN con.oid IS NULL THEN pg_get_indexdef(index.indexrelid)
                ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', index.indrelid::regclass, con.conname,
                            pg_get_constraintdef(con.oid)) END AS make
    FROM pg_index AS index
    JOIN pg_class AS relation ON relation.oid = index.indrelid
    LEFT JOIN pg_constraint AS con ON con.conindid = index.indexrelid AND con.contype IN ('p', 'u')
    WHERE relation.relnamespace = 'public'::regnamespace AND relation.relname <> '__diesel_schema_migrations'
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conindid = index.indexrelid)
    ORDER BY pg_relation_size(index.indrelid) DESC, index.indrelid, index.indexrelid";

/// Every index and constraint, in words: the same before a fill and after it.
const SCHEMA: &str = "
    SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    ORDER BY 1";

/// Fills an empty, migrated database.
pub(super) async fn fill(clients: [&Client; 2], years: Years) -> Step<Took> {
    let [first, second] = clients;
    for client in clients {
        client.batch_execute(SESSION).await.during("preparing a session")?;
    }
    let schema = words(first).await?;
    let finders = first.query(FINDERS, &[]).await.during("listing the indexes")?;
    for finder in &finders {
        first.batch_execute(finder.get("drop")).await.during("dropping an index")?;
    }
    let begun = Instant::now();
    let [ours, theirs] = SHARES;
    tokio::try_join!(copy_all(first, ours, years), copy_all(second, theirs, years))?;
    first
        .batch_execute(
            "SELECT setval(pg_get_serial_sequence('stock_movements', 'seq'), (SELECT max(seq) FROM stock_movements))",
        )
        .await
        .during("setting a sequence")?;
    let rows = begun.elapsed();
    let begun = Instant::now();
    let to_make: RefCell<Vec<String>> = RefCell::new(finders.iter().rev().map(|finder| finder.get("make")).collect());
    tokio::try_join!(make_all(first, &to_make), make_all(second, &to_make))?;
    for table in REFERENCED {
        first.batch_execute(&format!("VACUUM (FREEZE) {table}")).await.during("vacuuming")?;
    }
    first.batch_execute("ANALYZE").await.during("gathering statistics")?;
    let indexes = begun.elapsed();
    if words(first).await? != schema {
        return Err(StepFailed::new("making the indexes again", "the schema is not what it was"));
    }
    Ok(Took { rows, indexes })
}

async fn copy_all(client: &Client, tables: &[Table], years: Years) -> Step<()> {
    for table in tables {
        let begun = Instant::now();
        let rows = copy(client, *table, years).await?;
        progress(&format!("  {}: {rows} rows in {:.1} s", table.name, begun.elapsed().as_secs_f64()));
    }
    Ok(())
}

/// Emptied and filled in one transaction, a table's new pages need no log, and its rows are seen by everybody from the
/// beginning (`FREEZE`): there is nothing to be vacuumed afterwards.
async fn copy(client: &Client, table: Table, years: Years) -> Step<u64> {
    let Table { name, columns, write } = table;
    let step = || format!("filling {name}");
    let is_referenced = REFERENCED.contains(&name);
    let begin = if is_referenced { "BEGIN".to_owned() } else { format!("BEGIN; TRUNCATE {name}") };
    client.batch_execute(&begin).await.during(step())?;
    let (sender, mut chunks) = mpsc::channel(CHUNKS);
    let writer = spawn_blocking(move || {
        let mut rows = Rows::begin(sender);
        write(&years, &mut rows);
        rows.end();
    });
    let freeze = if is_referenced { "" } else { ", FREEZE" };
    let statement = format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary{freeze})");
    let sink = client.copy_in::<_, Cursor<Vec<u8>>>(&statement).await.during(step())?;
    tokio::pin!(sink);
    while let Some(chunk) = chunks.recv().await {
        sink.send(Cursor::new(chunk)).await.during(step())?;
    }
    let rows = sink.finish().await.during(step())?;
    writer.await.during(step())?;
    client.batch_execute("COMMIT").await.during(step())?;
    Ok(rows)
}

async fn make_all(client: &Client, to_make: &RefCell<Vec<String>>) -> Step<()> {
    loop {
        let next = to_make.borrow_mut().pop();
        let Some(make) = next else { return Ok(()) };
        let begun = Instant::now();
        client.batch_execute(&make).await.during(&make)?;
        if begun.elapsed() > WORTH_TELLING {
            progress(&format!("  {:.1} s: {make}", begun.elapsed().as_secs_f64()));
        }
    }
}

async fn words(client: &Client) -> Step<Vec<String>> {
    let rows = client.query(SCHEMA, &[]).await.during("reading the schema")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
