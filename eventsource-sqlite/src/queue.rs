use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError, RwLock};

use eventsource_core::{Error, Result};
use tokio::sync::Semaphore;

/// The sending end of a bounded queue from async callers to a thread.
///
/// Tokio's own queue can't wait with a timeout outside a runtime, and the writer needs that to look for changes.
pub(crate) struct Queue<T> {
    /// None when closed: whatever was sent before that is received, nothing is sent after.
    sender: RwLock<Option<Sender<Queued<T>>>>,
    places: Arc<Semaphore>,
    capacity: usize,
}

/// A job and how many places it takes.
pub(crate) struct Queued<T> {
    pub(crate) job: T,
    pub(crate) places: usize,
}

/// A queue's free places; the receiver gives them back. Once nobody is left to do so, nobody waits for one.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<OpenPlaces>);

#[derive(Debug)]
struct OpenPlaces(Arc<Semaphore>);

impl Drop for OpenPlaces {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> (Self, Receiver<Queued<T>>, Places) {
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        let (sender, receiver) = mpsc::channel();
        let places = Arc::new(Semaphore::new(capacity));
        (
            Self { sender: RwLock::new(Some(sender)), places: places.clone(), capacity },
            receiver,
            Places(Arc::new(OpenPlaces(places))),
        )
    }

    /// Waits for as many places as the job needs, or for all there are, and takes them. Dropping the future before that
    /// sends nothing.
    pub(crate) async fn send(&self, job: T, places: usize) -> Result<()> {
        let places = u32::try_from(places.clamp(1, self.capacity)).unwrap_or(u32::MAX);
        let taken = self.places.acquire_many(places).await.map_err(|_| self.refusal())?;
        self.push(Queued { job, places: taken.num_permits() })?;
        taken.forget();
        Ok(())
    }

    /// Sends without a place, for what is rare and small.
    pub(crate) fn send_unbounded(&self, job: T) -> Result<()> {
        self.push(Queued { job, places: 0 })
    }

    fn push(&self, queued: Queued<T>) -> Result<()> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or_else(closed)?;
        sender.send(queued).map_err(|_| ended())
    }

    fn refusal(&self) -> Error {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        if sender.is_some() { ended() } else { closed() }
    }

    /// Sends nothing more.
    pub(crate) fn close(&self) {
        self.places.close();
        self.sender.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// How many places are taken.
    pub(crate) fn len(&self) -> usize {
        self.capacity.saturating_sub(self.places.available_permits())
    }
}

impl Places {
    /// Gives back the places of jobs that were received.
    pub(crate) fn free(&self, places: usize) {
        self.0.0.add_permits(places);
    }
}

fn ended() -> Error {
    Error::closed("the store's thread has ended")
}

fn closed() -> Error {
    Error::closed("the store is closed")
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use eventsource_core::ErrorKind;

    use super::*;

    /// The receiving thread may end in a panic: then nobody gives places back.
    #[test]
    fn whoever_waits_for_a_place_learns_that_the_receiver_is_gone() {
        let (queue, receiver, places) = Queue::new(1);
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(pin!(queue.send("first", 1)).poll(&mut context), Poll::Ready(Ok(()))));
        let mut waiting = pin!(queue.send("second", 1));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop((receiver, places));
        for mut sending in [waiting, pin!(queue.send("third", 1))] {
            let Poll::Ready(Err(error)) = sending.as_mut().poll(&mut context) else { panic!("it waits") };
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("thread has ended"), "{error}");
        }
    }
}
