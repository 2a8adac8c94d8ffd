use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::{Position, Result};

use crate::{ConsumerGroup, Lag, lag, wait};

/// How far the whole group is. Whoever asks builds the group as its members do, and does not run it.
impl ConsumerGroup {
    /// How far the group is behind at the time `now`: each event counts that its own partition has not done yet.
    /// [`Lag::position`] is that of the partition that is furthest behind, and what lies behind it is read once, until
    /// [`Lag::COUNTED`] events are found that wait: where one partition has stopped far behind the others, that is many
    /// times as many.
    ///
    /// # Errors
    /// What listing the checkpoints or reading the log fails with; `InvalidInput` if the group's checkpoints are for
    /// another number of partitions.
    pub async fn lag(&self, now: DateTime<Utc>) -> Result<Lag> {
        let positions = self.positions().await?;
        let furthest_behind = positions.iter().min().copied().unwrap_or_default();
        let settings = &self.consumer.settings;
        lag::behind(&self.consumer.store, &settings.filter, furthest_behind, now, |event| {
            let partition = settings.ordering_key.partition(event, self.options.partitions);
            positions.get(partition as usize).is_some_and(|done| event.position() > *done)
        })
        .await
    }

    /// Waits until all partitions have done everything up to `position`, as [`wait_for`](crate::wait_for) does for one
    /// consumer. Who waits for one event only can wait for its partition's consumer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventsource_consumers::{Consumer, ConsumerGroup, GroupOptions};
    /// use eventsource_core::{Append, EventStore, Result};
    /// use eventsource_memory::MemoryStore;
    ///
    /// async fn place(store: MemoryStore, order: Append) -> Result<()> {
    ///     let appended = store.append(order).await?;
    ///     let consumer = Consumer::new("orders", store.clone())?;
    ///     let group = ConsumerGroup::new(consumer, store, GroupOptions::partitions(8));
    ///     group.wait_for(appended.last, Duration::from_secs(2)).await
    /// }
    /// ```
    ///
    /// # Errors
    /// `Unavailable` if they have not come so far within `timeout`; what listing the checkpoints fails with;
    /// `InvalidInput` if the group's checkpoints are for another number of partitions.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<()> {
        wait::until_reached(&self.consumer.name, position, timeout, || async {
            Ok(self.positions().await?.into_iter().min().unwrap_or_default())
        })
        .await
    }

    /// How far each partition has come: one question to the store, however many there are.
    async fn positions(&self) -> Result<Vec<Position>> {
        let checkpoints = self.consumer.store.checkpoints.checkpoints().await?;
        self.check_partitions(&checkpoints)?;
        let listed: HashMap<_, _> =
            checkpoints.into_iter().map(|each| (each.consumer, each.position)).collect();
        let (group, partitions) = (&self.consumer.name, self.options.partitions);
        (0..partitions)
            .map(|partition| Self::partition_name(group, partition, partitions))
            .map(|name| Ok(listed.get(&name?).copied().unwrap_or_default()))
            .collect()
    }
}
