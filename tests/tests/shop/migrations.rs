//! The schema's history: each migration can be taken back and applied again, several instances may start at once,
//! and an instance knows what its database lacks.

use adapters_postgres::migrations::{embedded_versions, migrate, migrate_next, revert_last};
use ironcart_tests::database::Database;

/// Everything that a migration can make, in words, without the history's own table.
const SCHEMA: &str = "
    SELECT t FROM (
        SELECT format('column %s.%s %s %s default %s collate %s', table_name, column_name, udt_name,
                      is_nullable, coalesce(column_default, identity_generation), collation_name) AS t
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_diesel%'
        UNION ALL
        SELECT format('constraint %s.%s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE '\\_\\_diesel%'
        UNION ALL
        SELECT format('index %s', pg_get_indexdef(indexrelid))
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_\\_diesel%'
        UNION ALL
        SELECT format('relation %s %s %s', relkind, relname, reloptions)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_\\_diesel%'
        UNION ALL
        SELECT format('function %s(%s) %s', proname, pg_get_function_arguments(oid), md5(prosrc))
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL
        SELECT format('trigger %s', pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT format('type %s %s', typtype, typname)
        FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
        UNION ALL
        SELECT format('extension %s', extname) FROM pg_extension
    ) AS schema ORDER BY t";

#[tokio::test(flavor = "multi_thread")]
async fn every_migration_goes_up_and_down_and_up_to_the_same_schema() {
    let database = Database::empty().await;
    let mut applied = Vec::new();
    for version in embedded_versions() {
        let before = database.texts(SCHEMA).await;
        applied.push(migrate_next(&database.url).await.unwrap());
        let after = database.texts(SCHEMA).await;
        assert_ne!(after, before, "{version} does nothing");

        revert_last(&database.url).await.unwrap();
        assert_eq!(database.texts(SCHEMA).await, before, "{version} is not taken back whole");
        migrate_next(&database.url).await.unwrap();
        assert_eq!(database.texts(SCHEMA).await, after, "{version} differs the second time");
    }
    assert_eq!(applied, embedded_versions());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_history_can_be_taken_back() {
    let database = Database::empty().await;
    let empty = database.texts(SCHEMA).await;
    migrate(&database.url).await.unwrap();
    for _ in embedded_versions() {
        revert_last(&database.url).await.unwrap();
    }
    assert_eq!(database.texts(SCHEMA).await, empty);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_at_once_apply_each_migration_once() {
    let database = Database::empty().await;
    let runs = futures_util::future::join_all((0..5).map(|_| migrate(&database.url))).await;
    let mut applied: Vec<String> = runs.into_iter().flat_map(Result::unwrap).collect();
    applied.sort();
    assert_eq!(applied, embedded_versions());
}

#[tokio::test]
async fn migrations_run_on_any_runtime_and_a_second_time_do_nothing() {
    let database = Database::empty().await;
    assert_eq!(migrate(&database.url).await.unwrap(), embedded_versions());
    assert_eq!(migrate(&database.url).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn an_instance_knows_what_its_database_lacks() {
    let database = Database::empty().await;
    assert_eq!(database.pool.pending_migrations().await.unwrap(), embedded_versions());
    migrate(&database.url).await.unwrap();
    assert_eq!(database.pool.pending_migrations().await.unwrap(), Vec::<String>::new());
    let newest = revert_last(&database.url).await.unwrap();
    assert_eq!(database.pool.pending_migrations().await.unwrap(), [newest]);
    // A database that a newer binary migrated has more, and that is fine.
    migrate(&database.url).await.unwrap();
    database.run_sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('99999999999999')").await.unwrap();
    assert_eq!(database.pool.pending_migrations().await.unwrap(), Vec::<String>::new());
}
