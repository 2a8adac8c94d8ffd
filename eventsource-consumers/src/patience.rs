use eventsource_core::{ConsumerName, Error, Result};
use tokio::time::sleep;

use crate::control::State;
use crate::pump::store_backoff;
use crate::{ConsumerStore, Control};

/// Why there is no answer.
pub(crate) enum Unanswered {
    /// It is to stop, and the store was away with this.
    Stopped(Error),
    /// The store's answer, which stays the same however often it is asked.
    Failed(Error),
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Stopped(error) | Unanswered::Failed(error) => error,
        }
    }
}

/// Asks until the store answers, however long it is away, for whoever is called `name`.
pub(crate) async fn patiently<T, F>(
    name: &ConsumerName,
    store: &ConsumerStore,
    control: &Control,
    ask: impl Fn() -> F,
) -> Result<T, Unanswered>
where
    F: Future<Output = Result<T>>,
{
    let mut delays = store_backoff().delays();
    loop {
        match ask().await {
            Err(error) if error.is_retryable() => {
                wait(name, store, control, error, delays.next().unwrap_or_default()).await?;
            }
            answer => return answer.map_err(Unanswered::Failed),
        }
    }
}

/// Waits a while after the store has failed, unless it is closed.
pub(crate) async fn wait(
    name: &ConsumerName,
    store: &ConsumerStore,
    control: &Control,
    error: Error,
    delay: std::time::Duration,
) -> Result<(), Unanswered> {
    tracing::debug!(consumer = %name, error = &error as &dyn std::error::Error, "the store failed; trying again");
    control.update(|status| status.state = State::Retrying);
    tokio::select! {
        () = control.stopped() => Err(Unanswered::Stopped(error)),
        () = sleep(delay) => store.check_open().map_err(|closed| Unanswered::Failed(closed.with_source(error))),
    }
}
