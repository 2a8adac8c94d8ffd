//! Members that share a consumer's work.

use std::sync::Arc;
use std::time::Duration;

use eventsource_consumers::{
    Consumer, ConsumerGroup, ConsumerStore, FailurePolicy, GroupOptions, Lag, State, Status, partition_of,
};
use eventsource_core::{
    Append, CheckpointSave, CheckpointStore, Clock as _, ConsumerName, ErrorKind, ExpectedVersion, Filter,
    MemberId, Position, RecordedEvent, SystemClock,
};
use eventsource_testing::{Fault, Faults, Faulty};
use tokio::time::{sleep, timeout};

use crate::bad_network::BadNetwork;
use crate::chaos::{self, Crew, Deeds, LEASE, Scribe, Watch, Writers};
use crate::clock::SetClock;
use crate::consuming::{Diary, quick};
use crate::given::{event, events, log_of, refused, stream, types};
use crate::watched::Watched;
use crate::witness::{Consumption, Delivery, Witness};
use crate::{CaseResult, Cx, Setup};

const PATIENCE: Duration = Duration::from_secs(40);

fn group() -> ConsumerName {
    ConsumerName::new("chaos").expect("a case names a valid group")
}

/// Waits until the group's leases are shared like this, most first.
async fn until_shared(cx: &Cx, shares: &[usize]) -> CaseResult {
    let shared = async {
        loop {
            let mut counts = std::collections::BTreeMap::<_, usize>::new();
            for lease in cx.leases().leases(&group()).await? {
                *counts.entry(lease.member).or_default() += 1;
            }
            let mut counts: Vec<_> = counts.into_values().collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            if counts == shares {
                return CaseResult::Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, shared).await?
}

pub async fn members_share_the_work_and_hand_it_over(cx: Cx) -> CaseResult {
    let deeds = Deeds::default();
    let first = chaos::member_task(&cx, deeds.handler())?;
    until_shared(&cx, &[6]).await?;
    let second = chaos::member_task(&cx, deeds.handler())?;
    until_shared(&cx, &[3, 3]).await?;
    let third = chaos::member_task(&cx, deeds.handler())?;
    let fourth = chaos::member_task(&cx, deeds.handler())?;
    until_shared(&cx, &[2, 2, 1, 1]).await?;
    cx.store().append(Append::events(events(60))).await?;
    chaos::until_handled(&cx, async || Ok(deeds.list())).await?;
    first.stop().await?;
    until_shared(&cx, &[2, 2, 2]).await?;
    // Nobody says that this one is gone.
    second.kill().await?;
    until_shared(&cx, &[3, 3]).await?;
    cx.store().append(Append::events(events(60))).await?;
    chaos::until_handled(&cx, async || Ok(deeds.list())).await?;
    third.stop().await?;
    fourth.stop().await?;
    assert!(cx.leases().leases(&group()).await?.iter().all(|lease| lease.key.group == group()));
    let (handled, log) = (deeds.list(), log_of(&**cx.store()).await?);
    let consumption = Consumption { handled, delivery: Delivery::AtLeastOnce, ..Consumption::default() };
    Ok(Witness::of(&log).judge_consumption(&consumption)?)
}

pub async fn one_partition_is_a_single_active_consumer(cx: Cx) -> CaseResult {
    let deeds = Deeds::default();
    let options = GroupOptions::partitions(1).lease(LEASE);
    let groups = (0..3)
        .map(|_| {
            let consumer =
                Consumer::new("chaos", cx.consumer_store())?.poll_interval(Duration::from_millis(100));
            Ok(ConsumerGroup::new(consumer, cx.leases().clone(), options))
        })
        .collect::<CaseResult<Vec<_>>>()?;
    let controls: Vec<_> = groups.iter().map(ConsumerGroup::control).collect();
    let running: Vec<_> = groups.into_iter().map(|each| tokio::spawn(each.run(deeds.handler()))).collect();
    until_shared(&cx, &[1]).await?;
    cx.store().append(Append::events(events(50))).await?;
    chaos::until_handled(&cx, async || Ok(deeds.list())).await?;
    for control in controls {
        control.stop();
    }
    for each in running {
        timeout(PATIENCE, each).await???;
    }
    let done = deeds.list();
    assert!(done.is_sorted() && done.len() == 50, "{done:?}");
    Ok(())
}

pub async fn members_end_when_their_store_is_closed_with_or_without_work(cx: Cx) -> CaseResult {
    let options = GroupOptions::partitions(1).lease(LEASE);
    let start = || {
        let group =
            ConsumerGroup::new(Consumer::new("chaos", cx.consumer_store())?, cx.leases().clone(), options);
        CaseResult::Ok((group.member(), tokio::spawn(group.run(Deeds::default().handler()))))
    };
    let members = [start()?, start()?];
    until_shared(&cx, &[1]).await?;
    // One that has not begun to work would learn of it elsewhere.
    let (asking, moment) = (MemberId::random(), Duration::from_secs(5));
    let announced = async {
        loop {
            let known = cx.leases().announce(&group(), asking, moment).await?;
            if members.iter().all(|(member, _)| known.contains(member)) {
                return CaseResult::Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, announced).await??;
    cx.leases().withdraw(&group(), asking).await?;
    cx.store().close().await?;
    for (_, member) in members {
        refused(ErrorKind::Unavailable, timeout(PATIENCE, member).await??)?;
    }
    Ok(())
}

pub async fn another_number_of_partitions_is_refused(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(50))).await?;
    let deeds = Deeds::default();
    let first = chaos::member_task(&cx, deeds.handler())?;
    chaos::until_handled(&cx, async || Ok(deeds.list())).await?;
    first.stop().await?;
    let consumer = Consumer::new("chaos", cx.consumer_store())?;
    let other = ConsumerGroup::new(consumer, cx.leases().clone(), GroupOptions::partitions(7));
    let control = other.control();
    let error = refused(ErrorKind::InvalidInput, timeout(PATIENCE, other.run(deeds.handler())).await?)?;
    assert!(error.to_string().contains("6 partitions"), "{error}");
    assert_eq!(control.status().state, State::Stopped);
    Ok(())
}

pub async fn a_member_that_is_paused_takes_nothing_until_it_goes_on(cx: Cx) -> CaseResult {
    let (deeds, group) = (Deeds::default(), chaos::member(&cx)?);
    let control = group.control();
    let running = tokio::spawn(group.run(deeds.handler()));
    until_shared(&cx, &[6]).await?;
    control.pause();
    timeout(PATIENCE, control.wait_until(|status| status.state == State::Paused)).await?;
    cx.store().append(Append::events(events(30))).await?;
    // Longer than a lease: it stays a member, and keeps what it has.
    sleep(LEASE * 2).await;
    assert_eq!((deeds.list().len(), control.status().state), (0, State::Paused));
    until_shared(&cx, &[6]).await?;
    control.resume();
    chaos::until_handled(&cx, async || Ok(deeds.list())).await?;
    timeout(PATIENCE, control.wait_until(|status| status.state == State::Live)).await?;
    // Also while it is paused.
    control.pause();
    control.stop();
    timeout(PATIENCE, running).await???;
    Ok(())
}

pub async fn a_member_tells_what_failed_and_was_parked(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("A"), event("Poison"), event("A"), event("Poison")])).await?;
    let policy = quick(FailurePolicy::park()).attempts(2);
    let consumer = Consumer::new("chaos", cx.consumer_store())?.policy(policy);
    let group = ConsumerGroup::new(consumer, cx.leases().clone(), GroupOptions::partitions(2).lease(LEASE));
    let control = group.control();
    let running = tokio::spawn(group.run(Diary::default().handler()));
    let counts = |status: &Status| (status.parked, status.failures);
    timeout(PATIENCE, control.wait_until(|status| counts(status) == (2, 4))).await?;
    control.stop();
    timeout(PATIENCE, running).await???;
    let status = control.status();
    assert_eq!((status.state, counts(&status)), (State::Stopped, (2, 4)), "{status:?}");
    Ok(())
}

