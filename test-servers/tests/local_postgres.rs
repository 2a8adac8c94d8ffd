//! A server of a test's own: configured, stopped, killed, started again.

use sqlx::{Connection, Executor, PgConnection};
use test_servers::{LocalPostgres, Postgres};

async fn connect(postgres: &LocalPostgres) -> PgConnection {
    PgConnection::connect(&postgres.url()).await.expect("a connection")
}

async fn notes(postgres: &LocalPostgres) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM notes")
        .fetch_one(&mut connect(postgres).await)
        .await
        .expect("a count")
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    let mut postgres = Postgres::own().start().await.expect("a server");
    let url = postgres.url();
    connect(&postgres).await.execute("CREATE TABLE notes AS SELECT 1 AS note").await.expect("a table");

    for _ in 0..3 {
        postgres.kill().await.expect("it runs");
        assert!(PgConnection::connect(&url).await.is_err(), "nobody is there");
        postgres.start().await.expect("it starts again");
        assert_eq!(postgres.url(), url, "at the same address");
        assert_eq!(notes(&postgres).await, 1);
    }
    postgres.stop_immediate().await.expect("it runs");
    postgres.start().await.expect("it starts again");
    assert_eq!(notes(&postgres).await, 1);
}

#[tokio::test]
async fn settings_hold_from_the_next_start_on() {
    let mut postgres = Postgres::own().setting("commit_delay", "3000").start().await.expect("a server");
    let read = "SELECT current_setting('commit_delay')";
    let delay: String =
        sqlx::query_scalar(read).fetch_one(&mut connect(&postgres).await).await.expect("a setting");
    assert_eq!(delay, "3000");

    postgres.set("commit_delay", "0");
    postgres.stop_fast().await.expect("it runs");
    postgres.start().await.expect("it starts again");
    let delay: String =
        sqlx::query_scalar(read).fetch_one(&mut connect(&postgres).await).await.expect("a setting");
    assert_eq!(delay, "0");
}

#[tokio::test]
async fn a_setting_that_postgresql_refuses_is_named() {
    let refused = Postgres::own().setting("no_such_setting", "1").start().await.expect_err("refused");
    assert!(refused.to_string().contains("no_such_setting"), "{refused}");
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let postgres = Postgres::own().start().await.expect("a server");
    let (url, data) = (postgres.url(), postgres.data_directory());
    assert!(data.is_dir());
    drop(postgres);
    assert!(!data.exists());
    assert!(PgConnection::connect(&url).await.is_err());
}

#[tokio::test]
async fn commits_are_flushed_as_in_production() {
    let postgres = Postgres::own().start().await.expect("a server");
    let mut connection = connect(&postgres).await;
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .expect("a setting");
        assert_eq!(value, "on", "{name}");
    }
}

#[tokio::test]
async fn a_standby_follows_and_takes_over() {
    let mut postgres = Postgres::own().start().await.expect("a server");
    let mut standby = postgres.start_synchronous_standby().await.expect("a standby");
    connect(&postgres).await.execute("CREATE TABLE notes AS SELECT 1 AS note").await.expect("a table");
    assert!(connect(&standby).await.execute("CREATE TABLE more ()").await.is_err(), "it takes no writes");
    postgres.kill().await.expect("it runs");
    standby.promote().await.expect("a promotion");
    assert_eq!(notes(&standby).await, 1);
    connect(&standby).await.execute("CREATE TABLE more ()").await.expect("it takes writes");
}
