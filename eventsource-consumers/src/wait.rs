use std::future::Future;
use std::time::Duration;

use eventsource_core::{CheckpointStore, ConsumerName, Error, Position, Result};
use tokio::time::{Instant, sleep};

/// Waits until a consumer has done everything up to `position`: what was appended there can be read from its view then.
///
/// ```
/// # use std::time::Duration;
/// # use eventsource_consumers::wait_for;
/// # use eventsource_core::{Append, CheckpointStore, ConsumerName, EventStore, Result};
/// # async fn place<S: EventStore + CheckpointStore>(store: S, order: Append) -> Result<()> {
/// let appended = store.append(order).await?;
/// wait_for(&store, &ConsumerName::new("orders")?, appended.last, Duration::from_secs(2)).await?;
/// // The view has it.
/// # Ok(())
/// # }
/// ```
///
/// For a group ask [`ConsumerGroup::wait_for`](crate::ConsumerGroup::wait_for).
///
/// # Errors
/// `Unavailable` if it has not come so far within `timeout`; what loading the checkpoint fails with.
pub async fn wait_for(
    checkpoints: &(impl CheckpointStore + ?Sized),
    consumer: &ConsumerName,
    position: Position,
    timeout: Duration,
) -> Result<()> {
    until_reached(consumer, position, timeout, || async {
        let checkpoint = checkpoints.load_checkpoint(consumer).await?;
        Ok(checkpoint.map_or(Position::START, |checkpoint| checkpoint.position))
    })
    .await
}

/// Asks until the answer is `position` or further.
pub(crate) async fn until_reached<F>(
    consumer: &ConsumerName,
    position: Position,
    timeout: Duration,
    ask: impl Fn() -> F,
) -> Result<()>
where
    F: Future<Output = Result<Position>>,
{
    const LONGEST_PAUSE: Duration = Duration::from_millis(50);
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(1);
    loop {
        let late = Instant::now() >= deadline;
        let reached = match ask().await {
            Ok(reached) => reached,
            // The database may be back in time.
            Err(error) if error.is_retryable() && !late => {
                sleep(pause).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        if reached >= position {
            return Ok(());
        }
        if late {
            return Err(Error::unavailable(format!(
                "{consumer} has not come to {position} within {timeout:?}: it is at {reached}"
            )));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