/// A group of three partitions that nobody works for, of events that match `filter`. It may ask for checkpoints once.
fn onlooker(cx: &Cx, filter: Filter) -> CaseResult<(ConsumerGroup, Faulty<Arc<dyn CheckpointStore>>)> {
    let once = Faults::none().nth(2, Fault::BeforeCommit);
    let checkpoints = Faulty::new(cx.checkpoints().clone()).on_checkpoints(once);
    let mut store = cx.consumer_store();
    store.checkpoints = Arc::new(checkpoints.clone());
    let consumer = Consumer::new("chaos", store)?.filter(filter);
    Ok((ConsumerGroup::new(consumer, cx.leases().clone(), GroupOptions::partitions(3)), checkpoints))
}

async fn save(cx: &Cx, partition: u32, position: Position) -> CaseResult {
    let name = ConsumerGroup::partition_name(&group(), partition, 3)?;
    let save = match cx.checkpoints().load_checkpoint(&name).await? {
        Some(checkpoint) => CheckpointSave::following(&checkpoint),
        None => CheckpointSave::first(name, cx.identity().log_id().await?),
    };
    Ok(cx.checkpoints().save_checkpoint(&save.scanned_to(position)).await?)
}

pub async fn a_groups_lag_counts_what_its_partitions_have_not_done(cx: Cx) -> CaseResult {
    let clock = SetClock::at("2026-01-02T03:04:05Z");
    let cx = cx.fresh(Setup::with_clock(clock.clone())).await?;
    for _ in 0..20 {
        let append =
            Append::to_stream(stream(), ExpectedVersion::NoStream, [event("Wanted"), event("Other")]);
        cx.store().append(append).await?;
        clock.advance(Duration::from_secs(60));
    }
    let log = log_of(&**cx.store()).await?;
    // One partition has come to the middle, one to the head, and nobody has ever worked on the third.
    let done = [log[19].position(), log[39].position(), Position::START];
    save(&cx, 0, done[0]).await?;
    save(&cx, 1, done[1]).await?;
    let waits = |event: &&RecordedEvent| {
        let key = event.stream().expect("it has one").to_string();
        event.event_type().as_str() == "Wanted" && event.position() > done[partition_of(&key, 3) as usize]
    };
    let waiting: Vec<_> = log.iter().filter(waits).collect();
    let (group, checkpoints) = onlooker(&cx, types(["Wanted"]))?;
    let lag = group.lag(clock.now()).await?;
    assert_eq!(
        (lag.events, lag.position, lag.head),
        (waiting.len() as u64, Position::START, log[39].position())
    );
    assert_eq!(lag.age, waiting.first().map(|oldest| clock.now() - oldest.recorded_at()));
    assert_eq!(checkpoints.faults_met(), 0, "it asked once for each partition");
    save(&cx, 0, done[1]).await?;
    save(&cx, 2, done[1]).await?;
    let lag = onlooker(&cx, types(["Wanted"]))?.0.lag(clock.now()).await?;
    assert_eq!((lag.events, lag.age, lag.position), (0, None, lag.head));
    Ok(())
}

