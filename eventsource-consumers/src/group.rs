mod progress;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Checkpoint, Conflict, ConsumerName, Error, Lease, LeaseKey, Leases, MemberId, Purpose, Result, Sink,
};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::Consumer;
use crate::consumer::Outcome;
use crate::control::{Control, State, Status};
use crate::handler::IntoSink;
use crate::patience::{Unanswered, patiently};
use crate::pump::{End, Pump, Share};

/// A consumer whose work several processes share.
///
/// Events are spread over partitions by the [ordering key](Consumer::ordering_key); a member handles a partition while it
/// holds its lease, and events with one key are handled one after the other, whoever handles them. When members join,
/// leave or crash, the others take over within a lease's time. A member that was paused for longer can't write a
/// checkpoint, a parked event or an exactly-once view any more: its token is old.
///
/// With one partition it is a single active consumer with others standing by.
///
/// ```
/// use std::time::Duration;
/// use eventsource_consumers::{Consumer, ConsumerGroup, GroupOptions, each_event};
/// use eventsource_core::Result;
/// use eventsource_memory::MemoryStore;
///
/// async fn work(store: MemoryStore) -> Result<()> {
///     let consumer = Consumer::new("mailer", store.clone())?;
///     let options = GroupOptions::partitions(8).lease(Duration::from_secs(10));
///     ConsumerGroup::new(consumer, store, options).run(each_event(|_event, _| async { Ok(()) })).await
/// }
/// ```
#[must_use]
pub struct ConsumerGroup {
    consumer: Consumer,
    leases: Arc<dyn Leases>,
    options: GroupOptions,
    member: MemberId,
}

/// How a group shares its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct GroupOptions {
    partitions: u32,
    lease: Duration,
}

impl GroupOptions {
    /// So many partitions, which is how many members can work at once. All members must say the same number; another one
    /// needs the group's checkpoints to be deleted first.
    pub fn partitions(partitions: u32) -> Self {
        Self { partitions: partitions.max(1), lease: Duration::from_secs(10) }
    }

    /// Sets how long a lease holds without being renewed; 10 seconds if not set. It is renewed three times as often.
    pub fn lease(mut self, time_to_live: Duration) -> Self {
        self.lease = time_to_live;
        self
    }
}

impl ConsumerGroup {
    /// A member of the group that is called like `consumer`, and works as it does, on its store. The leases are kept in
    /// `leases`, the same database as its checkpoints and dead letters: there, fences are checked.
    pub fn new(consumer: Consumer, leases: impl Leases + 'static, options: GroupOptions) -> Self {
        Self { consumer, leases: Arc::new(leases), options, member: MemberId::random() }
    }

    /// Pauses and resumes this member, stops it in order, and tells how it stands: every third of a lease's time, for all its
    /// partitions together. While it is paused it keeps its partitions, and nobody handles their events. When it is stopped,
    /// its leases are free at once.
    #[must_use]
    pub fn control(&self) -> Control {
        self.consumer.control()
    }

    /// Which member it is.
    #[must_use]
    pub fn member(&self) -> MemberId {
        self.member
    }

    /// The name of a partition's checkpoint and dead letters.
    ///
    /// # Errors
    /// `InvalidInput` if the group's name is too long for it.
    pub fn partition_name(group: &ConsumerName, partition: u32, partitions: u32) -> Result<ConsumerName> {
        ConsumerName::new(format!("{group}[{partition}/{partitions}]"))
    }

    /// How many partitions the group has, if this is what one of them is called.
    pub(crate) fn partitions_of(group: &ConsumerName, partition: &ConsumerName) -> Option<u32> {
        let numbers =
            partition.as_str().strip_prefix(group.as_str())?.strip_prefix('[')?.strip_suffix(']')?;
        numbers.split_once('/')?.1.parse().ok()
    }

    /// Works until it is told to stop, however often the store is away meanwhile, also at the start.
    ///
    /// # Errors
    /// What a partition's handler failed with for good, as for [`Consumer::run`]: the member leaves then; `InvalidInput`
    /// if the group's checkpoints are for another number of partitions; `Unavailable` once the store
    /// [is closed](Error::is_closed).
    pub async fn run(self, sink: impl IntoSink) -> Result<()> {
        let control = self.control();
        let outcome = self.serve(sink).await;
        control.update(|status| status.state = State::Stopped);
        outcome
    }

    async fn serve(self, sink: impl IntoSink) -> Result<()> {
        let sink = sink.into_sink(&self.consumer.store);
        self.check_partitions(&self.checkpoints().await?)?;
        let (start, started) = mpsc::unbounded_channel();
        let (end, ended) = mpsc::unbounded_channel();
        let work = self.work(sink, started, end);
        let mut membership = Membership {
            group: &self,
            running: BTreeMap::new(),
            start: Some(start),
            ended,
            offset: 0,
            past: Counts::default(),
        };
        // Side by side: a handler that takes long does not keep the leases from being renewed.
        let (outcome, ()) = futures_util::future::join(membership.run(), work).await;
        outcome
    }

