//! The next pages are read while one is handled: as many as may be, and nothing is lost or out of order for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_consumers::{
    Consumer, ConsumerStore, IntoSink, Outcome, ReadAhead, Subscription, each_event, each_page,
};
use eventsource_core::{Append, ConsumerName, EventStore, NewEvent, Position, RecordedEvent};
use eventsource_testing::{Fault, Faults, Faulty};
use futures_util::{StreamExt as _, TryStreamExt as _};
use proptest::prelude::RngExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::consuming::Diary;
use crate::given::{a_while, events, log_of, positions, types, with_json};
use crate::watched::Watched;
use crate::{CaseResult, Cx, random};

const PATIENCE: Duration = Duration::from_secs(40);

fn name() -> ConsumerName {
    ConsumerName::new("orders").expect("a case names a valid consumer")
}

/// A consumer that reads from `events`, and loses no time.
fn consumer(cx: &Cx, events: impl EventStore + 'static) -> CaseResult<Consumer> {
    let store = ConsumerStore { events: Arc::new(events), ..cx.consumer_store() };
    Ok(Consumer::new(name(), store)?
        .poll_interval(Duration::from_millis(100))
        .idle_save(Duration::from_millis(5)))
}

/// A handler of pages that needs leave for each of them.
struct Slow {
    leave: Arc<Semaphore>,
    diary: Diary,
}

impl Slow {
    fn new() -> Self {
        Self { leave: Arc::new(Semaphore::new(0)), diary: Diary::default() }
    }

    fn handler(&self) -> impl IntoSink + use<> {
        let (leave, diary) = (self.leave.clone(), self.diary.clone());
        each_page(move |events: Vec<RecordedEvent>, _| {
            let (leave, diary) = (leave.clone(), diary.clone());
            async move {
                leave.acquire().await?.forget();
                events.iter().try_for_each(|event| diary.handle(event))
            }
        })
    }

    fn let_all_go(&self) {
        self.leave.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

pub async fn the_next_page_is_read_while_one_is_handled(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(12))).await?;
    let watched = Watched::new(cx.store().clone());
    let handled = Arc::new(AtomicUsize::new(0));
    let handler = each_page({
        let watched = watched.clone();
        move |events: Vec<RecordedEvent>, _| {
            let watched = watched.clone();
            let handled = handled.fetch_add(events.len(), Ordering::SeqCst) + events.len();
            // Ends when the next page is there: without reading ahead, never.
            async move {
                watched.until_read((handled + 3).min(12)).await;
                Ok(())
            }
        }
    });
    let run = consumer(&cx, watched.clone())?.page_size(3).run_until_caught_up(handler);
    assert_eq!(timeout(PATIENCE, run).await??, Outcome::CaughtUp);
    assert_eq!(watched.events_read(), 12);
    Ok(())
}

pub async fn reading_ahead_is_bounded_in_events(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(60))).await?;
    for (ahead, expected) in
        [(ReadAhead::none(), 5), (ReadAhead::new(), 10), (ReadAhead::new().events(12), 17)]
    {
        let (watched, slow) = (Watched::new(cx.store().clone()), Slow::new());
        let consumer = consumer(&cx, watched.clone())?.page_size(5).read_ahead(ahead);
        let control = consumer.control();
        let running = tokio::spawn(consumer.run(slow.handler()));
        timeout(PATIENCE, watched.until_read(expected)).await?;
        a_while().await;
        assert_eq!(watched.events_read(), expected, "{ahead:?}");
        slow.let_all_go();
        let head = cx.store().head().await?;
        timeout(PATIENCE, control.wait_until(|status| status.position == head)).await?;
        control.stop();
        timeout(PATIENCE, running).await???;
        assert_eq!(slow.diary.handled(), positions(&log_of(cx.store()).await?), "{ahead:?}");
        cx.checkpoints().delete_checkpoint(&name()).await?;
    }
    Ok(())
}

pub async fn reading_ahead_is_bounded_in_bytes(cx: Cx) -> CaseResult {
    let large = |_| with_json("Happened", &format!("\"{}\"", "x".repeat(100_000)));
    cx.store().append(Append::events((0..60).map(large).collect::<Vec<NewEvent>>())).await?;
    let (watched, slow) = (Watched::new(cx.store().clone()), Slow::new());
    let ahead = ReadAhead::new().events(1_000).bytes(500_000);
    let consumer = consumer(&cx, watched.clone())?.page_size(2).read_ahead(ahead);
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(slow.handler()));
    // Two in hand, and six that wait: with four there was room for more.
    timeout(PATIENCE, watched.until_read(8)).await?;
    a_while().await;
    assert_eq!(watched.events_read(), 8);
    // A page is done, and one more is read.
    slow.leave.add_permits(1);
    timeout(PATIENCE, watched.until_read(10)).await?;
    a_while().await;
    assert_eq!(watched.events_read(), 10);
    slow.let_all_go();
    let head = cx.store().head().await?;
    timeout(PATIENCE, control.wait_until(|status| status.position == head)).await?;
    control.stop();
    timeout(PATIENCE, running).await???;
    assert_eq!(slow.diary.handled(), positions(&log_of(cx.store()).await?));
    Ok(())
}

pub async fn nothing_is_read_ahead_where_nothing_waits(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let (watched, slow) = (Watched::new(cx.store().clone()), Slow::new());
    let consumer = consumer(&cx, watched.clone())?.filter(types(["Happened"]));
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(slow.handler()));
    timeout(PATIENCE, watched.until_read(3)).await?;
    a_while().await;
    assert_eq!(watched.begun(), [Position::START], "it has read all there was, and reads on");
    control.stop();
    slow.let_all_go();
    timeout(PATIENCE, running).await???;
    Ok(())
}

