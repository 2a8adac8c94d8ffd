mod routed;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex as AsyncMutex;

use crate::{Error, EventStore, Result, TenantId, TenantStore};
pub use routed::Routed;

/// Picks the store for a tenant, and opens it when the first request comes: a database of its own, a schema of its own,
/// or one that tenants share. The function that it is given decides.
///
/// What it hands out is always a [`TenantStore`], also where the tenant has a database to itself: a tenant that is sent
/// to another's database by mistake sees nothing there.
///
/// - Requests that come at once open a store once. An error is not remembered: the next request tries again.
/// - As many stores stay open as [`keep_open`](Self::keep_open) says. A request that comes when there are more closes
///   those that nobody holds, the one first whose last request is longest ago: who is at work finishes. Stores that
///   are in use stay open, however many they are.
/// - The router closes what only it holds. A store that the application, or another tenant's place in the router, holds
///   as well is let go of and stays open. So tenants can share a store.
///
/// ```
/// use std::sync::Arc;
///
/// use eventsource_core::{EventStore, EventStoreExt, NewEvent, Result, TenantId, TenantRouter};
/// # use eventsource_core::Error;
///
/// # async fn open_file(path: String) -> Result<Arc<dyn EventStore>> { Err(Error::unavailable(path)) }
/// # async fn example(tenant: TenantId) -> Result<()> {
/// // One SQLite file for each tenant:
/// let router = TenantRouter::new(|tenant: TenantId| open_file(format!("{tenant}.db")));
/// let store = router.store(tenant).await?;
/// store.append_events(vec![NewEvent::new("CompanyRenamed", "Acme")?]).await?;
/// drop(store);
/// router.close().await
/// # }
/// ```
pub struct TenantRouter<S: ?Sized = dyn EventStore> {
    open: Open<S>,
    keep_open: usize,
    places: Mutex<Places<S>>,
}

type Open<S> = Box<dyn Fn(TenantId) -> BoxFuture<'static, Result<Arc<S>>> + Send + Sync>;

struct Places<S: ?Sized> {
    of: HashMap<TenantId, Place<S>>,
    /// Counts requests: a clock that never stands still.
    requests: u64,
    closed: bool,
}

struct Place<S: ?Sized> {
    slot: Arc<Slot<S>>,
    last_request: u64,
}

/// One tenant's store. Whoever uses it, or waits for it, holds the slot.
struct Slot<S: ?Sized> {
    state: AsyncMutex<State<S>>,
}

enum State<S: ?Sized> {
    Empty,
    Open(Arc<S>),
    /// It stays here until it is closed, also if whoever closes it goes away in the middle.
    Closing(Arc<S>),
}

