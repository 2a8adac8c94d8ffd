//! What gets out of the outbox, whatever publishers and relays do.

use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Append, ErrorKind, EventStore, ExpectedVersion, Filter, NewEvent, Outbox, OutboxStatistics, Relay,
    RelayConfig, RetryPolicy, StreamId,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::cases::outbox::{given, outbox_of};
use crate::given::{event, events, log_of, names, refused, stream};
use crate::publishing::{Mood, Moody};
use crate::{CaseResult, Cx, Failure, Setup, bad_network, chaos, random};

use ExpectedVersion::Any;

/// Long enough for a slow machine; nothing waits for it but what hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// A relay that never pauses for long.
fn quick() -> RelayConfig {
    let moment = Duration::from_millis(1);
    RelayConfig::new("a relay")
        .retry(RetryPolicy::default().attempts(5).pauses(moment, moment).seeded(1))
        .poll_interval(Duration::from_millis(5))
        .publish_timeout(Duration::from_secs(30))
}

/// A store with an outbox and its own clock.
async fn in_real_time(cx: &Cx) -> CaseResult<(Cx, Arc<dyn Outbox>)> {
    let cx = cx.fresh(Setup::with_outbox(Filter::all())).await?;
    let outbox = outbox_of(&cx)?;
    Ok((cx, outbox))
}

fn all_published(count: usize) -> OutboxStatistics {
    OutboxStatistics { published: count as u64, ..OutboxStatistics::default() }
}

pub async fn a_relay_publishes_everything_in_order(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    let (a, b) = (stream(), stream());
    for _ in 0..10 {
        let append = Append::to_stream(a.clone(), Any, events(3)).and_stream(b.clone(), Any, events(1));
        cx.store().append(append.and_events(events(1))).await?;
    }
    let publisher = Arc::new(Moody::good());
    let relay = Relay::new(outbox.clone(), publisher.clone(), quick().batch(7))?;
    let report = relay.drain().await?;
    assert_eq!((report.published, report.retried, report.unsettled), (50, 0, 0));
    assert_eq!(outbox.statistics().await?, all_published(50));
    let log = log_of(cx.store()).await?;
    publisher.is_complete(&log)?;
    assert_eq!(publisher.deliveries().len(), 50, "one was delivered twice, and nothing had failed");
    assert_eq!(relay.drain().await?.published, 0);
    Ok(())
}

pub async fn an_event_that_fails_is_published_in_the_end_and_before_the_next_of_its_stream(
    cx: Cx,
) -> CaseResult {
    let (cx, outbox) = in_real_time(&cx).await?;
    let (a, b) = (stream(), stream());
    cx.store().append(Append::to_stream(a, Any, [event("A1"), event("A2")])).await?;
    cx.store().append(Append::to_stream(b, Any, [event("B1")])).await?;
    let publisher =
        Arc::new(Moody::towards("A1", [Mood::Fails, Mood::Panics, Mood::LosesTheAnswer, Mood::Fails]));
    let relay = Relay::new(outbox.clone(), publisher.clone(), quick())?;
    let first = relay.drain().await?;
    // What failed may be due again before the drain is over.
    assert!(first.published >= 1 && first.retried >= 1, "{first:?}");
    let running = async {
        while outbox.statistics().await?.published < 3 {
            relay.drain().await?;
            sleep(Duration::from_millis(2)).await;
        }
        CaseResult::Ok(())
    };
    timeout(PATIENCE, running).await??;
    publisher.is_complete(&log_of(cx.store()).await?)?;
    let delivered = publisher.deliveries();
    assert_eq!(
        names(&delivered),
        ["B1", "A1", "A1", "A2"],
        "other streams go on; a lost answer is asked for again"
    );
    Ok(())
}

pub async fn an_event_that_always_fails_is_given_up_after_five_attempts(cx: Cx) -> CaseResult {
    let (cx, outbox) = in_real_time(&cx).await?;
    cx.store().append(Append::to_stream(stream(), Any, [event("Poison"), event("Next")])).await?;
    let publisher = Arc::new(Moody::towards("Poison", [Mood::Fails; 5]));
    let relay = Relay::new(outbox.clone(), publisher.clone(), quick())?;
    let mut report = relay.drain().await?;
    let giving_up = async {
        while outbox.statistics().await?.published < 1 {
            let more = relay.drain().await?;
            report.retried += more.retried;
            report.given_up += more.given_up;
            sleep(Duration::from_millis(2)).await;
        }
        CaseResult::Ok(())
    };
    timeout(PATIENCE, giving_up).await??;
    assert_eq!((report.retried, report.given_up), (4, 1));
    let failed = outbox.failed(10).await?;
    assert_eq!((failed.len(), failed[0].failed_attempts), (1, 5));
    assert_eq!(failed[0].event.event_type(), &"Poison");
    assert!(
        failed[0].last_error.as_deref().is_some_and(|error| error.contains("the broker is away: by design"))
    );
    assert_eq!(names(&publisher.deliveries()), ["Next"]);
    // Its fifth failure was the last one that it had in it.
    assert_eq!(outbox.retry_failed(None).await?, 1);
    assert_eq!(relay.drain().await?.published, 1);
    assert_eq!(names(&publisher.deliveries()), ["Next", "Poison"]);
    Ok(())
}

