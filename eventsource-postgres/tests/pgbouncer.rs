//! Everything through Debian's pgbouncer in transaction mode: two transactions of one connection may run on different
//! servers, and statements outside one may land anywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use eventsource_core::{
    Append, ClaimRequest, EventStore, EventStoreExt, ExpectedVersion, Filter, Outbox, Settlement,
};
use eventsource_postgres::{CommitMode, PostgresStore};
use futures_util::future::join_all;
use support::{event, one, order, small, tagged};
use test_servers::{PgBouncer, Postgres};

async fn bounced(name: &str) -> (PgBouncer, String) {
    let url = Postgres::shared().await.create_database(name).await.unwrap();
    let bouncer = PgBouncer::start(&url).await.unwrap();
    let url = bouncer.url().to_owned();
    (bouncer, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn several_stores_migrate_append_and_read_at_once() {
    let (_bouncer, url) = bounced("at_once").await;
    let modes = [CommitMode::Flushed, CommitMode::Pipelined, CommitMode::Adaptive, CommitMode::Pipelined];
    let connect = |mode| PostgresStore::connect(small(&url).through_pgbouncer().commit(mode));
    let stores = join_all(modes.map(connect)).await;
    let stores: Vec<PostgresStore> = stores.into_iter().map(Result::unwrap).collect();
    let mut tasks = Vec::new();
    for (number, store) in stores.iter().enumerate() {
        for task in 0..4 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let stream = order();
                let mut version = None;
                for n in 0..50 {
                    let unit = format!("{number}/{task}/{n}");
                    let boundary = Filter::tagged("unit", &unit).unwrap();
                    let append =
                        Append::to_stream(stream.clone(), version.into(), [tagged("Counted", &unit)])
                            .fail_if(boundary.clone());
                    version = store.append(append).await.unwrap().version_of(&stream);
                    let found = store.query(&boundary).await.unwrap();
                    assert_eq!(found.events.len(), 1);
                    assert!(found.head >= found.events[0].position());
                }
                assert_eq!(store.stream_version(&stream).await.unwrap(), version);
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let all = stores[0].query(&Filter::all()).await.unwrap();
    assert_eq!((all.events.len(), all.head.to_raw()), (800, 800));
    for store in &stores {
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_replays_and_transactions_of_the_callers() {
    let (_bouncer, url) = bounced("conflicts").await;
    let store =
        PostgresStore::connect(small(&url).through_pgbouncer().commit(CommitMode::Pipelined)).await.unwrap();
    let stream = order();
    let append = Append::to_stream(stream.clone(), ExpectedVersion::NoStream, [event("A")]);
    store.append(append.clone()).await.unwrap();
    assert!(store.append(append).await.unwrap().replayed);
    let again = Append::to_stream(stream, ExpectedVersion::NoStream, [event("B")]);
    assert!(store.append(again).await.unwrap_err().is_conflict());
    let mut transaction = store.pool().begin().await.unwrap();
    store.append_in(&mut transaction, one("C")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.head().await.unwrap().to_raw(), 2);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_is_filled_claimed_and_settled() {
    let (_bouncer, url) = bounced("outbox").await;
    let config = small(&url).through_pgbouncer().outbox(Filter::all());
    let store = PostgresStore::connect(config).await.unwrap();
    join_all((0..20).map(|_| store.append(one("Published"))))
        .await
        .into_iter()
        .for_each(|done| drop(done.unwrap()));
    let workers = (0..3).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let request = ClaimRequest::new(format!("worker {number}"), 3, Duration::from_secs(600)).unwrap();
            let mut count = 0;
            loop {
                let claim = store.claim(&request).await.unwrap();
                if claim.entries.is_empty() {
                    return count;
                }
                let settlements: Vec<_> =
                    claim.entries.iter().map(|entry| Settlement::published(entry.event.id())).collect();
                assert_eq!(store.settle(claim.id, &settlements).await.unwrap(), []);
                count += settlements.len();
            }
        })
    });
    let counts: Vec<usize> = join_all(workers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(counts.iter().sum::<usize>(), 20, "{counts:?}");
    assert_eq!(store.statistics().await.unwrap().published, 20);
    store.close().await.unwrap();
}
