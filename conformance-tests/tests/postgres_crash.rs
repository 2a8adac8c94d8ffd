//! What only a server can go through: it is stopped at once, killed, or cuts its clients' connections, while writers
//! write and readers read. The witness judges what is left.

#[path = "support/trial.rs"]
mod trial;

use std::time::Duration;

use conformance_tests::witness::{Property, Summary, Verdict};
use eventsource_postgres::CommitMode;
use sqlx::{Connection, Executor, PgConnection};
use test_servers::{LocalPostgresBuilder, Postgres};
use tokio::time::sleep;
use trial::{Result, Trial};

/// A server whose flushes take a while, so that much is visible that is not durable.
fn slow() -> LocalPostgresBuilder {
    Postgres::own().setting("commit_delay", "10000").setting("commit_siblings", "0")
}

async fn survives_being_stopped_at_once(
    name: &str,
    server: LocalPostgresBuilder,
    mode: CommitMode,
) -> Result {
    let mut trial = Trial::begin(name, server, mode).await?;
    trial.run()?;
    for _ in 0..3 {
        trial.let_them_append(100).await;
        trial.server.stop_immediate().await?;
        sleep(Duration::from_millis(100)).await;
        trial.server.start().await?;
    }
    trial.end().await?;
    Ok(())
}

async fn survives_being_killed(name: &str, server: LocalPostgresBuilder, mode: CommitMode) -> Result {
    let mut trial = Trial::begin(name, server, mode).await?;
    trial.run()?;
    for round in 0..4 {
        trial.let_them_append(100).await;
        if round % 2 == 0 {
            trial.server.kill().await?;
        } else {
            trial.cut_the_power().await?;
        }
        trial.server.start().await?;
    }
    trial.end().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_appends_survive_a_server_that_is_stopped_at_once() -> Result {
    survives_being_stopped_at_once("stopped", Postgres::own(), CommitMode::Flushed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_appends_survive_a_server_that_is_killed() -> Result {
    survives_being_killed("killed", Postgres::own(), CommitMode::Flushed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pipelined_appends_survive_a_server_that_is_stopped_at_once() -> Result {
    survives_being_stopped_at_once("stopped_pipelined", slow(), CommitMode::Pipelined).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pipelined_appends_survive_a_server_that_is_killed() -> Result {
    survives_being_killed("killed_pipelined", slow(), CommitMode::Pipelined).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn adaptive_appends_survive_a_server_that_is_killed() -> Result {
    survives_being_killed("killed_adaptive", slow(), CommitMode::Adaptive).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_appends_survive_connections_that_are_cut() -> Result {
    survive_cut_connections("cut", CommitMode::Flushed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pipelined_appends_survive_connections_that_are_cut() -> Result {
    survive_cut_connections("cut_pipelined", CommitMode::Pipelined).await
}

async fn survive_cut_connections(name: &str, mode: CommitMode) -> Result {
    let mut trial = Trial::begin(name, Postgres::own(), mode).await?;
    trial.run()?;
    let mut other = PgConnection::connect(&trial.url).await?;
    let mut cut = 0;
    for _ in 0..12 {
        trial.let_them_append(20).await;
        let terminated: Vec<(bool,)> = sqlx::query_as(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .fetch_all(&mut other)
        .await?;
        cut += terminated.len();
    }
    other.close().await?;
    assert!(cut > 12, "only {cut} connections were cut");
    trial.end().await?;
    Ok(())
}

/// A store that does not wait for the flush before it shows what it read: the log doesn't say that it must.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_witness_sees_readers_that_are_ahead_of_the_durable_log() -> Result {
    // Whether a reader looks between a commit and its flush is luck, though nearly certain.
    for attempt in 0..5 {
        let server = Postgres::own().setting("commit_delay", "100000").setting("commit_siblings", "0");
        let mut trial = Trial::begin(&format!("ahead_{attempt}"), server, CommitMode::Pipelined).await?;
        PgConnection::connect(&trial.url).await?.execute("UPDATE log SET pipelined = false").await?;
        trial.run()?;
        trial.let_them_append(20).await;
        trial.wait_for_unacknowledged().await?;
        // They look at least every few milliseconds; the flush is a tenth of a second away.
        sleep(Duration::from_millis(20)).await;
        if let Err(verdict) = judged_after_a_power_cut(&mut trial).await? {
            assert!(verdict.breaks(Property::HeadIsAnEvent), "{verdict}");
            assert!(!verdict.breaks(Property::AcknowledgedIsStored), "{verdict}");
            return Ok(());
        }
    }
    Err("nobody saw what is gone".into())
}

/// A store that acknowledges before the flush: the database says that commits need none, and so nothing waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_witness_sees_acknowledgements_that_are_ahead_of_the_durable_log() -> Result {
    // Something else of the server's may flush just before the power goes.
    for attempt in 0..5 {
        let server = Postgres::own().setting("synchronous_commit", "off").setting("wal_writer_delay", "10s");
        let mut trial =
            Trial::begin(&format!("acknowledged_{attempt}"), server, CommitMode::Pipelined).await?;
        trial.run()?;
        trial.let_them_append(100).await;
        if let Err(verdict) = judged_after_a_power_cut(&mut trial).await? {
            assert!(verdict.breaks(Property::AcknowledgedIsStored), "{verdict}");
            return Ok(());
        }
    }
    Err("nothing that was acknowledged is gone".into())
}

/// Cuts the power, for good, and lets the witness judge what is left.
async fn judged_after_a_power_cut(trial: &mut Trial) -> Result<std::result::Result<Summary, Verdict>> {
    // Nobody appends again what is lost: it might come to lie where it was.
    trial.is_over();
    trial.cut_the_power().await?;
    trial.stop().await;
    trial.server.start().await?;
    trial.judge(&trial.url).await
}