pub async fn an_event_that_can_never_be_published_is_given_up_at_once(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    cx.store().append(Append::to_stream(stream(), Any, [event("TooLarge"), event("Next")])).await?;
    let publisher = Arc::new(Moody::towards("TooLarge", [Mood::Refuses]));
    let report = Relay::new(outbox.clone(), publisher.clone(), quick())?.drain().await?;
    assert_eq!((report.given_up, report.retried, report.published), (1, 0, 1));
    assert_eq!(outbox.failed(10).await?[0].failed_attempts, 1);
    Ok(())
}

pub async fn a_publisher_that_hangs_is_not_waited_for(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    cx.store().append(Append::to_stream(stream(), Any, [event("Hangs"), event("Next")])).await?;
    let publisher = Arc::new(Moody::towards("Hangs", [Mood::Hangs, Mood::DeliversAndHangs]));
    let config = quick().publish_timeout(Duration::from_millis(50));
    let relay = Relay::new(outbox.clone(), publisher.clone(), config)?;
    for _ in 0..2 {
        let report = timeout(PATIENCE, relay.drain()).await??;
        assert_eq!((report.retried, report.released), (1, 1));
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(relay.drain().await?.published, 2);
    assert_eq!(names(&publisher.deliveries()), ["Hangs", "Hangs", "Next"]);
    Ok(())
}

pub async fn a_relay_that_is_stopped_finishes_what_it_has_begun(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    cx.store().append(Append::to_stream(stream(), Any, events(3))).await?;
    let publisher = Arc::new(Moody::gated());
    let relay = Relay::new(outbox.clone(), publisher.clone(), quick())?;
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = oneshot::channel();
    let stopping = async {
        drop(stopped.await);
        let _ = tell.send(());
    };
    let running = tokio::spawn(async move { relay.run(stopping).await });
    timeout(PATIENCE, publisher.begun()).await?;
    drop(stop);
    // It knows that it is to stop while the first event is on its way, and waits for it.
    timeout(PATIENCE, told).await??;
    assert!(!running.is_finished());
    publisher.open();
    let report = timeout(PATIENCE, running).await???;
    assert_eq!((report.published, report.released), (1, 2));
    let statistics = outbox.statistics().await?;
    assert_eq!((statistics.published, statistics.pending, statistics.in_flight), (1, 2, 0));
    Ok(())
}

pub async fn an_append_wakes_a_relay(cx: Cx) -> CaseResult {
    let (cx, outbox) = in_real_time(&cx).await?;
    let publisher = Arc::new(Moody::good());
    let config = RelayConfig::new("a relay").poll_interval(Duration::from_secs(3_600));
    let relay = Relay::new(outbox, publisher.clone(), config)?.wake_by(cx.store().changes());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move { relay.run(async { drop(stopped.await) }).await });
    for count in 1..=3 {
        cx.store().append(Append::events(events(1))).await?;
        timeout(PATIENCE, publisher.delivered(count)).await?;
    }
    drop(stop);
    assert_eq!(timeout(PATIENCE, running).await???.published, 3);
    Ok(())
}

pub async fn a_relay_finds_what_nobody_wakes_it_for(cx: Cx) -> CaseResult {
    let (cx, outbox) = in_real_time(&cx).await?;
    let publisher = Arc::new(Moody::good());
    let relay = Relay::new(outbox, publisher.clone(), quick())?;
    let running = tokio::spawn(async move { relay.run(std::future::pending()).await });
    cx.store().append(Append::events(events(1))).await?;
    timeout(PATIENCE, publisher.delivered(1)).await?;
    running.abort();
    Ok(())
}

pub async fn a_relay_ends_when_its_store_is_closed(cx: Cx) -> CaseResult {
    let (cx, outbox) = in_real_time(&cx).await?;
    let relay = Relay::new(outbox, Arc::new(Moody::good()), quick())?.wake_by(cx.store().changes());
    let running = tokio::spawn(async move { relay.run(std::future::pending()).await });
    sleep(Duration::from_millis(20)).await;
    cx.store().close().await?;
    refused(ErrorKind::Unavailable, timeout(PATIENCE, running).await??)?;
    Ok(())
}

pub async fn a_relay_that_nobody_wakes_ends_when_its_store_is_closed(cx: Cx) -> CaseResult {
    let (cx, outbox) = in_real_time(&cx).await?;
    let relay = Relay::new(outbox, Arc::new(Moody::good()), quick())?;
    let running = tokio::spawn(async move { relay.run(std::future::pending()).await });
    sleep(Duration::from_millis(20)).await;
    cx.store().close().await?;
    refused(ErrorKind::Unavailable, timeout(PATIENCE, running).await??)?;
    Ok(())
}