/// A page that is cut to what is left to count would come down to one event.
pub async fn a_groups_lag_is_read_in_whole_pages_up_to_what_is_counted(cx: Cx) -> CaseResult {
    let mut last = Position::START;
    for (partition, count) in [(0, Lag::COUNTED - 1), (2, 1), (1, 2_500)] {
        let stream = std::iter::repeat_with(stream)
            .find(|stream| partition_of(&stream.to_string(), 3) == partition)
            .expect("one in three is there");
        let append = Append::to_stream(stream, ExpectedVersion::NoStream, (0..count).map(|_| event("A")));
        last = cx.store().append(append).await?.last;
    }
    let counted = async || -> CaseResult<(u64, usize)> {
        let watched = Watched::new(cx.store().clone());
        let store = ConsumerStore { events: Arc::new(watched.clone()), ..cx.consumer_store() };
        let group = ConsumerGroup::new(
            Consumer::new("chaos", store)?,
            cx.leases().clone(),
            GroupOptions::partitions(3),
        );
        Ok((group.lag(SystemClock.now()).await?.events, watched.begun().len()))
    };
    assert_eq!(counted().await?, (Lag::COUNTED, 10), "all 12,500 wait");
    save(&cx, 1, last).await?;
    assert_eq!(counted().await?, (Lag::COUNTED, 10), "as many wait as are counted");
    save(&cx, 2, last).await?;
    assert_eq!(counted().await?, (Lag::COUNTED - 1, 13), "one less waits");
    Ok(())
}

