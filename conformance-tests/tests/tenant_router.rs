//! The router that picks a tenant's store: opening, sharing, closing.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use eventsource_core::{
    Error, ErrorKind, EventStore, EventStoreExt, Filter, NewEvent, Position, Result, Routed, TenantId,
    TenantRouter, TenantStore,
};
use eventsource_memory::MemoryStore;
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use uuid::Uuid;

type View = TenantStore<Routed<MemoryStore>>;

/// One memory store for each tenant, with an account of what was opened.
#[derive(Default)]
struct Stores {
    opened: Mutex<Vec<(TenantId, MemoryStore)>>,
    openings: AtomicUsize,
    fails: AtomicBool,
}

impl Stores {
    fn router(self: &Arc<Self>, keep_open: usize) -> TenantRouter<MemoryStore> {
        let stores = self.clone();
        let keep_open = NonZeroUsize::new(keep_open).expect("at least one");
        TenantRouter::new(move |tenant| {
            let stores = stores.clone();
            async move {
                stores.openings.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                if stores.fails.load(Ordering::SeqCst) {
                    return Err(Error::unavailable("the tenant's database is not there"));
                }
                let store = MemoryStore::new();
                stores.opened.lock().expect("nothing panics under it").push((tenant, store.clone()));
                Ok(Arc::new(store))
            }
        })
        .keep_open(keep_open)
    }

    fn openings(&self) -> usize {
        self.openings.load(Ordering::SeqCst)
    }

    /// For each opening, whether that store is open still.
    async fn are_open(&self) -> Vec<bool> {
        let opened = self.opened.lock().expect("nothing panics under it").clone();
        join_all(opened.iter().map(|(_, store)| async move { store.head().await.is_ok() })).await
    }
}

fn tenant(number: u128) -> TenantId {
    TenantId::new(Uuid::from_u128(number)).expect("it is not nil")
}

async fn append(view: &View) -> Result<Position> {
    Ok(view.append_events(vec![NewEvent::new("Happened", &())?]).await?.last)
}

#[tokio::test]
async fn requests_that_come_at_once_open_once() {
    let stores = Arc::new(Stores::default());
    let router = stores.router(4);
    let views = join_all((0..20).map(|number| router.store(tenant(1 + number % 2)))).await;
    for view in views {
        append(&view.unwrap()).await.unwrap();
    }
    assert_eq!(stores.openings(), 2);
    assert_eq!(router.store(tenant(1)).await.unwrap().query(&Filter::all()).await.unwrap().events.len(), 10);
}

