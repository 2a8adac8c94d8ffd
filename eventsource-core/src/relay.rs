mod batch;
mod config;
mod lease;
mod report;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::sleep;

pub use config::RelayConfig;
pub use report::RelayReport;

use crate::{Changes, ClaimRequest, Error, ErrorKind, EventPublisher, Outbox, Result};
use batch::Batch;

/// Publishes what waits in an outbox: claims some entries, publishes them outside any transaction, writes down what came
/// of each, and begins again.
///
/// - **Every event is published at least once.** It comes again if a relay dies between publishing and writing that down;
///   receivers know it by its id.
/// - **A stream's events are published in order.** One that fails is tried again with growing pauses, and holds back the
///   later ones of its stream until it is published or given up; other streams go on. Events without a stream have no
///   order among them.
/// - **An event that fails too often is given up**: it waits among [`Outbox::failed`] for somebody to look at it and to call
///   [`Outbox::retry_failed`]. Later events of its stream go on then, so it comes out of order when it is retried.
///
/// Any number of relays may work on one outbox, in any number of processes. It starts no task: spawn [`run`](Self::run),
/// which needs tokio's timers.
///
/// ```
/// # use std::sync::Arc;
/// # use eventsource_core::{EventPublisher, EventStore, Outbox, Relay, RelayConfig, Result};
/// # use std::future::Future;
/// async fn relay<S: EventStore + Outbox + 'static>(
///     store: Arc<S>,
///     publisher: Arc<dyn EventPublisher>,
///     stop: impl Future<Output = ()>,
/// ) -> Result<()> {
///     let relay = Relay::new(store.clone(), publisher, RelayConfig::new("relay-1"))?.wake_by(store.changes());
///     let report = relay.run(stop).await?;
///     println!("{} events published", report.published);
///     Ok(())
/// }
/// ```
pub struct Relay {
    outbox: Arc<dyn Outbox>,
    publisher: Arc<dyn EventPublisher>,
    config: RelayConfig,
    request: ClaimRequest,
    changes: Option<Changes>,
}

impl Relay {
    /// A relay from `outbox` to `publisher`.
    ///
    /// # Errors
    /// `InvalidInput` if the configuration makes no sense: see [`ClaimRequest::new`].
    pub fn new(
        outbox: Arc<dyn Outbox>,
        publisher: Arc<dyn EventPublisher>,
        config: RelayConfig,
    ) -> Result<Self> {
        let request = config.checked()?;
        Ok(Self { outbox, publisher, config, request, changes: None })
    }

    /// Looks at once when something was appended, instead of when the poll interval is over.
    #[must_use]
    pub fn wake_by(mut self, changes: Changes) -> Self {
        self.changes = Some(changes);
        self
    }

    /// Publishes whatever comes, until `stop` is done. Then it finishes what is being published, gives back what it has not
    /// begun, and returns what it has done. Dropping the future instead leaves what it had in hand to others when the lease
    /// is over.
    ///
    /// While the store can't be reached it tries again and again.
    ///
    /// # Errors
    /// `Corrupt` if an entry can't be decoded; `Unavailable` once the store [is closed](Error::is_closed), or the one that
    /// [wakes](Self::wake_by) it.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<RelayReport> {
        let mut report = RelayReport::default();
        let mut changes = self.changes.clone();
        let mut troubles = self.config.pauses();
        let stopping = AtomicBool::new(false);
        let mut stop = pin!(stop);
        loop {
            let mut step = pin!(self.step(&stopping));
            let outcome = loop {
                tokio::select! {
                    biased;
                    () = &mut stop, if !stopping.load(Ordering::Relaxed) => {
                        stopping.store(true, Ordering::Relaxed);
                    }
                    outcome = &mut step => break outcome,
                }
            };
            let pause = match outcome {
                Ok(Some(done)) => {
                    report.add(done);
                    troubles = self.config.pauses();
                    None
                }
                Ok(None) => Some(self.config.poll_interval),
                Err(error) if is_passing(&error) => {
                    let worker = self.request.worker();
                    tracing::warn!(worker, error = %error, "the outbox can't be reached, the relay tries again");
                    troubles.next()
                }
                Err(error) => return Err(error),
            };
            if stopping.load(Ordering::Relaxed) {
                return Ok(report);
            }
            let Some(pause) = pause else { continue };
            tokio::select! {
                biased;
                () = &mut stop => return Ok(report),
                changed = changed(changes.as_mut()) => changed?,
                () = sleep(pause) => {}
            }
        }
    }

    /// Publishes until nothing is due any more, and returns what it has done. What has failed waits for its next attempt.
    ///
    /// # Errors
    /// As for [`Outbox::claim`].
    pub async fn drain(&self) -> Result<RelayReport> {
        let mut report = RelayReport::default();
        while let Some(done) = self.step(&AtomicBool::new(false)).await? {
            report.add(done);
        }
        Ok(report)
    }

    /// Claims some entries and deals with them; none if nothing is due.
    async fn step(&self, stopping: &AtomicBool) -> Result<Option<RelayReport>> {
        let claim = self.outbox.claim(&self.request).await?;
        if claim.entries.is_empty() {
            return Ok(None);
        }
        Ok(Some(Batch::new(self, claim.id, stopping).publish(claim.entries).await))
    }
}

/// Whether the store may be well again later.
fn is_passing(error: &Error) -> bool {
    let stays = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::InvalidInput | ErrorKind::Unsupported);
    !stays && !error.is_closed()
}

async fn changed(changes: Option<&mut Changes>) -> Result<()> {
    match changes {
        Some(changes) => changes.changed().await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("outbox", &self.outbox)
            .field("publisher", &self.publisher)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