pub async fn waiting_for_a_group_waits_for_all_its_partitions(cx: Cx) -> CaseResult {
    let head = cx.store().append(Append::events(events(3))).await?.last;
    let wait = async |patience| {
        let (group, _) = onlooker(&cx, Filter::all()).expect("its name is valid");
        group.wait_for(head, patience).await
    };
    let behind = log_of(&**cx.store()).await?[1].position();
    save(&cx, 0, head).await?;
    save(&cx, 1, head).await?;
    // Nobody has ever worked on the third.
    refused(ErrorKind::Unavailable, wait(Duration::ZERO).await)?;
    save(&cx, 2, behind).await?;
    refused(ErrorKind::Unavailable, wait(Duration::ZERO).await)?;
    save(&cx, 2, head).await?;
    wait(Duration::ZERO).await?;
    // What is for another number of partitions is told, and not passed over.
    let other = ConsumerGroup::partition_name(&group(), 0, 4)?;
    let log_id = cx.identity().log_id().await?;
    cx.checkpoints().reset_checkpoint(&other, log_id, head).await?;
    refused(ErrorKind::InvalidInput, wait(Duration::ZERO).await)?;
    Ok(())
}

pub async fn members_that_are_paused_and_killed_lose_and_reorder_nothing(cx: Cx) -> CaseResult {
    let duration = cx.trouble(Duration::from_secs(5));
    let (deeds, scribe) = (Deeds::default(), Scribe::default());
    let (watch, writers) = (Watch::start(&cx), Writers::start(&cx));
    let mut members = Crew::start(&cx, 70, 4, |_| chaos::member_task(&cx, scribe.over(deeds.handler())))?;
    let blows = members.suffer(duration).await?;
    writers.finish().await?;
    chaos::until_handled(&cx, async || Ok(deeds.list())).await?;
    members.stop().await?;
    let consumption = Consumption {
        handled: deeds.list(),
        delivery: Delivery::AtLeastOnce,
        saves: scribe.saves(),
        checkpoints: watch.finish().await?,
    };
    chaos::judge(&cx, &consumption, scribe.fenced(), blows).await
}

pub async fn members_whose_calls_are_lost_lose_and_reorder_nothing(cx: Cx) -> CaseResult {
    let (deeds, network) = (Deeds::default(), BadNetwork::before(&cx));
    let streams = [stream(), stream(), stream()];
    for _ in 0..6 {
        let append = Append::events(events(2));
        let append = streams.iter().fold(append, |append, stream| {
            append.and_stream(stream.clone(), ExpectedVersion::Any, events(2))
        });
        cx.store().append(append).await?;
    }
    let options = GroupOptions::partitions(3).lease(LEASE);
    let member = || {
        let consumer = Consumer::new("chaos", network.consumer_store())?
            .page_size(8)
            .poll_interval(Duration::from_millis(50));
        Ok(ConsumerGroup::new(consumer, network.leases(), options))
    };
    let groups = (0..2).map(|_| member()).collect::<CaseResult<Vec<_>>>()?;
    let controls: Vec<_> = groups.iter().map(ConsumerGroup::control).collect();
    let running: Vec<_> = groups.into_iter().map(|each| tokio::spawn(each.run(deeds.handler()))).collect();
    chaos::until_handled(&cx, async || Ok(deeds.list())).await?;
    for control in controls {
        control.stop();
    }
    for each in running {
        timeout(PATIENCE, each).await???;
    }
    network.was_bad_for_a_group()?;
    let consumption = Consumption {
        handled: deeds.list(),
        delivery: Delivery::AtLeastOnce,
        saves: vec![],
        checkpoints: vec![],
    };
    let log = log_of(&**cx.store()).await?;
    Ok(Witness::of(&log).judge_consumption(&consumption)?)
}
