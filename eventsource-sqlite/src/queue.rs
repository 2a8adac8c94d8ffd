use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError, RwLock};

use eventsource_core::{Error, Result};
use tokio::sync::Semaphore;

/// The sending end of a bounded queue from async callers to a thread.
///
/// Tokio's own queue can't wait with a timeout outside a runtime, and the writer needs that to look for changes.
pub(crate) struct Queue<T> {
    /// None when closed: whatever was sent before that is received, nothing is sent after.
    sender: RwLock<Option<Sender<T>>>,
    places: Arc<Semaphore>,
    capacity: usize,
}

/// A queue's free places; the receiver gives them back.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Semaphore>);

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> (Self, Receiver<T>, Places) {
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        let (sender, receiver) = mpsc::channel();
        let places = Arc::new(Semaphore::new(capacity));
        (
            Self { sender: RwLock::new(Some(sender)), places: places.clone(), capacity },
            receiver,
            Places(places),
        )
    }

    /// Waits for a place and takes it. Dropping the future before that sends nothing.
    pub(crate) async fn send(&self, job: T) -> Result<()> {
        let place = self.places.acquire().await.map_err(|_| closed())?;
        self.send_unbounded(job)?;
        place.forget();
        Ok(())
    }

    /// Sends without a place, for what is rare and small.
    pub(crate) fn send_unbounded(&self, job: T) -> Result<()> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or_else(closed)?;
        sender.send(job).map_err(|_| Error::unavailable("the store's thread has ended"))
    }

    /// Sends nothing more.
    pub(crate) fn close(&self) {
        self.places.close();
        self.sender.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// How many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.capacity.saturating_sub(self.places.available_permits())
    }
}

impl Places {
    /// Gives back the places of jobs that were received.
    pub(crate) fn free(&self, places: usize) {
        self.0.add_permits(places);
    }
}

fn closed() -> Error {
    Error::unavailable("the store is closed")
}