#[tokio::test]
async fn an_error_is_not_remembered() {
    let stores = Arc::new(Stores::default());
    let router = stores.router(4);
    stores.fails.store(true, Ordering::SeqCst);
    for answer in join_all((0..3).map(|_| router.store(tenant(1)))).await {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(router.open_stores(), 0, "nothing is left of it");
    stores.fails.store(false, Ordering::SeqCst);
    append(&router.store(tenant(1)).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn the_one_that_is_unused_for_longest_is_closed() {
    let stores = Arc::new(Stores::default());
    let router = stores.router(2);
    for number in [1, 2, 1, 3] {
        router.store(tenant(number)).await.unwrap();
    }
    assert_eq!(stores.are_open().await, [true, false, true]);
    assert_eq!(router.open_stores(), 2);
    // It is opened again when it is asked for again.
    append(&router.store(tenant(2)).await.unwrap()).await.unwrap();
    assert_eq!(stores.openings(), 4);
}

#[tokio::test]
async fn who_is_at_work_finishes() {
    let stores = Arc::new(Stores::default());
    let router = stores.router(1);
    let mut held = Vec::new();
    for number in 1..=5 {
        held.push(router.store(tenant(number)).await.unwrap());
    }
    for view in &held {
        append(view).await.unwrap();
    }
    assert_eq!(stores.are_open().await, [true; 5]);
    // A second holder counts as well.
    let again = held[0].clone();
    held.clear();
    append(&router.store(tenant(6)).await.unwrap()).await.unwrap();
    assert_eq!(stores.are_open().await, [true, false, false, false, false, true]);
    append(&again).await.unwrap();
}

#[tokio::test]
async fn a_view_can_not_close_the_store_of_others() {
    let stores = Arc::new(Stores::default());
    let router = stores.router(1);
    let view = router.store(tenant(1)).await.unwrap();
    assert_eq!(view.close().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    append(&view).await.unwrap();
}

#[tokio::test]
async fn closing_lets_who_is_at_work_finish() {
    let stores = Arc::new(Stores::default());
    let router = stores.router(4);
    let view = router.store(tenant(1)).await.unwrap();
    router.store(tenant(2)).await.unwrap();
    assert_eq!(router.close().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let refused = router.store(tenant(2)).await.unwrap_err();
    assert!(refused.is_closed() && !refused.is_retryable(), "{refused:?}");
    append(&view).await.unwrap();
    drop(view);
    router.close().await.unwrap();
    assert_eq!(stores.are_open().await, [false; 2]);
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_others_hold_is_left_open() {
    let shared = Arc::new(MemoryStore::new());
    let given = shared.clone();
    let router =
        TenantRouter::new(move |_| std::future::ready(Ok(given.clone()))).keep_open(NonZeroUsize::MIN);
    for number in 1..=3 {
        append(&router.store(tenant(number)).await.unwrap()).await.unwrap();
    }
    assert_eq!(router.store(tenant(1)).await.unwrap().query(&Filter::all()).await.unwrap().events.len(), 1);
    router.close().await.unwrap();
    assert_eq!(shared.head().await.unwrap(), Position::from_raw(3));
}

#[tokio::test]
async fn a_request_that_goes_away_in_the_middle_leaves_the_place_to_others() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = gate.clone();
    let router = TenantRouter::new(move |_| {
        let gate = waiting.clone();
        async move {
            gate.acquire().await.expect("it stays open").forget();
            Ok(Arc::new(MemoryStore::new()))
        }
    });
    let mut first = Box::pin(router.store(tenant(1)));
    assert!(futures_util::poll!(&mut first).is_pending());
    let mut second = Box::pin(router.store(tenant(1)));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    gate.add_permits(1);
    append(&second.await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_is_sent_to_anothers_database_sees_nothing_there() {
    let shared = Arc::new(MemoryStore::new());
    let wrong = shared.clone();
    let router: TenantRouter =
        TenantRouter::new(move |_| std::future::ready(Ok(wrong.clone() as Arc<dyn EventStore>)));
    router
        .store(tenant(1))
        .await
        .unwrap()
        .append_events(vec![NewEvent::new("Secret", &()).unwrap()])
        .await
        .unwrap();
    assert!(router.store(tenant(2)).await.unwrap().query(&Filter::all()).await.unwrap().events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_closings_and_appends_at_once_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let router = Arc::new(
        TenantRouter::new(move |tenant: TenantId| {
            let file = path.join(format!("{tenant}.db"));
            async move { Ok(Arc::new(SqliteStore::open(SqliteConfig::file(file)).await?)) }
        })
        .keep_open(NonZeroUsize::MIN),
    );
    let tasks: Vec<_> = (0..6_u128)
        .map(|task| {
            let router = router.clone();
            tokio::spawn(async move {
                for round in 0..6 {
                    let view = router.store(tenant(1 + (task + round) % 3)).await?;
                    view.append_events(vec![NewEvent::new("Happened", &())?]).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let mut found = 0;
    for number in 1..=3 {
        found +=
            router.store(tenant(number)).await.unwrap().query(&Filter::all()).await.unwrap().events.len();
    }
    assert_eq!(found, 36);
    router.close().await.unwrap();
    assert_eq!(router.open_stores(), 0);
}
