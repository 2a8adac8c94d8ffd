use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{ConsumerName, Filter, Position, ReadOptions, RecordedEvent, Result};

use crate::ConsumerStore;

/// How far a consumer is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// How many matching events it has not done yet; counted up to [`Lag::COUNTED`].
    pub events: u64,
    /// How long ago the oldest of them was recorded; none if there is none.
    pub age: Option<TimeDelta>,
    /// Everything up to here is done.
    pub position: Position,
    /// Where the log ends.
    pub head: Position,
}

impl Lag {
    /// How many events are counted at most: who is further behind is far behind.
    pub const COUNTED: u64 = 10_000;
}

/// How far the consumer is behind, in events and in the age of the oldest one that is not done, at the time `now`. It has
/// to be told the consumer's filter. For a group ask [`ConsumerGroup::lag`](crate::ConsumerGroup::lag).
///
/// # Errors
/// What loading the checkpoint or reading the log fails with.
pub async fn lag(
    store: &ConsumerStore,
    consumer: &ConsumerName,
    filter: &Filter,
    now: DateTime<Utc>,
) -> Result<Lag> {
    let checkpoint = store.checkpoints.load_checkpoint(consumer).await?;
    let position = checkpoint.map_or(Position::START, |checkpoint| checkpoint.position);
    behind(store, filter, position, now, |_| true).await
}

/// How much of what matches and lies behind `position` waits.
pub(crate) async fn behind(
    store: &ConsumerStore,
    filter: &Filter,
    position: Position,
    now: DateTime<Utc>,
    waits: impl Fn(&RecordedEvent) -> bool,
) -> Result<Lag> {
    let mut lag = Lag { events: 0, age: None, position, head: store.events.head().await? };
    // What does not wait is read as well: a page that is cut to what is left to count would come down to one event.
    let mut options = ReadOptions::new().after(position).limit(1_000);
    loop {
        let page = store.events.read_page(filter, &options).await?;
        for event in page.events.iter().filter(|event| waits(event)) {
            lag.age.get_or_insert(now - event.recorded_at());
            lag.events += 1;
            if lag.events == Lag::COUNTED {
                return Ok(lag);
            }
        }
        options = options.clone().after(page.scanned_to(&options));
        if !page.more {
            return Ok(lag);
        }
    }
}
