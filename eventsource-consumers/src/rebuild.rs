use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Checkpoint, CheckpointSave, ConsumerName, DeadLetterKey, DeadLetterQuery, DeadLetterState, Delivery,
    DeliveryFailure, Error, ErrorKind, Filter, Position, Purpose, Record, Result, Sink, ViewRefusal,
};
use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};

use crate::control::State;
use crate::handler::IntoSink;
use crate::patience::patiently;
use crate::pump::{End, Pump};
use crate::{
    Backoff, Consumer, ConsumerGroup, ConsumerStore, Control, FailurePolicy, OrderingKey, Outcome, ReadAhead,
};

/// Builds a view anew, from the beginning of the log, beside the one that is in use, and switches when it has caught up.
///
/// It works as a consumer of its own, `NAME~rebuild`, and its handler is told that nothing but the view may change. To
/// switch, the sink is given [`Record::Switch`]: the SQL stores' projections call the view's `switch` (which renames
/// tables, say) and hand the checkpoint to the live consumer, all in one transaction; a live consumer that runs
/// meanwhile goes on from there. An interrupted rebuild goes on where it was if it is run again.
///
/// What the handler fails on is parked, if the [policy](Self::policy) says so, under the rebuild's own name, and is the live
/// consumer's when the view is switched: there it is tried again as ever, and holds its key back. What the live consumer
/// had failed on is resolved then, by the rebuild: the new view holds it, or it has failed again.
///
/// The view of a [`ConsumerGroup`] can't be rebuilt: it has a checkpoint for each partition, and none that could be switched.
#[must_use]
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
    /// How many events it has parked since it was started.
    pub parked: u64,
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
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RebuildReport {
    /// The view was switched; if not, it was told to stop before.
    pub outcome: Outcome,
    /// How far it is.
    pub progress: Progress,
    /// What the view lacks: the dead letters that are not resolved, in log order, also of earlier runs of this rebuild.
    pub parked: Vec<DeadLetterKey>,
}

impl Rebuild {
    const SUFFIX: &str = "~rebuild";

    /// Of the view of the consumer with this name.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, too long or holds a NUL.
    pub fn new(
        live: impl TryInto<ConsumerName, Error: Into<Error>>,
        store: impl Into<ConsumerStore>,
    ) -> Result<Self> {
        let live = live.try_into().map_err(Into::into)?;
        let consumer = Consumer::new(format!("{live}{}", Self::SUFFIX), store)?;
        Ok(Self { consumer, live, report: None, interval: Duration::from_secs(1) })
    }

