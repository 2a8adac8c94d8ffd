//! A group whose members are killed, paused and restarted while many write; and the judge of what it did.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use eventsource_consumers::{
    Consumer, ConsumerGroup, Control, GroupOptions, IntoSink, OrderingKey, each_event,
};
use eventsource_core::{
    Append, CheckpointStore, EventStore, ExpectedVersion, Position, RecordedEvent, StreamId,
};
use futures_util::task::AtomicWaker;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::given::{events, log_of};
use crate::{CaseResult, Cx, Failure, child};

/// How long a member's lease holds.
pub(crate) const LEASE: Duration = Duration::from_millis(900);
/// How long a pause takes: others have taken over before it ends.
pub(crate) const PAUSE: Duration = Duration::from_millis(2_200);
const WRITERS: u128 = 64;
const STREAMS: u128 = 24;
const PARTITIONS: u32 = 6;

/// How long the environment asks for, beyond what a case takes by itself.
pub(crate) fn asked_for() -> Duration {
    let seconds = std::env::var("CONTRACT_WITNESS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

/// How long to make trouble: as long as the environment asks for, else for this long.
pub(crate) fn duration(by_itself: Duration) -> Duration {
    Some(asked_for()).filter(|asked| !asked.is_zero()).unwrap_or(by_itself)
}

/// A member of the group.
pub(crate) fn member(cx: &Cx) -> CaseResult<ConsumerGroup> {
    let consumer = Consumer::new("chaos", cx.consumer_store())?
        .page_size(16)
        .poll_interval(Duration::from_millis(100))
        .idle_save(Duration::from_millis(50));
    Ok(ConsumerGroup::new(consumer, cx.group_store(), GroupOptions::partitions(PARTITIONS).lease(LEASE)))
}

/// A child's program: a member that keeps the view, until its standard input ends.
pub(crate) async fn run_member(cx: Cx) -> CaseResult {
    let group = member(&cx)?;
    let control = group.control();
    let view = cx.view().clone();
    let run = tokio::spawn(async move { group.run(view).await });
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    control.stop();
    Ok(run.await??)
}

/// Lets many write until it is over, and then some more, so that the group has something to catch up with.
pub(crate) struct Writers(Vec<JoinHandle<eventsource_core::Result<()>>>, Arc<AtomicBool>);

impl Writers {
    pub(crate) fn start(cx: &Cx) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let tasks = (0..WRITERS)
            .map(|writer| tokio::spawn(write(writer, cx.store().clone(), over.clone())))
            .collect();
        Self(tasks, over)
    }

    pub(crate) async fn finish(self) -> CaseResult {
        self.1.store(true, Ordering::SeqCst);
        for task in self.0 {
            task.await??;
        }
        Ok(())
    }
}

async fn write(
    writer: u128,
    store: Arc<dyn EventStore>,
    over: Arc<AtomicBool>,
) -> eventsource_core::Result<()> {
    let stream = StreamId::new("Chaos", Uuid::from_u128(1 + writer % STREAMS))?;
    // Bounded in count too: the group has to handle all of it in the end.
    for _ in 0..40 {
        let append = Append::to_stream(stream.clone(), ExpectedVersion::Any, events(1));
        let append = if writer.is_multiple_of(8) { append.and_events(events(1)) } else { append };
        // Whoever holds the log may have been paused.
        loop {
            match store.append(append.clone()).await {
                Err(error) if error.is_retryable() => sleep(Duration::from_millis(20)).await,
                answer => break drop(answer?),
            }
        }
        if over.load(Ordering::SeqCst) {
            break;
        }
        let moments = u64::try_from(writer % 7).unwrap_or(0);
        sleep(Duration::from_millis(60) + asked_for() / 60 + Duration::from_millis(moments)).await;
    }
    Ok(())
}

/// Watches that no checkpoint goes back.
pub(crate) struct Watch(JoinHandle<CaseResult<usize>>, Arc<AtomicBool>);

impl Watch {
    pub(crate) fn start(cx: &Cx) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let checkpoints = cx.checkpoints().clone();
        Self(tokio::spawn(watch(checkpoints, over.clone())), over)
    }

    /// How many steps forward it saw.
    pub(crate) async fn finish(self) -> CaseResult<usize> {
        self.1.store(true, Ordering::SeqCst);
        self.0.await?
    }
}

async fn watch(checkpoints: Arc<dyn CheckpointStore>, over: Arc<AtomicBool>) -> CaseResult<usize> {
    let (mut seen, mut steps) = (BTreeMap::new(), 0);
    while !over.load(Ordering::SeqCst) {
        match checkpoints.checkpoints().await {
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error.into()),
            Ok(found) => {
                for each in found {
                    let now = (each.resets, each.position, each.events_processed);
                    let before = seen.insert(each.consumer.clone(), now).unwrap_or(now);
                    if now < before || now.0 != 0 || now.2 < before.2 {
                        return Err(Failure::new(format!(
                            "{} went from {before:?} to {now:?}",
                            each.consumer
                        )));
                    }
                    steps += usize::from(now > before);
                }
            }
        }
        sleep(Duration::from_millis(15)).await;
    }
    Ok(steps)
}