impl<S: EventStore + ?Sized + 'static> TenantRouter<S> {
    /// How many stores stay open unless something else is asked for.
    pub const KEEP_OPEN: usize = 64;

    /// A router that opens stores with `open`.
    pub fn new<F, O>(open: F) -> Self
    where
        F: Fn(TenantId) -> O + Send + Sync + 'static,
        O: Future<Output = Result<Arc<S>>> + Send + 'static,
    {
        Self {
            open: Box::new(move |tenant| open(tenant).boxed()),
            keep_open: Self::KEEP_OPEN,
            places: Mutex::new(Places { of: HashMap::new(), requests: 0, closed: false }),
        }
    }

    /// Sets how many stores stay open.
    #[must_use]
    pub fn keep_open(mut self, stores: NonZeroUsize) -> Self {
        self.keep_open = stores.get();
        self
    }

    /// The tenant's store, opened if it is not. It stays open for as long as somebody holds what this returns.
    ///
    /// A request that finds too many stores open closes some first; requests for stores that are open don't wait for
    /// that.
    ///
    /// # Errors
    /// What opening says; `Unavailable` if the router is closed, and the error says that it [is](Error::is_closed).
    pub async fn store(&self, tenant: TenantId) -> Result<TenantStore<Routed<S>>> {
        let slot = self.requested(tenant)?;
        // What could not be closed in order is closed nevertheless, and is no matter of this request.
        let _ = self.close_unused(Surplus::BeyondKept).await;
        match self.opened(tenant, &slot).await {
            Ok(store) => Ok(TenantStore::new(Routed::new(store, slot), tenant)),
            Err(error) => {
                self.forget_if_empty(tenant, &slot);
                Err(error)
            }
        }
    }

    /// How many stores are open, or being opened or closed.
    #[must_use]
    pub fn open_stores(&self) -> usize {
        self.places().of.len()
    }

    /// Closes all stores that nobody holds; from now on no request is answered. Who still holds a store can finish: call
    /// this again then, it closes what is left.
    ///
    /// # Errors
    /// `Backend` if something could not be let go of in order; `Unavailable` if stores are still held.
    pub async fn close(&self) -> Result<()> {
        self.places().closed = true;
        self.close_unused(Surplus::All).await?;
        match self.open_stores() {
            0 => Ok(()),
            held => Err(Error::unavailable(format!("{held} stores are still in use"))),
        }
    }

    fn requested(&self, tenant: TenantId) -> Result<Arc<Slot<S>>> {
        let mut places = self.places();
        if places.closed {
            return Err(Error::closed("the router is closed"));
        }
        places.requests += 1;
        let last_request = places.requests;
        let place = places.of.entry(tenant).or_insert_with(|| Place {
            slot: Arc::new(Slot { state: AsyncMutex::new(State::Empty) }),
            last_request,
        });
        place.last_request = last_request;
        Ok(place.slot.clone())
    }

    /// The slot's store. Requests that come at once wait for the first one here.
    async fn opened(&self, tenant: TenantId, slot: &Slot<S>) -> Result<Arc<S>> {
        let mut state = slot.state.lock().await;
        if let State::Open(store) = &*state {
            return Ok(store.clone());
        }
        // Also if it fails: there is nothing more to be done about it.
        let _ = let_go(&mut state).await;
        let store = (self.open)(tenant).await?;
        *state = State::Open(store.clone());
        Ok(store)
    }

    async fn close_unused(&self, surplus: Surplus) -> Result<()> {
        let mut outcome = Ok(());
        while let Some((tenant, slot)) = self.longest_unused(surplus) {
            let mut state = slot.state.lock().await;
            // A request that came in between has its store, or waits here and opens it again.
            if self.is_held_by_one(&slot) {
                outcome = outcome.and(let_go(&mut state).await);
            }
            drop(state);
            self.forget_if_empty(tenant, &slot);
        }
        outcome
    }

    /// The place that is to be closed next: of those that nobody holds, the one whose last request is longest ago.
    fn longest_unused(&self, surplus: Surplus) -> Option<(TenantId, Arc<Slot<S>>)> {
        let places = self.places();
        if surplus == Surplus::BeyondKept && places.of.len() <= self.keep_open {
            return None;
        }
        let unused = places.of.iter().filter(|(_, place)| Arc::strong_count(&place.slot) == 1);
        let (tenant, place) = unused.min_by_key(|(_, place)| place.last_request)?;
        Some((*tenant, place.slot.clone()))
    }

    /// Whether nobody but the caller holds it. Requests come to hold it under the lock only.
    fn is_held_by_one(&self, slot: &Arc<Slot<S>>) -> bool {
        let _places = self.places();
        Arc::strong_count(slot) == 2
    }

    /// Takes an empty place away, unless another request wants it by now.
    fn forget_if_empty(&self, tenant: TenantId, slot: &Arc<Slot<S>>) {
        let mut places = self.places();
        let is_empty = slot.state.try_lock().is_ok_and(|state| matches!(*state, State::Empty));
        if is_empty && Arc::strong_count(slot) == 2 {
            places.of.remove(&tenant);
        }
    }

    fn places(&self) -> MutexGuard<'_, Places<S>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which unused stores are to be closed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surplus {
    BeyondKept,
    All,
}

/// Empties the slot: closes its store if nobody else has it.
async fn let_go<S: EventStore + ?Sized>(state: &mut State<S>) -> Result<()> {
    if let State::Open(store) = std::mem::replace(state, State::Empty) {
        *state = State::Closing(store);
    }
    let State::Closing(store) = state else { return Ok(()) };
    let closed = if Arc::strong_count(store) == 1 { store.close().await } else { Ok(()) };
    *state = State::Empty;
    closed
}

impl<S: ?Sized> fmt::Debug for TenantRouter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantRouter").field("keep_open", &self.keep_open).finish_non_exhaustive()
    }
}
