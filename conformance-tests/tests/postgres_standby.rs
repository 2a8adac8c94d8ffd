//! A synchronous standby takes over from a server that was killed, while writers write and readers read. What was
//! acknowledged or read must be there.

#[path = "support/trial.rs"]
mod trial;

use std::time::Duration;

use conformance_tests::witness::{Property, Summary, Verdict};
use eventsource_postgres::CommitMode;
use sqlx::{Connection, Executor, PgConnection};
use test_servers::Postgres;
use tokio::time::sleep;
use trial::{Result, Trial, signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn flushed_appends_survive_a_failover() -> Result {
    let summary = fail_over("failover", CommitMode::Flushed, "").await??;
    assert!(summary.acknowledged >= 100, "{summary:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pipelined_appends_survive_a_failover() -> Result {
    let summary = fail_over("failover_pipelined", CommitMode::Pipelined, "").await??;
    assert!(summary.acknowledged >= 100, "{summary:?}");
    Ok(())
}

/// A store that does not wait for the standby before it shows what it read: the log doesn't say that it must.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_witness_sees_readers_that_are_ahead_of_the_standby() -> Result {
    let broken = "UPDATE log SET pipelined = false";
    let verdict =
        fail_over("failover_ahead", CommitMode::Pipelined, broken).await?.expect_err("readers were ahead");
    assert!(verdict.breaks(Property::ReadersMissNothing), "{verdict}");
    assert!(!verdict.breaks(Property::AcknowledgedIsStored), "{verdict}");
    Ok(())
}

/// Lets a standby fall behind, kills the server, and has the standby take over.
async fn fail_over(
    name: &str,
    mode: CommitMode,
    before: &'static str,
) -> Result<std::result::Result<Summary, Verdict>> {
    let mut trial = Trial::begin(name, Postgres::own(), mode).await?;
    let mut standby = trial.server.start_synchronous_standby().await?;
    let mut own = PgConnection::connect(&trial.url).await?;
    own.execute(before).await?;
    // All on one store: another one, of flushed commits, would keep the log's lock while it waits for the standby.
    trial.run_on(&[0])?;
    trial.let_them_append(100).await;

    // From here on nothing reaches the standby. What was acknowledged by now has; readers go on until they must wait.
    let sender: i32 = sqlx::query_scalar("SELECT pid FROM pg_stat_replication").fetch_one(&mut own).await?;
    signal("STOP", &[sender])?;
    if mode == CommitMode::Pipelined {
        trial.wait_for_unacknowledged().await?;
    }
    sleep(Duration::from_millis(100)).await;
    trial.is_over();
    // All at one moment: if only the first process were killed, backends that wait for the standby would give up waiting and
    // show what they have committed, for as long as it takes them to end. PostgreSQL's own readers are not safe from that.
    trial.cut_the_power().await?;
    standby.promote().await?;
    trial.stop().await;

    let url = trial.url.replace(&port_of(&trial.server.url())?, &port_of(&standby.url())?);
    trial.judge(&url).await
}

/// `:5432/` of a URL.
fn port_of(url: &str) -> Result<String> {
    let (_, rest) = url.rsplit_once(':').ok_or("a URL has a port")?;
    let (port, _) = rest.split_once('/').ok_or("a URL has a path")?;
    Ok(format!(":{port}/"))
}
