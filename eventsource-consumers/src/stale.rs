use chrono::{DateTime, Utc};
use eventsource_core::{Checkpoint, Conflict, Filter, ReadOptions, Result};

use crate::ConsumerStore;

/// A checkpoint that does not move though it should.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stale {
    /// How far its consumer has come, and when it was saved last.
    pub checkpoint: Checkpoint,
    /// Why it should have moved.
    pub reason: StaleReason,
}

/// What makes a checkpoint [`Stale`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StaleReason {
    /// Events wait: the first of them was recorded at that time.
    Waiting(DateTime<Utc>),
    /// It is of another log than this, or ahead of its head: who works under its name is refused with this.
    Diverged(Conflict),
}

/// The checkpoints that were not saved since `cutoff`, although events have waited for longer than that, by name: their
/// consumers are stuck, paused, or run by nobody any more.
///
/// A consumer that runs saves its checkpoint also where only events pass by that don't match its filter. So one that has come
/// to the log's head is not stale however long nothing was appended, and one that is far behind is not while it works. A
/// partition of a group has a checkpoint of its own, and so has a rebuild that was never finished. Choose a cutoff further
/// back than the longest time that a handler may take for a page, retries included.
///
/// A checkpoint that nobody needs any more is deleted by name. Should its consumer be run again all the same, it begins at
/// its [`Start`](crate::Start).
///
/// ```
/// use chrono::{TimeDelta, Utc};
/// use eventsource_consumers::{ConsumerStore, StaleReason, stale};
/// use eventsource_core::Result;
///
/// async fn report(store: &ConsumerStore) -> Result<()> {
///     for found in stale(store, Utc::now() - TimeDelta::hours(1)).await? {
///         let (name, saved) = (&found.checkpoint.consumer, found.checkpoint.updated_at);
///         match found.reason {
///             StaleReason::Waiting(since) => println!("{name}: saved at {saved}, events wait since {since}"),
///             StaleReason::Diverged(conflict) => println!("{conflict}"),
///             _ => println!("{name}: saved at {saved}"),
///         }
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
/// What listing the checkpoints or reading the log fails with.
pub async fn stale(store: &ConsumerStore, cutoff: DateTime<Utc>) -> Result<Vec<Stale>> {
    // The log after the checkpoints: one that is saved meanwhile is not taken for one ahead of the head.
    let mut checkpoints = store.checkpoints.checkpoints().await?;
    checkpoints.retain(|checkpoint| checkpoint.updated_at < cutoff);
    let (log_id, head) = (store.identity.log_id().await?, store.events.head().await?);
    let mut found = Vec::new();
    for checkpoint in checkpoints {
        if let Err(error) = checkpoint.verify_place(log_id, head) {
            let reason = StaleReason::Diverged(error.conflict().cloned().ok_or(error)?);
            found.push(Stale { checkpoint, reason });
        } else if checkpoint.position < head {
            let next = ReadOptions::new().after(checkpoint.position).limit(1);
            let page = store.events.read_page(&Filter::all(), &next).await?;
            let waiting = page.events.first().map(eventsource_core::RecordedEvent::recorded_at);
            if let Some(since) = waiting.filter(|since| *since < cutoff) {
                found.push(Stale { checkpoint, reason: StaleReason::Waiting(since) });
            }
        }
    }
    Ok(found)
}
