use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    CheckpointSave, ConsumerName, Delivery, DeliveryFailure, Error, ErrorKind, Filter, Position, Purpose,
    Record, Result, Sink,
};
use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};

use crate::handler::IntoSink;
use crate::pump::{End, Pump};
use crate::{Backoff, Consumer, ConsumerStore, Control, FailurePolicy, Outcome};

/// Builds a view anew, from the beginning of the log, beside the one that is in use, and switches when it has caught up.
///
/// It works as a consumer of its own, `NAME~rebuild`, and its handler is told that nothing but the view may change. To
/// switch, the sink is given [`Record::Switch`]: the SQL stores' projections call the view's `switch` (which renames
/// tables, say) and hand the checkpoint to the live consumer, all in one transaction; a live consumer that runs
/// meanwhile goes on from there. An interrupted rebuild goes on where it was if it is run again.
pub struct Rebuild {
    consumer: Consumer,
    live: ConsumerName,
    report: Option<Box<Report>>,
    interval: Duration,
}

type Report = dyn Fn(&Progress) + Send + Sync;

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// How many events it has applied.
    pub applied: u64,
    /// How often the handler has failed.
    pub failures: u64,
    /// Everything up to here is in the new view.
    pub position: Position,
    /// Where the log ends.
    pub head: Position,
    /// Events a second, since it was started.
    pub rate: f64,
    /// How long it will still take at that rate of positions, if that can be told.
    pub time_left: Option<Duration>,
}

/// What a rebuild came to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RebuildReport {
    /// The view was switched; if not, it was told to stop before.
    pub outcome: Outcome,
    /// How far it is.
    pub progress: Progress,
}

impl Rebuild {
    /// Of the view of the consumer with this name.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, too long or holds a NUL.
    pub fn new(
        live: impl TryInto<ConsumerName, Error: Into<Error>>,
        store: impl Into<ConsumerStore>,
    ) -> Result<Self> {
        let live = live.try_into().map_err(Into::into)?;
        let consumer = Consumer::new(format!("{live}~rebuild"), store)?;
        Ok(Self { consumer, live, report: None, interval: Duration::from_secs(1) })
    }

    /// Only events that match; the same as the live consumer's.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.consumer = self.consumer.filter(filter);
        self
    }

    /// Sets how many events make a page.
    #[must_use]
    pub fn page_size(mut self, events: u64) -> Self {
        self.consumer = self.consumer.page_size(events);
        self
    }

    /// Sets what it does when the handler fails; it stops if not set, and the live view stays as it is.
    #[must_use]
    pub fn policy(mut self, policy: FailurePolicy) -> Self {
        self.consumer = self.consumer.policy(policy);
        self
    }

    /// Tells how far it is, every so often.
    #[must_use]
    pub fn report(mut self, every: Duration, report: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.interval = every;
        self.report = Some(Box::new(report));
        self
    }

    /// Pauses, resumes and stops it.
    #[must_use]
    pub fn control(&self) -> Control {
        self.consumer.control()
    }

    /// Builds the new view and switches.
    ///
    /// # Errors
    /// As for [`Consumer::run`]; the live view is as it was then.
    pub async fn run(self, sink: impl IntoSink) -> Result<RebuildReport> {
        let Consumer { name, store, settings, control } = self.consumer;
        let sink = sink.into_sink(&store);
        let (begun, began_with) = (Instant::now(), processed(&store, &name).await?);
        let watching = async {
            loop {
                sleep(self.interval).await;
                if let Some(report) = &self.report {
                    report(&progress(&control, begun, began_with));
                }
            }
        };
        let timeout = settings.policy.handler_timeout;
        let pump = Pump {
            name: name.clone(),
            store: store.clone(),
            sink: sink.clone(),
            settings,
            control: control.clone(),
            share: None,
            purpose: Purpose::Rebuild,
            end: End::CaughtUp,
        };
        let outcome = tokio::select! {
            outcome = pump.run() => outcome?,
            () = watching => Outcome::Stopped,
        };
        if outcome == Outcome::CaughtUp {
            let checkpoint = store.checkpoints.load_checkpoint(&name).await?;
            let shadow = match &checkpoint {
                Some(checkpoint) => CheckpointSave::following(checkpoint),
                None => CheckpointSave::first(name.clone(), store.identity.log_id().await?),
            };
            let record = Record::Switch { from: shadow, to: self.live };
            let delivery = Delivery { events: Vec::new(), record, purpose: Purpose::Rebuild, timeout };
            switch(&store, &sink, &delivery, &name).await?;
        }
        let progress = progress(&control, begun, began_with);
        if let Some(report) = &self.report {
            report(&progress);
        }
        Ok(RebuildReport { outcome, progress })
    }
}

/// Switches, however long the store is away.
async fn switch(
    store: &ConsumerStore,
    sink: &Arc<dyn Sink>,
    delivery: &Delivery,
    rebuild: &ConsumerName,
) -> Result<()> {
    let mut delays = Backoff::new(Duration::from_millis(20), Duration::from_secs(2)).delays();
    loop {
        let failure = match sink.deliver(delivery).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure.cause,
        };
        match failure {
            DeliveryFailure::Store(error) if error.is_retryable() => {
                sleep(delays.next().unwrap_or_default()).await;
                // The rebuild's checkpoint goes with the switch: without it, only the answer was lost.
                let left = store.checkpoints.load_checkpoint(rebuild).await;
                if error.kind() == ErrorKind::OutcomeUnknown && matches!(left, Ok(None)) {
                    return Ok(());
                }
                if store.events.changes().changed().now_or_never().is_some_and(|closed| closed.is_err()) {
                    return Err(error);
                }
            }
            DeliveryFailure::Store(error) => return Err(error),
            DeliveryFailure::Event { error, .. } | DeliveryFailure::Page(error) => {
                return Err(Error::backend("the new view could not be switched to").with_source(error));
            }
            _ => return Err(Error::backend("the new view could not be switched to")),
        }
    }
}

async fn processed(store: &ConsumerStore, name: &ConsumerName) -> Result<(u64, Position)> {
    let checkpoint = store.checkpoints.load_checkpoint(name).await?;
    Ok(checkpoint
        .map_or((0, Position::START), |checkpoint| (checkpoint.events_processed, checkpoint.position)))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn progress(control: &Control, begun: Instant, (count, position): (u64, Position)) -> Progress {
    let status = control.status();
    let seconds = begun.elapsed().as_secs_f64().max(1e-6);
    let passed = status.position.to_raw().saturating_sub(position.to_raw()) as f64;
    let left = status.head.to_raw().saturating_sub(status.position.to_raw()) as f64;
    Progress {
        applied: status.events_processed,
        failures: status.failures,
        position: status.position,
        head: status.head,
        rate: status.events_processed.saturating_sub(count) as f64 / seconds,
        time_left: (passed > 0.0)
            .then(|| Duration::try_from_secs_f64(left * seconds / passed).ok())
            .flatten(),
    }
}

impl fmt::Debug for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rebuild").field("live", &self.live).finish_non_exhaustive()
    }
}