pub async fn a_reset_throws_away_what_was_read_ahead(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(9))).await?;
    let (watched, slow) = (Watched::new(cx.store().clone()), Slow::new());
    let consumer = consumer(&cx, watched.clone())?.page_size(3).read_ahead(ReadAhead::new().events(100));
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(slow.handler()));
    timeout(PATIENCE, watched.until_read(9)).await?;
    let log_id = cx.identity().log_id().await?;
    cx.checkpoints().reset_checkpoint(&name(), log_id, Position::START).await?;
    slow.let_all_go();
    let log = positions(&log_of(cx.store()).await?);
    timeout(PATIENCE, control.wait_until(|status| status.position == log[8])).await?;
    control.stop();
    timeout(PATIENCE, running).await???;
    assert_eq!(slow.diary.handled(), [&log[..3], &log[..]].concat());
    Ok(())
}

pub async fn a_pause_throws_away_what_was_read_ahead(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(9))).await?;
    let (watched, slow) = (Watched::new(cx.store().clone()), Slow::new());
    let consumer = consumer(&cx, watched.clone())?.page_size(3).read_ahead(ReadAhead::new().events(100));
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(slow.handler()));
    timeout(PATIENCE, watched.until_read(9)).await?;
    control.pause();
    slow.let_all_go();
    timeout(PATIENCE, control.wait_until(|status| status.state == eventsource_consumers::State::Paused))
        .await?;
    control.resume();
    let log = positions(&log_of(cx.store()).await?);
    timeout(PATIENCE, control.wait_until(|status| status.position == log[8])).await?;
    control.stop();
    timeout(PATIENCE, running).await???;
    assert_eq!(slow.diary.handled(), log);
    let begun = watched.begun();
    assert_eq!(begun.iter().filter(|after| **after == log[2]).count(), 2, "{begun:?}");
    Ok(())
}

pub async fn stopping_does_not_wait_for_what_is_read_ahead(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(9))).await?;
    let (watched, slow) = (Watched::new(cx.store().clone()), Slow::new());
    watched.allow(1);
    let consumer = consumer(&cx, watched.clone())?.page_size(3);
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(slow.handler()));
    timeout(PATIENCE, watched.until_begun(2)).await?;
    control.stop();
    slow.let_all_go();
    assert_eq!(timeout(PATIENCE, running).await???, Outcome::Stopped);
    let log = positions(&log_of(cx.store()).await?);
    assert_eq!(slow.diary.handled(), log[..3]);
    let checkpoint = cx.checkpoints().load_checkpoint(&name()).await?.expect("a page was done");
    assert_eq!(checkpoint.position, log[2]);
    Ok(())
}

pub async fn a_stream_reads_ahead_as_it_is_told(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(30))).await?;
    let log = positions(&log_of(cx.store()).await?);
    for (ahead, expected) in [(ReadAhead::none(), 1), (ReadAhead::new(), 2)] {
        let watched = Watched::new(cx.store().clone());
        let all = Subscription::new(watched.clone()).page_size(3).read_ahead(ahead);
        let mut all = std::pin::pin!(all.into_stream());
        timeout(PATIENCE, all.next()).await?.expect("it has no end")?;
        assert_eq!(watched.begun().len(), expected, "{ahead:?}");
        let rest: Vec<_> = timeout(PATIENCE, all.take(29).try_collect()).await??;
        assert_eq!(positions(&rest), log[1..], "{ahead:?}");
    }
    let watched = Watched::new(cx.store().clone());
    let mut all = Subscription::new(watched.clone()).page_size(3).read_ahead(ReadAhead::new());
    let first = timeout(PATIENCE, all.next()).await??;
    timeout(PATIENCE, all.reading_ahead(watched.until_read(6))).await?;
    // What was read with another filter is of no use.
    let mut none = all.filter(types(["Other"]));
    let next = timeout(PATIENCE, none.next()).await??;
    assert_eq!((positions(&first.events), positions(&next.events)), (log[..3].to_vec(), vec![]));
    assert_eq!(next.scanned_to, log[29]);
    Ok(())
}

pub async fn whatever_fails_every_event_is_handled_in_order(cx: Cx) -> CaseResult {
    let mut random = random::numbers(&cx, 72);
    // A look that follows a failure takes two reads. If it failed in more than half of all cases, the pauses between the
    // attempts, which double, would have no mean: every now and then the case would wait for minutes.
    let faults = Faults::random(random.random())
        .percent(7, Fault::BeforeCommit)
        .percent(7, Fault::AfterCommit)
        .percent(5, Fault::Cancelled { polls: 1 });
    let faulty = Faulty::new(cx.store().clone()).on_read(faults);
    let diary = Diary::default();
    // Slow enough for some pages to wait while reading on fails.
    let handler = each_event({
        let diary = diary.clone();
        move |event, _| {
            let diary = diary.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                diary.handle(&event)
            }
        }
    });
    let consumer = consumer(&cx, faulty.clone())?.page_size(4).read_ahead(ReadAhead::new().events(11));
    let control = consumer.control();
    cx.store().append(Append::events(events(200))).await?;
    let running = tokio::spawn(consumer.run(handler));
    for count in 1..=8 {
        cx.store().append(Append::events(events(count))).await?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..20))).await;
    }
    let log = positions(&log_of(cx.store()).await?);
    let last = *log.last().expect("it holds events");
    timeout(PATIENCE, control.wait_until(|status| status.position == last)).await?;
    control.stop();
    timeout(PATIENCE, running).await???;
    assert!(faulty.faults_met() > 0, "no read was lost");
    assert_eq!(diary.handled(), log);
    Ok(())
}
