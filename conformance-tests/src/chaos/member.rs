use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventsource_consumers::{Consumer, ConsumerGroup, GroupOptions, IntoSink, each_event};
use eventsource_core::{Position, RecordedEvent};
use tokio::time::timeout;

use super::{LEASE, Scribe, Worker, scribe};
use crate::{CaseResult, Cx, child};

const PARTITIONS: u32 = 6;

/// A member of the group.
pub(crate) fn member(cx: &Cx) -> CaseResult<ConsumerGroup> {
    let consumer = Consumer::new("chaos", cx.consumer_store())?
        .page_size(16)
        .poll_interval(Duration::from_millis(100))
        .idle_save(Duration::from_millis(50));
    Ok(ConsumerGroup::new(consumer, cx.leases().clone(), GroupOptions::partitions(PARTITIONS).lease(LEASE)))
}

/// A member in this process that delivers to `sink`.
pub(crate) fn member_task(cx: &Cx, sink: impl IntoSink + Send + 'static) -> CaseResult<Worker> {
    let group = member(cx)?;
    let control = group.control();
    Ok(Worker::task(async move { Ok(group.run(sink).await?) }, move || control.stop()))
}

/// A member in a process of its own that keeps the view, and tells the scribe what it does.
pub(crate) fn member_process(cx: &Cx, scribe: &Scribe) -> CaseResult<Worker> {
    let scribe = scribe.clone();
    Worker::process(cx, "member", "", move |note, _| scribe.hear(note))
}

/// A child's program: a member that keeps the view, until its standard input ends.
pub(crate) async fn run_member(cx: Cx) -> CaseResult {
    let group = member(&cx)?;
    let control = group.control();
    let view = scribe::printed(cx.view().clone());
    let run = tokio::spawn(async move { group.run(view).await });
    let mut lines = child::lines();
    while lines.recv().await.is_some() {}
    control.stop();
    Ok(timeout(child::PATIENCE, run).await???)
}

/// What members did, in the order in which they did it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deeds(Arc<Mutex<Vec<Position>>>);

impl Deeds {
    pub(crate) fn handler(&self) -> impl IntoSink + Send + use<> {
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
