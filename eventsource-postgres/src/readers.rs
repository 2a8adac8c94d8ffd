use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventsource_core::{Error, Result};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::error::reading;

/// Connections of the pool that are read with, kept from read to read.
///
/// To give one back to the pool costs a round trip, and the pool hands out the one that has rested longest, whose server
/// process is the coldest. Here the last one is the next.
#[derive(Debug)]
pub(crate) struct Readers {
    places: Arc<Semaphore>,
    resting: Arc<Resting>,
    giving_back: AbortHandle,
}

/// A connection to read with. Dropped, it goes back to the pool.
pub(crate) struct Reader {
    connection: PoolConnection<Postgres>,
    /// When the pool gave it.
    since: Instant,
    resting: Arc<Resting>,
    _place: OwnedSemaphorePermit,
}

/// Those that nobody reads with.
#[derive(Debug)]
struct Resting {
    pool: PgPool,
    /// The last one last; none once no more are taken.
    connections: Mutex<Option<Vec<Rested>>>,
    one_came: Notify,
}

#[derive(Debug)]
struct Rested {
    connection: PoolConnection<Postgres>,
    since: Instant,
    at_rest_since: Instant,
}

impl Readers {
    /// How long one rests before the pool has it back.
    const REST: Duration = Duration::from_millis(10);
    /// How long one is kept at all, so that the pool can end it when it is too old.
    const KEEP: Duration = Duration::from_secs(10);

    /// It starts a task, so a runtime must be there.
    pub(crate) fn start(pool: &PgPool) -> Self {
        // A quarter of the pool is left to those who write, and to the application.
        let most = pool.options().get_max_connections();
        let places = (most - most.div_ceil(4)).max(1);
        let resting = Arc::new(Resting {
            pool: pool.clone(),
            connections: Mutex::new(Some(Vec::new())),
            one_came: Notify::new(),
        });
        let all = All(Arc::clone(&resting));
        let giving_back = tokio::spawn(async move { all.0.give_back().await }).abort_handle();
        Self { places: Arc::new(Semaphore::new(places as usize)), resting, giving_back }
    }

    /// As fast as the pool's limit for it says, whatever there is to wait for.
    pub(crate) async fn acquire(&self) -> Result<Reader> {
        let pool = &self.resting.pool;
        let acquiring = async {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.map_err(|_| Error::closed("nobody reads any more"))?;
            let (connection, since) = match self.resting.pop() {
                Some(Rested { connection, since, .. }) => (connection, since),
                None => (pool.acquire().await.map_err(reading)?, Instant::now()),
            };
            Ok(Reader { connection, since, resting: Arc::clone(&self.resting), _place: place })
        };
        let limit = pool.options().get_acquire_timeout();
        timeout(limit, acquiring).await.map_err(|_| reading(sqlx::Error::PoolTimedOut))?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.giving_back.abort();
    }
}

impl Reader {
    /// Lets it rest for the next read. Nothing may be left to be read from it.
    pub(crate) fn rest(self) {
        let Self { connection, since, resting, .. } = self;
        let pool = &resting.pool;
        // Others need it more, where it is the pool's last one, and so does whoever closes the pool.
        let is_last = pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections();
        let is_spare = !is_last && !pool.is_closed();
        if is_spare && since.elapsed() < Readers::KEEP {
            resting.push(Rested { connection, since, at_rest_since: Instant::now() });
        }
    }
}

impl Deref for Reader {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Resting {
    fn pop(&self) -> Option<Rested> {
        self.with(|resting| resting.pop()).flatten()
    }

    fn push(&self, rested: Rested) {
        let is_first = self.with(|resting| {
            resting.push(rested);
            resting.len() == 1
        });
        if is_first == Some(true) {
            self.one_came.notify_one();
        }
    }

    /// What `use_it` says; none, if no more are taken.
    fn with<T>(&self, use_it: impl FnOnce(&mut Vec<Rested>) -> T) -> Option<T> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(use_it)
    }

    fn end(&self) {
        drop(self.connections.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Gives back to the pool what has rested long enough.
    async fn give_back(&self) {
        loop {
            self.one_came.notified().await;
            while self.with(|resting| !resting.is_empty()) == Some(true) {
                sleep(Readers::REST).await;
                self.with(|resting| {
                    let long = |rested: &Rested| rested.at_rest_since.elapsed() >= Readers::REST;
                    resting.drain(..resting.partition_point(long)).for_each(drop);
                });
            }
        }
    }
}

/// Gives back all that rest, however the task ends that has it: it ends within the runtime, outside of which a connection
/// can't be given back.
struct All(Arc<Resting>);

impl Drop for All {
    fn drop(&mut self) {
        self.0.end();
    }
}
