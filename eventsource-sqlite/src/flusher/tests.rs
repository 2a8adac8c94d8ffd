//! Nothing leaves a store before it is durable, whoever committed it; and what a failed flush does.

mod disk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eventsource_core::{
    Append, Appended, CheckpointStore, ConsumerName, ErrorKind, EventBus, EventStore, ExpectedVersion,
    Filter, HandlerError, LeaseKey, Leases, LogIdentity, MemberId, NewEvent, Position, ReadOptions,
    RecordedEvent, Relay, RelayConfig, StreamId,
};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use self::disk::Disk;
use super::{Arc, Instant, Mutex};
use crate::config::SqliteConfig;
use crate::inline_view::SqliteInlineView;
use crate::store::SqliteStore;

const LONG: Duration = Duration::from_secs(60);
/// Long enough for what should not happen to happen.
const A_WHILE: Duration = Duration::from_millis(100);

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "waited in vain: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// A store on a disk that flushes when it is let.
struct Ground {
    path: PathBuf,
    disk: Arc<Disk>,
    store: SqliteStore,
    _directory: TempDir,
}

impl Ground {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (path, disk) = (directory.path().join("events.db"), Disk::free());
        let store = open(&path, &disk).await;
        Self { path, disk, store, _directory: directory }
    }
}

/// A test that fails ends: nobody waits for the disk any more.
impl Drop for Ground {
    fn drop(&mut self) {
        self.disk.allow(usize::MAX);
    }
}

async fn open(path: &Path, disk: &Arc<Disk>) -> SqliteStore {
    SqliteStore::open_with(SqliteConfig::file(path), disk.clone()).await.unwrap()
}

fn one(event_type: &str) -> Append {
    Append::events([NewEvent::new(event_type, &()).unwrap()])
}

fn visible(path: &Path) -> i64 {
    let own = Connection::open(path).unwrap();
    own.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap()
}

/// Commits an event past the store, which therefore does not know that it is durable.
fn commit_elsewhere(path: &Path, store: &SqliteStore) -> Position {
    let mut own = Connection::open(path).unwrap();
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let appended = store.append_in(&transaction, one("Elsewhere")).unwrap();
    transaction.commit().unwrap();
    appended.last
}

/// Appends in a transaction of its own, which is not committed.
fn append_elsewhere(
    path: &Path,
    store: &SqliteStore,
    append: Append,
) -> JoinHandle<eventsource_core::Result<Appended>> {
    let (store, path) = (store.clone(), path.to_owned());
    tokio::task::spawn_blocking(move || {
        let mut own = Connection::open(path).unwrap();
        own.busy_timeout(LONG).unwrap();
        let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        store.append_in(&transaction, append)
    })
}

type Running = JoinHandle<eventsource_core::Result<()>>;

/// Runs something that the store is asked, in a task of its own.
fn ask<T, F>(store: &SqliteStore, question: impl FnOnce(SqliteStore) -> F) -> Running
where
    F: Future<Output = eventsource_core::Result<T>> + Send + 'static,
{
    let answer = question(store.clone());
    tokio::spawn(async move { answer.await.map(drop) })
}