/// How long a lease lasts by the store's clock, which moves only when this case moves it.
const LEASE: Duration = Duration::from_secs(3_600);

pub async fn whatever_fails_every_event_is_published_and_streams_in_order(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    let publisher = Arc::new(Moody::at_random(&cx));
    let relay = |name: usize| {
        let moment = Duration::from_millis(1);
        let config = RelayConfig::new(format!("relay {name}"))
            .batch(5)
            .lease(LEASE)
            .retry(RetryPolicy::default().attempts(u32::MAX).pauses(moment, moment))
            .publish_timeout(Duration::from_millis(30))
            .poll_interval(Duration::from_millis(5));
        let relay = Relay::new(outbox.clone(), publisher.clone(), config)?.wake_by(cx.store().changes());
        let running: JoinHandle<_> = tokio::spawn(async move { relay.run(std::future::pending()).await });
        Ok::<_, Failure>(running)
    };
    let mut relays = (0..3).map(relay).collect::<CaseResult<Vec<_>>>()?;
    let writer = tokio::spawn(append_to_streams(cx.clone()));

    let mut numbers = random::numbers(&cx, 7);
    for killed in 3..9 {
        let before = publisher.deliveries().len();
        // Some deliveries on, or after a while: also when all are in the hands of the dead.
        let _ = timeout(Duration::from_millis(500), publisher.delivered(before + 6)).await;
        let victim = proptest::prelude::RngExt::random_range(&mut numbers, 0..relays.len());
        relays[victim].abort();
        relays[victim] = relay(killed)?;
        // What the dead had comes back; so does what the living have, who learn that it is no longer theirs.
        clock.advance(LEASE * 2);
    }
    let count = writer.await??;

    // From here on nobody dies. What a dead relay had asked for may have been granted after its death.
    let mut patience = Duration::from_secs(1);
    while is_busy(&*outbox).await? {
        let settled = async {
            while is_busy(&*outbox).await? {
                sleep(Duration::from_millis(5)).await;
                clock.advance(Duration::from_millis(5));
            }
            CaseResult::Ok(())
        };
        if let Ok(settled) = timeout(patience, settled).await {
            settled?;
        }
        clock.advance(LEASE * 2);
        patience *= 2;
    }
    relays.iter().for_each(JoinHandle::abort);
    assert_eq!(
        outbox.statistics().await?,
        OutboxStatistics { published: count, ..OutboxStatistics::default() }
    );
    publisher.is_complete(&log_of(cx.store()).await?)?;
    Ok(())
}

pub async fn whatever_answers_are_lost_every_event_is_published_and_streams_in_order(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    let count = append_to_streams(cx.clone()).await?;
    let (publisher, lossy) = (Arc::new(Moody::good()), bad_network::outbox(&cx, outbox.clone()));
    let relay = Relay::new(Arc::new(lossy.clone()), publisher.clone(), quick().batch(5).lease(LEASE))?;
    let publishing = async {
        while is_busy(&*outbox).await? {
            match relay.drain().await {
                Err(error) if !error.is_retryable() => return Err(error.into()),
                // Whatever is in nobody's hands comes again when its lease has run out.
                _ => clock.advance(LEASE * 2),
            }
        }
        CaseResult::Ok(())
    };
    timeout(PATIENCE, publishing).await??;
    assert!(lossy.faults_met() > 0, "no call was lost");
    assert_eq!(outbox.statistics().await?, all_published(usize::try_from(count)?));
    publisher.is_complete(&log_of(cx.store()).await?)
}

async fn is_busy(outbox: &dyn Outbox) -> CaseResult<bool> {
    let statistics = outbox.statistics().await?;
    Ok(statistics.pending + statistics.in_flight > 0)
}

/// Appends to some streams and beside them, for a while, and returns how many events.
async fn append_to_streams(cx: Cx) -> CaseResult<u64> {
    let streams: Vec<StreamId> = (0..6).map(|_| stream()).collect();
    let mut count = 0;
    for round in 0..12 {
        let append: Append =
            streams.iter().enumerate().fold(Append::events(events(1)), |append, (number, stream)| {
                append.and_stream(stream.clone(), Any, numbered(round + number))
            });
        count += append.event_count() as u64;
        cx.store().append(append).await?;
        sleep(Duration::from_millis(10)).await;
    }
    Ok(count)
}

fn numbered(number: usize) -> Vec<NewEvent> {
    events(1 + number % 2)
}

pub async fn relays_that_are_paused_and_killed_publish_everything_in_order(cx: Cx) -> CaseResult {
    chaos::publish_in_tasks(&cx).await
}