    /// Only events that match; the same as the live consumer's.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.consumer = self.consumer.filter(filter);
        self
    }

    /// Sets how many events make a page.
    pub fn page_size(mut self, events: u64) -> Self {
        self.consumer = self.consumer.page_size(events);
        self
    }

    /// Sets how much is read while a page is being handled, as for [`Consumer::read_ahead`].
    pub fn read_ahead(mut self, ahead: ReadAhead) -> Self {
        self.consumer = self.consumer.read_ahead(ahead);
        self
    }

    /// Sets what it does when the handler fails; it stops if not set, and the live view stays as it is.
    pub fn policy(mut self, policy: FailurePolicy) -> Self {
        self.consumer = self.consumer.policy(policy);
        self
    }

    /// Sets what keeps events in order where one is parked; the same as the live consumer's.
    pub fn ordering_key(mut self, key: OrderingKey) -> Self {
        self.consumer = self.consumer.ordering_key(key);
        self
    }

    /// Tells how far it is, every so often.
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

    /// Builds the new view and switches, however often the store is away meanwhile. Where the view is kept inline, it may lack
    /// only so much when it is switched to; if others have appended more since it caught up, it catches up again, until it
    /// is told to stop.
    ///
    /// # Errors
    /// As for [`Consumer::run`]; `InvalidInput` if the live consumer is a group; `Unavailable` as well if it is told to stop
    /// while the store is away and can't say what is parked. The live view is as it was then.
    pub async fn run(self, sink: impl IntoSink) -> Result<RebuildReport> {
        let control = self.control();
        let report = self.build_and_switch(sink).await;
        control.update(|status| status.state = State::Stopped);
        report
    }

    async fn build_and_switch(self, sink: impl IntoSink) -> Result<RebuildReport> {
        let Consumer { name, store, settings, control } = self.consumer;
        let sink = sink.into_sink(&store);
        let listing = || patiently(&name, &store, &control, || store.checkpoints.checkpoints());
        let checkpoints = listing().await?;
        refuse_group(&self.live, &checkpoints)?;
        let before = checkpoints.iter().find(|checkpoint| checkpoint.consumer == name);
        let began_with = before.map_or((0, Position::START), |each| (each.events_processed, each.position));
        let begun = Instant::now();
        let watching = async {
            loop {
                sleep(self.interval).await;
                if let Some(report) = &self.report {
                    report(&progress(&control, begun, began_with));
                }
            }
        };
        let timeout = settings.policy.handler_timeout;
        let building = async {
            loop {
                let pump = Pump {
                    name: name.clone(),
                    store: store.clone(),
                    sink: sink.clone(),
                    settings: settings.clone(),
                    control: control.clone(),
                    share: None,
                    purpose: Purpose::Rebuild,
                    end: End::CaughtUp,
                };
                let outcome = pump.run_to_its_end().await?;
                let mut parked = patiently(&name, &store, &control, || unresolved(&store, &name)).await?;
                if outcome != Outcome::CaughtUp {
                    return Ok::<_, Error>((outcome, parked));
                }
                // It may have begun meanwhile.
                refuse_group(&self.live, &listing().await?)?;
                let shadow = patiently(&name, &store, &control, || shadow(&store, &name)).await?;
                let record = Record::Switch { from: shadow, to: self.live.clone() };
                let delivery = Delivery { events: Vec::new(), record, purpose: Purpose::Rebuild, timeout };
                match switch(&store, &sink, &delivery, &name).await {
                    // Kept inline, it may lack only so much when it is switched, and others have appended more meanwhile.
                    Err(error) if is_behind(&error) => {}
                    switched => {
                        switched?;
                        parked.iter_mut().for_each(|key| key.consumer = self.live.clone());
                        return Ok((outcome, parked));
                    }
                }
            }
        };
        let (outcome, parked) = tokio::select! {
            built = building => built?,
            never = watching => never,
        };
        let progress = progress(&control, begun, began_with);
        if let Some(report) = &self.report {
            report(&progress);
        }
        Ok(RebuildReport { outcome, progress, parked })
    }

    /// What a consumer with this name is given events for.
    pub(crate) fn purpose_of(consumer: &ConsumerName) -> Purpose {
        if consumer.as_str().ends_with(Self::SUFFIX) { Purpose::Rebuild } else { Purpose::Live }
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

/// The consumer's dead letters that are not resolved, in log order.
async fn unresolved(store: &ConsumerStore, name: &ConsumerName) -> Result<Vec<DeadLetterKey>> {
    const PAGE: u32 = 1_000;
    let (mut unresolved, mut after) = (Vec::new(), Position::START);
    loop {
        let query = DeadLetterQuery::all().of(name.clone()).after(after).limit(PAGE);
        let letters = store.dead_letters.dead_letters(&query).await?;
        let Some(last) = letters.last() else { return Ok(unresolved) };
        after = last.position;
        let open = letters.into_iter().filter(|letter| letter.state != DeadLetterState::Resolved);
        unresolved.extend(open.map(|letter| letter.key));
    }
}

/// What the rebuild's next save begins with.
async fn shadow(store: &ConsumerStore, name: &ConsumerName) -> Result<CheckpointSave> {
    Ok(match store.checkpoints.load_checkpoint(name).await? {
        Some(checkpoint) => CheckpointSave::following(&checkpoint),
        None => CheckpointSave::first(name.clone(), store.identity.log_id().await?),
    })
}

fn is_behind(error: &Error) -> bool {
    matches!(error.view_refusal(), Some(ViewRefusal::Behind { .. }))
}

/// To switch would set a checkpoint that no member of the group looks at.
fn refuse_group(live: &ConsumerName, checkpoints: &[Checkpoint]) -> Result<()> {
    let partitions = checkpoints.iter().find_map(|each| ConsumerGroup::partitions_of(live, &each.consumer));
    partitions.map_or(Ok(()), |partitions| {
        Err(Error::invalid_input(format!(
            "{live} is a group with {partitions} partitions, whose view can't be rebuilt beside it: stop its members, \
             delete its checkpoints and what the view holds, and start them again"
        )))
    })
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
        parked: status.parked,
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