async fn told(running: Running) -> eventsource_core::Result<()> {
    tokio::time::timeout(LONG, running).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_the_store_before_it_is_flushed() {
    let ground = Ground::new().await;
    let (path, disk, store) = (&ground.path, &ground.disk, &ground.store);
    let log_id = store.log_id().await.unwrap();
    let stream = StreamId::new("Order", Uuid::now_v7()).unwrap();
    let created = || {
        let event = NewEvent::new("Created", &()).unwrap();
        Append::to_stream(stream.clone(), ExpectedVersion::NoStream, [event])
    };
    store.append(one("Before")).await.unwrap();
    disk.allow(0);
    let before = disk.begun();
    // A reader flushes for this one, so that the writer is free.
    commit_elsewhere(path, store);
    let mut running = vec![ask(store, |store| async move { store.head().await })];
    disk.has_begun(before + 1).await;
    for number in 3..6 {
        let append = if number == 3 { created() } else { one("More") };
        running.push(ask(store, |store| async move { store.append(append).await }));
        until("the writer goes on", || visible(path) == number).await;
    }
    // A conflict with what is not flushed, a repetition, what is kept beside the log, and all kinds of reads.
    let (conflicting, repeated, key) = (created(), one("Repeated"), ConsumerName::new("consumer").unwrap());
    running.push(ask(store, {
        let repeated = repeated.clone();
        |store| async move { store.append(repeated).await }
    }));
    until("it is there to be repeated", || visible(path) == 6).await;
    running.push(ask(store, |store| async move { store.append(repeated).await }));
    let conflict = ask(store, |store| async move { store.append(conflicting).await });
    running.push(ask(store, {
        let key = key.clone();
        move |store| async move { store.reset_checkpoint(&key, log_id, Position::START).await }
    }));
    let lease = LeaseKey { group: key.clone(), partition: 0 };
    running.push(ask(store, move |store| async move {
        store.acquire_lease(&lease, MemberId::new(Uuid::now_v7()), LONG).await
    }));
    running.push(ask(store, |store| async move { store.head().await }));
    running.push(ask(store, move |store| async move { store.stream_version(&stream).await }));
    running
        .push(ask(store, |store| async move { store.read_page(&Filter::all(), &ReadOptions::new()).await }));
    running.push(ask(store, move |store| async move { store.load_checkpoint(&key).await }));
    sleep(A_WHILE).await;
    let early = running.iter().position(JoinHandle::is_finished);
    assert_eq!(early, None, "answered before the flush");
    assert!(!conflict.is_finished(), "a conflict tells of what is not flushed");

    disk.allow(usize::MAX);
    for each in running {
        told(each).await.unwrap();
    }
    assert!(told(conflict).await.unwrap_err().is_conflict());
    store.close().await.unwrap();
}

/// A lone caller is flushed by the writer itself; readers wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_for_the_flush_of_what_it_has_seen() {
    let ground = Ground::new().await;
    let (disk, store) = (&ground.disk, &ground.store);
    store.append(one("Before")).await.unwrap();
    let before = disk.begun();
    store.head().await.unwrap();
    assert_eq!(disk.begun(), before, "what is durable needs no flush");
    let mut changes = store.changes();
    disk.allow(0);
    let append = ask(store, |store| async move { store.append(one("A")).await });
    disk.has_begun(before + 1).await;
    let read = ask(store, |store| async move { store.head().await });
    sleep(A_WHILE).await;
    assert!(!append.is_finished() && !read.is_finished());
    assert!(tokio::time::timeout(A_WHILE, changes.changed()).await.is_err(), "nobody is told of a change");
    disk.allow(1);
    tokio::time::timeout(LONG, changes.changed()).await.unwrap().unwrap();
    told(append).await.unwrap();
    told(read).await.unwrap();
    assert_eq!(disk.begun(), before + 1, "one flush was enough");
    disk.allow(usize::MAX);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_began_earlier_is_not_enough() {
    let ground = Ground::new().await;
    let (path, disk, store) = (&ground.path, &ground.disk, &ground.store);
    disk.allow(0);
    let before = disk.begun();
    commit_elsewhere(path, store);
    let first = ask(store, |store| async move { store.head().await });
    disk.has_begun(before + 1).await;
    let append = ask(store, |store| async move { store.append(one("A")).await });
    until("it is committed", || visible(path) == 2).await;
    let read = ask(store, |store| async move { store.head().await });
    disk.allow(1);
    told(first).await.unwrap();
    disk.has_begun(before + 2).await;
    sleep(A_WHILE).await;
    assert!(!append.is_finished() && !read.is_finished(), "that flush began before the commit");
    disk.allow(usize::MAX);
    told(append).await.unwrap();
    told(read).await.unwrap();
    store.close().await.unwrap();
}

/// Two stores know nothing of each other, like two processes.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_store_has_committed_is_flushed_by_who_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let (disk, others_disk) = (Disk::free(), Disk::free());
    let store = open(&path, &disk).await;
    let other = open(&path, &others_disk).await;
    other.head().await.unwrap();
    disk.allow(0);
    others_disk.allow(0);
    let (before, others_before) = (disk.begun(), others_disk.begun());
    let append = ask(&store, |store| async move { store.append(one("A")).await });
    disk.has_begun(before + 1).await;
    let read = ask(&other, |other| async move { other.head().await });
    others_disk.has_begun(others_before + 1).await;
    sleep(A_WHILE).await;
    assert!(!read.is_finished() && !append.is_finished());
    others_disk.allow(1);
    told(read).await.unwrap();
    assert!(!append.is_finished(), "its own flush is not done");
    assert_eq!(told(ask(&other, |other| async move { other.head().await })).await.ok(), Some(()));
    assert_eq!(others_disk.begun(), others_before + 1, "one flush was enough");
    disk.allow(usize::MAX);
    others_disk.allow(usize::MAX);
    told(append).await.unwrap();
    for store in [store, other] {
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_a_callers_transaction_is_flushed_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let disk = Disk::free();
    let view = |_: &Transaction<'_>, event: &RecordedEvent| match event.event_type().as_str() {
        "Refused" => Err(HandlerError::from("it will not")),
        _ => Ok(()),
    };
    let config = SqliteConfig::file(&path).inline(SqliteInlineView::new("view", view).unwrap());
    let store = SqliteStore::open_with(config, disk.clone()).await.unwrap();
    disk.allow(0);
    let before = disk.begun();
    let first = one("A");
    let append = ask(&store, {
        let first = first.clone();
        |store| async move { store.append(first).await }
    });
    disk.has_begun(before + 1).await;
    let repeated = append_elsewhere(&path, &store, first);
    let refused = append_elsewhere(&path, &store, one("Refused"));
    sleep(A_WHILE).await;
    assert!(!repeated.is_finished() && !refused.is_finished() && !append.is_finished());
    disk.allow(1);
    told(append).await.unwrap();
    disk.has_begun(before + 2).await;
    sleep(A_WHILE).await;
    assert!(!repeated.is_finished() && !refused.is_finished(), "each has a flush of its own");
    disk.allow(usize::MAX);
    assert!(repeated.await.unwrap().unwrap().replayed, "it was a repetition");
    assert_eq!(refused.await.unwrap().unwrap_err().kind(), ErrorKind::Refused);
    store.close().await.unwrap();
}