    /// Runs the pumps that it is told to start, and tells how each ended.
    async fn work(
        &self,
        sink: Arc<dyn Sink>,
        mut started: mpsc::UnboundedReceiver<(Lease, Control)>,
        end: mpsc::UnboundedSender<(u32, Result<Outcome>)>,
    ) {
        let mut pumps: FuturesUnordered<BoxFuture<'static, (u32, Result<Outcome>)>> = FuturesUnordered::new();
        let mut open = true;
        while open || !pumps.is_empty() {
            tokio::select! {
                next = started.recv(), if open => match next {
                    Some((lease, control)) => {
                        let partition = lease.key.partition;
                        let leader = self.consumer.control();
                        match self.pump(lease, control.clone(), sink.clone()) {
                            Ok(pump) => pumps.push(Box::pin(async move {
                                (partition, leader.leading(&control, pump.run()).await)
                            })),
                            Err(error) => drop(end.send((partition, Err(error)))),
                        }
                    }
                    None => open = false,
                },
                Some(done) = pumps.next(), if !pumps.is_empty() => drop(end.send(done)),
            }
        }
    }

    fn pump(&self, lease: Lease, control: Control, sink: Arc<dyn Sink>) -> Result<Pump> {
        let (partition, partitions) = (lease.key.partition, self.options.partitions);
        Ok(Pump {
            name: Self::partition_name(&self.consumer.name, partition, partitions)?,
            store: self.consumer.store.clone(),
            sink,
            settings: self.consumer.settings.clone(),
            control,
            share: Some(Share { partition, partitions, fence: lease.fence() }),
            purpose: Purpose::Live,
            end: End::Never,
        })
    }

    /// Another number of partitions would send keys to others while their checkpoints stay.
    fn check_partitions(&self, checkpoints: &[Checkpoint]) -> Result<()> {
        let (group, partitions) = (&self.consumer.name, self.options.partitions);
        for checkpoint in checkpoints {
            let counted = Self::partitions_of(group, &checkpoint.consumer);
            if let Some(found) = counted.filter(|found| *found != partitions) {
                return Err(Error::invalid_input(format!(
                    "the group {group} has checkpoints for {found} partitions and is to work with {partitions}: \
                     stop all members and delete its checkpoints first, or take another name"
                )));
            }
        }
        Ok(())
    }

    /// Asks until the store answers, however long it is away; there are none for a member that is told to stop meanwhile.
    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        let Consumer { name, store, control, .. } = &self.consumer;
        match patiently(name, store, control, || store.checkpoints.checkpoints()).await {
            Err(Unanswered::Stopped(_)) => Ok(Vec::new()),
            answer => Ok(answer?),
        }
    }
}

impl fmt::Debug for ConsumerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerGroup")
            .field("name", &self.consumer.name)
            .field("member", &self.member)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A member's side of the leases: it takes its share, renews what it holds, and gives away what is too much.
struct Membership<'g> {
    group: &'g ConsumerGroup,
    running: BTreeMap<u32, Running>,
    /// None when nothing is to be started any more.
    start: Option<mpsc::UnboundedSender<(Lease, Control)>>,
    ended: mpsc::UnboundedReceiver<(u32, Result<Outcome>)>,
    /// Where to begin to look for free partitions: elsewhere each time, so that members don't race for the same.
    offset: u32,
    /// What the partitions have told that are not held any more.
    past: Counts,
}

/// What is counted since the member was started, whoever has the partitions now.
#[derive(Clone, Copy, Default)]
struct Counts {
    parked: u64,
    failures: u64,
}

impl Counts {
    fn with(self, status: &Status) -> Self {
        Self { parked: self.parked + status.parked, failures: self.failures + status.failures }
    }
}

struct Running {
    lease: Lease,
    control: Control,
    /// When the lease was last known to be held.
    renewed: Instant,
    /// Whether somebody else has it now.
    lost: bool,
}