/// What members did, in the order in which they did it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deeds(Arc<Mutex<Vec<Position>>>);

impl Deeds {
    pub(crate) fn handler(&self) -> impl IntoSink + use<> {
        let deeds = self.clone();
        each_event(move |event: RecordedEvent, _| {
            deeds.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.position());
            async { Ok(()) }
        })
    }

    pub(crate) fn list(&self) -> Vec<Position> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How often an event may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    ExactlyOnce,
    AtLeastOnce,
}

/// Judges what was done: every event of the log, for the first time in log order per key, and as often as promised.
pub(crate) async fn judge(cx: &Cx, done: &[Position], delivery: Delivery) -> CaseResult {
    let log = log_of(&**cx.store()).await?;
    let mut first: HashMap<Position, usize> = HashMap::new();
    for (index, position) in done.iter().enumerate() {
        first.entry(*position).or_insert(index);
    }
    if delivery == Delivery::ExactlyOnce && done.len() != log.len() {
        return Err(Failure::new(format!("{} events were done {} times", log.len(), done.len())));
    }
    let key = OrderingKey::stream();
    let mut newest: HashMap<String, (usize, Position)> = HashMap::new();
    for event in &log {
        let Some(index) = first.remove(&event.position()) else {
            return Err(Failure::new(format!("the event at {} was never done", event.position())));
        };
        let Some(key) = key.of(event) else { continue };
        if let Some((before, position)) = newest.insert(key, (index, event.position()))
            && before > index
        {
            return Err(Failure::new(format!("{position} was done after {}, of one key", event.position())));
        }
    }
    match first.keys().next() {
        Some(unknown) => Err(Failure::new(format!("{unknown} was done, and is not in the log"))),
        None => Ok(()),
    }
}

/// Waits until the group has done everything.
pub(crate) async fn until_done<F>(cx: &Cx, done: impl Fn() -> F) -> CaseResult
where
    F: Future<Output = CaseResult<Vec<Position>>>,
{
    let deadline = Instant::now() + Duration::from_secs(40);
    let log: Vec<_> = log_of(&**cx.store()).await?.iter().map(RecordedEvent::position).collect();
    loop {
        let mut done = done().await?;
        done.sort_unstable();
        done.dedup();
        if done.len() >= log.len() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let missing = log.iter().find(|position| done.binary_search(position).is_err());
            return Err(Failure::new(format!(
                "{} of {} are done; {missing:?} is not",
                done.len(),
                log.len()
            )));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// A member in this process that can be paused with all that it does, as by SIGSTOP, and killed.
pub(crate) struct Member {
    gate: Arc<Gate>,
    control: Control,
    task: JoinHandle<eventsource_core::Result<()>>,
}

#[derive(Default)]
struct Gate {
    closed: AtomicBool,
    waker: AtomicWaker,
}

impl Member {
    pub(crate) fn start(cx: &Cx, sink: impl IntoSink + Send + 'static) -> CaseResult<Self> {
        let group = member(cx)?;
        let (control, gate) = (group.control(), Arc::new(Gate::default()));
        let run = Gated { gate: gate.clone(), inner: Box::pin(group.run(sink)) };
        Ok(Self { gate, control, task: tokio::spawn(run) })
    }

    pub(crate) async fn pause(&self, duration: Duration) {
        self.gate.closed.store(true, Ordering::SeqCst);
        sleep(duration).await;
        self.gate.closed.store(false, Ordering::SeqCst);
        self.gate.waker.wake();
    }

    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }

    pub(crate) async fn stop(self) -> CaseResult {
        self.control.stop();
        Ok(self.task.await??)
    }
}

struct Gated<F> {
    gate: Arc<Gate>,
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.gate.waker.register(context.waker());
        if self.gate.closed.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.inner.as_mut().poll(context)
    }
}

/// Stops or continues a child process, wherever it is.
pub(crate) async fn signal(child: &tokio::process::Child, signal: &str) -> CaseResult {
    let Some(pid) = child.id() else { return Err(Failure::new("the child has ended")) };
    let status =
        tokio::process::Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status().await?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("the child can't be sent {signal}"))) }
}

/// A member in a process of its own.
pub(crate) fn member_process(cx: &Cx) -> CaseResult<tokio::process::Child> {
    let mut process = child::spawn(cx, "member", "")?;
    // What it prints is libtest's; a full pipe would stop it.
    if let Some(mut output) = process.stdout.take() {
        tokio::spawn(async move { tokio::io::copy(&mut output, &mut tokio::io::sink()).await });
    }
    Ok(process)
}