/// Whoever flushes beside a flush that fails would not be told of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_is_told_once_fails_all_who_flush() {
    let ground = Ground::new().await;
    let (path, disk, store) = (&ground.path, &ground.disk, &ground.store);
    disk.allow(0);
    let before = disk.begun();
    let first = one("A");
    let append = ask(store, {
        let first = first.clone();
        |store| async move { store.append(first).await }
    });
    disk.has_begun(before + 1).await;
    let repeated = append_elsewhere(path, store, first);
    sleep(A_WHILE).await;
    disk.fail_once();
    assert_eq!(told(append).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(repeated.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    let later = append_elsewhere(path, store, one("Later"));
    assert_eq!(later.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(store.close().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_panics_keeps_nobody_from_flushing() {
    let ground = Ground::new().await;
    let (path, disk, store) = (&ground.path, &ground.disk, &ground.store);
    commit_elsewhere(path, store);
    disk.change(|state| state.panicking = true);
    let error = store.head().await.unwrap_err();
    assert!(error.is_retryable(), "other readers go on: {error:?}");
    told(ask(store, |store| async move { store.append(one("A")).await })).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_flush_that_failed_nothing_is_written_or_told() {
    let ground = Ground::new().await;
    let (path, disk, store) = (&ground.path, &ground.disk, &ground.store);
    let first = one("Flushed");
    store.append(first.clone()).await.unwrap();
    disk.allow(0);
    let before = disk.begun();
    let lost = one("Lost");
    let append = ask(store, {
        let lost = lost.clone();
        |store| async move { store.append(lost).await }
    });
    disk.has_begun(before + 1).await;
    let read = ask(store, |store| async move { store.head().await });
    sleep(A_WHILE).await;
    disk.break_down();
    assert_eq!(told(append).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(told(read).await.unwrap_err().kind(), ErrorKind::Unavailable);
    // The next flush would succeed, and prove nothing.
    disk.repair();
    disk.allow(usize::MAX);
    let shown = visible(path);
    assert_eq!(store.append(one("More")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.append(lost.clone()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let consumer = ConsumerName::new("consumer").unwrap();
    let saving = store.reset_checkpoint(&consumer, log_id_of(path), Position::START);
    assert_eq!(saving.await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.head().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(visible(path), shown, "nothing more is written");
    assert!(store.close().await.unwrap_err().to_string().contains("could not be flushed"));
    assert!(path.with_extension("db-wal").exists(), "what may be lost is not written back");

    let store = open(path, disk).await;
    assert!(store.append(first).await.unwrap().replayed);
    store.append(lost).await.unwrap();
    store.close().await.unwrap();
}

/// Whoever tried again would do so for ever: relays, and consumers, which ask the error as well.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_flush_that_failed_nobody_tries_again() {
    let ground = Ground::new().await;
    let (disk, store) = (&ground.disk, &ground.store);
    store.append(one("Flushed")).await.unwrap();
    let bus = Arc::new(EventBus::new());
    let relay = Relay::new(Arc::new(store.clone()), bus, RelayConfig::new("relay")).unwrap();
    let relay = tokio::spawn(async move { relay.run(std::future::pending()).await });
    disk.break_down();
    assert_eq!(store.append(one("Lost")).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    disk.repair();
    let consumer = ConsumerName::new("consumer").unwrap();
    for refused in [
        timeout(LONG, relay).await.unwrap().unwrap().unwrap_err(),
        store.append(one("More")).await.unwrap_err(),
        store.head().await.unwrap_err(),
        store.load_checkpoint(&consumer).await.unwrap_err(),
        store.reset_checkpoint(&consumer, log_id_of(&ground.path), Position::START).await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(refused.is_closed() && !refused.is_retryable(), "{refused:?}");
        assert!(refused.to_string().contains("until the store is reopened"), "{refused:?}");
    }
    assert!(store.close().await.is_err());
}

fn log_id_of(path: &Path) -> eventsource_core::LogId {
    eventsource_core::LogId::new(crate::schema::log_id(&Connection::open(path).unwrap()).unwrap())
}

/// The power goes while appends, checkpoints and reads are under way: what is left is what was flushed. Whatever anybody
/// was told by then is there.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_everything_is_there_that_anybody_was_told() {
    let (mut answers, mut saves) = (0, 0);
    for flushes in (5..40).step_by(3) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.db");
        let disk = Disk::free();
        let store = open(&path, &disk).await;
        let log_id = store.log_id().await.unwrap();
        disk.allow(0);
        let told: Arc<Mutex<BTreeSet<i64>>> = Arc::default();
        let saved: Arc<Mutex<i64>> = Arc::default();
        let tell = |told: &Mutex<BTreeSet<i64>>, position: Position| {
            told.lock().unwrap().insert(position.to_i64());
        };
        let mut running = Vec::new();
        for _ in 0..4 {
            let (store, told) = (store.clone(), told.clone());
            running.push(tokio::spawn(async move {
                while let Ok(appended) = store.append(one("A")).await {
                    tell(&told, appended.last);
                }
            }));
        }
        for _ in 0..2 {
            let (store, told) = (store.clone(), told.clone());
            running.push(tokio::spawn(async move {
                while let Ok(head) = store.head().await {
                    tell(&told, head);
                }
            }));
        }
        running.push(tokio::spawn({
            let (store, saved) = (store.clone(), saved.clone());
            async move {
                let consumer = ConsumerName::new("consumer").unwrap();
                for position in 1.. {
                    let at = Position::from_raw(position);
                    if store.reset_checkpoint(&consumer, log_id, at).await.is_err() {
                        return;
                    }
                    *saved.lock().unwrap() = at.to_i64();
                }
            }
        }));
        // So many flushes end, and no more. All wait for the next one then, so the WAL is not written back either.
        let last = disk.ended() + flushes;
        disk.allow(flushes);
        disk.has_begun(last + 1).await;
        let left = disk.state.lock().unwrap().durable.clone();
        sleep(A_WHILE / 2).await;
        let (told, saved) = (told.lock().unwrap().clone(), *saved.lock().unwrap());
        // Closing the copied file costs this process its locks on it. No other is there.
        let copy = directory.path().join("after.db");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::write(directory.path().join("after.db-wal"), &left).unwrap();
        let after = Connection::open(&copy).unwrap();
        let head: i64 = after.query_row("SELECT head FROM log", [], |row| row.get(0)).unwrap();
        let count: i64 = after.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
        assert_eq!(head, count, "the log is whole");
        assert!(told.last() <= Some(&head), "told of {:?}, and the log ends at {head}", told.last());
        let kept: i64 = after
            .query_row("SELECT coalesce(max(global_position), 0) FROM projection_checkpoints", [], |row| {
                row.get(0)
            })
            .unwrap();
        answers += told.len();
        saves += saved;
        assert!(saved <= kept, "the checkpoint {saved} was saved, and {kept} is left");
        disk.allow(usize::MAX);
        store.close().await.unwrap();
        for each in running {
            each.await.unwrap();
        }
    }
    assert!(answers > 20 && saves > 0, "{answers} answers, {saves}");
}