impl Membership<'_> {
    async fn run(&mut self) -> Result<()> {
        let outcome = self.serve().await;
        // In order, whatever the reason: what runs finishes what it has in hand, and its leases are free at once.
        self.start = None;
        for running in self.running.values() {
            running.control.stop();
        }
        while !self.running.is_empty() {
            let Some((partition, result)) = self.ended.recv().await else { break };
            // The first failure is told; these follow from it, or have lost their lease.
            drop(self.ended(partition, result).await);
        }
        let (name, member) = (&self.group.consumer.name, self.group.member);
        if let Err(error) = self.group.leases.withdraw(name, member).await {
            tracing::debug!(group = %name, error = &error as &dyn std::error::Error, "can't withdraw; it expires");
        }
        outcome
    }

    async fn serve(&mut self) -> Result<()> {
        let control = self.group.consumer.control.clone();
        loop {
            if control.is_stopped() {
                return Ok(());
            }
            match self.tick().await {
                Err(error) if !error.is_retryable() => return Err(error),
                Err(error) => {
                    tracing::warn!(group = %self.group.consumer.name, error = &error as &dyn std::error::Error, "the leases can't be renewed; trying again");
                    self.stop_expired();
                    self.group.consumer.store.check_open()?;
                }
                Ok(()) => {}
            }
            let next = sleep(self.group.options.lease / 3);
            tokio::pin!(next);
            loop {
                tokio::select! {
                    () = &mut next => break,
                    () = control.stopped() => return Ok(()),
                    Some((partition, result)) = self.ended.recv() => self.ended(partition, result).await?,
                }
            }
        }
    }

    async fn tick(&mut self) -> Result<()> {
        let group = self.group;
        let (leases, name, ttl) = (&group.leases, &group.consumer.name, group.options.lease);
        let members = leases.announce(name, group.member, ttl).await?;
        for running in self.running.values_mut().filter(|running| !running.lost) {
            let asked = Instant::now();
            match leases.renew_lease(&running.lease, ttl).await? {
                Some(lease) => (running.lease, running.renewed) = (lease, asked),
                None => {
                    running.lost = true;
                    running.control.stop();
                }
            }
        }
        let share = self.share(&members);
        let surplus = self.running.len().saturating_sub(share);
        for running in self.running.values().rev().take(surplus) {
            running.control.stop();
        }
        let partitions = group.options.partitions;
        for step in 0..partitions {
            if self.running.len() >= share {
                break;
            }
            let partition = (self.offset + step) % partitions;
            if self.running.contains_key(&partition) {
                continue;
            }
            let (key, asked) = (LeaseKey { group: name.clone(), partition }, Instant::now());
            if let Some(lease) = leases.acquire_lease(&key, group.member, ttl).await? {
                let control = Control::new();
                let starting = self.start.as_ref().map(|start| start.send((lease.clone(), control.clone())));
                if matches!(starting, Some(Ok(()))) {
                    self.running.insert(partition, Running { lease, control, renewed: asked, lost: false });
                }
            }
        }
        self.offset = (self.offset + 1) % partitions;
        self.tell(share);
        Ok(())
    }

    /// How many partitions this member is to hold: as even as it goes, the first members one more.
    fn share(&self, members: &[MemberId]) -> usize {
        let partitions = self.group.options.partitions as usize;
        let count = members.len().max(1);
        let rank = members.iter().position(|member| *member == self.group.member).unwrap_or(count);
        partitions / count + usize::from(rank < partitions % count)
    }

    /// Stops what may have been taken by somebody else meanwhile. What it writes is fenced; its other effects are not.
    fn stop_expired(&mut self) {
        for running in self.running.values() {
            if running.renewed.elapsed() >= self.group.options.lease {
                running.control.stop();
            }
        }
    }

    async fn ended(&mut self, partition: u32, result: Result<Outcome>) -> Result<()> {
        if let Some(running) = self.running.remove(&partition) {
            self.past = self.past.with(&running.control.status());
            self.tell_counts();
            // If this fails, it expires.
            drop(self.group.leases.release_lease(&running.lease).await);
        }
        match result {
            Err(error) if !matches!(error.conflict(), Some(Conflict::Fenced { .. })) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sums up how the partitions stand.
    fn tell(&self, share: usize) {
        let control = &self.group.consumer.control;
        let statuses: Vec<_> = self.running.values().map(|running| running.control.status()).collect();
        let all = |state| statuses.iter().all(|each| each.state == state);
        control.update(|status| {
            status.state = if control.is_paused() && all(State::Paused) {
                State::Paused
            } else if all(State::Live) && statuses.len() >= share {
                State::Live
            } else {
                State::CatchingUp
            };
            status.head = statuses.iter().map(|each| each.head).max().unwrap_or_default();
            status.position = statuses.iter().map(|each| each.position).min().unwrap_or_default();
            status.events_processed = statuses.iter().map(|each| each.events_processed).sum();
        });
        self.tell_counts();
    }

    fn tell_counts(&self) {
        let running = self.running.values().map(|running| running.control.status());
        let counts = running.fold(self.past, |counts, status| counts.with(&status));
        self.group.consumer.control.update(|status| {
            (status.parked, status.failures) = (counts.parked, counts.failures);
        });
    }
}
