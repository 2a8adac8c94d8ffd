//! Aggregates, one and several, on a real log.

use std::fmt;

use chrono::TimeDelta;
use eventsource_core::{
    Aggregate, Append, DomainEvent, EventId, EventStore, ExpectedVersion, NewEvent, Repository, RetryPolicy,
    StreamId, UnitOfWork, Version,
};
use eventsource_testing::{Fault, Faults, Faulty};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::given::{conflict, log_of, time};
use crate::{CaseResult, Cx, Failure, Setup};

/// A purse: what is in it, and what it was given one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Purse {
    pub(crate) cents: u64,
    pub(crate) movements: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum PurseEvent {
    Put { cents: u64 },
    Taken { cents: u64 },
}

impl DomainEvent for PurseEvent {}

pub(crate) enum PurseCommand {
    Put(u64),
    Take(u64),
}

use PurseCommand::{Put, Take};

#[derive(Debug, PartialEq)]
pub(crate) struct TooLittle;

impl fmt::Display for TooLittle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is too little in it")
    }
}

impl std::error::Error for TooLittle {}

impl Aggregate for Purse {
    const TYPE: &'static str = "Purse";
    type Command = PurseCommand;
    type Event = PurseEvent;
    type Rejection = TooLittle;

    fn decide(&self, command: &PurseCommand) -> Result<Vec<PurseEvent>, TooLittle> {
        match *command {
            Put(0) | Take(0) => Ok(Vec::new()),
            Put(cents) => Ok(vec![PurseEvent::Put { cents }]),
            Take(cents) if cents <= self.cents => Ok(vec![PurseEvent::Taken { cents }]),
            Take(_) => Err(TooLittle),
        }
    }

    fn apply(&mut self, event: &PurseEvent) {
        match event {
            PurseEvent::Put { cents } => self.cents += cents,
            PurseEvent::Taken { cents } => self.cents -= cents,
        }
        self.movements += 1;
    }
}

/// Puts one cent after the other into a purse of its own, so many in one append at most.
pub(crate) async fn filled(cx: &Cx, cents: u64, at_once: u64) -> CaseResult<Uuid> {
    let id = Uuid::now_v7();
    let mut left = cents;
    while left > 0 {
        let some = left.min(at_once);
        let events: Vec<NewEvent> = (0..some)
            .map(|_| Ok(PurseEvent::Put { cents: 1 }.encode()?.id(EventId::random())))
            .collect::<eventsource_core::Result<_>>()?;
        cx.store()
            .append(Append::to_stream(StreamId::new("Purse", id)?, ExpectedVersion::Any, events))
            .await?;
        left -= some;
    }
    Ok(id)
}

fn purses<S: EventStore>(store: S) -> Repository<Purse, S> {
    Repository::new(store).retry(persistent())
}

fn persistent() -> RetryPolicy {
    RetryPolicy::default().attempts(1_000)
}

pub async fn an_aggregate_is_loaded_as_it_was_at_a_version(cx: Cx) -> CaseResult {
    let id = filled(&cx, 5, 2).await?;
    let purses = purses(cx.store().clone());
    for version in 1..=5 {
        let past = purses.load_at(id, Version::new(version)?).await?.ok_or_else(|| Failure::new("it was"))?;
        assert_eq!((past.state().cents, past.version()), (version, Some(Version::new(version)?)));
    }
    assert!(purses.load_at(id, Version::new(6)?).await?.is_none(), "it never came to that");
    assert!(purses.load_at(Uuid::now_v7(), Version::FIRST).await?.is_none());
    // What was is not changed any more.
    let mut past = purses.load_at(id, Version::new(4)?).await?.ok_or_else(|| Failure::new("it was"))?;
    past.execute(&Put(1))?;
    conflict(purses.save(&mut past).await)?;
    assert_eq!(purses.version(id).await?, Some(Version::new(5)?));
    Ok(())
}

pub async fn an_aggregate_is_loaded_as_it_was_known_at_a_time(cx: Cx) -> CaseResult {
    let begun = time("2026-03-01T00:00:00Z");
    let clock = crate::given::SettableClock::at(begun);
    let cx = cx.fresh(Setup::with_clock(clock.clone())).await?;
    let (purses, id) = (purses(cx.store().clone()), Uuid::now_v7());
    for day in 0..4 {
        clock.set(begun + TimeDelta::days(day));
        purses.execute(id, &Put(1)).await.map_err(|error| Failure::new(format!("{error:?}")))?;
    }
    assert!(purses.load_as_of(id, begun - TimeDelta::microseconds(1)).await?.is_none());
    for (hours, cents) in [(0, 1), (23, 1), (24, 2), (71, 3), (72, 4), (10_000, 4)] {
        let past = purses.load_as_of(id, begun + TimeDelta::hours(hours)).await?;
        assert_eq!(past.map(|past| past.state().cents), Some(cents), "after {hours} hours");
    }
    cx.store().close().await?;
    Ok(())
}

pub async fn a_long_stream_is_folded_page_by_page(cx: Cx) -> CaseResult {
    let id = filled(&cx, 1_300, 450).await?;
    let purse = purses(cx.store().clone()).load(id).await?.ok_or_else(|| Failure::new("it is there"))?;
    assert_eq!(purse.state(), &Purse { cents: 1_300, movements: 1_300 });
    assert_eq!(purse.version(), Some(Version::new(1_300)?));
    Ok(())
}

pub async fn contending_commands_are_all_carried_out(cx: Cx) -> CaseResult {
    let (purses, id) = (purses(cx.store().clone()), Uuid::now_v7());
    for outcome in join_all((0..16).map(|_| async { purses.execute(id, &Put(2)).await.map(drop) })).await {
        outcome.map_err(|error| Failure::new(format!("{error:?}")))?;
    }
    let purse = purses.load_or_create(id).await?;
    assert_eq!(purse.state(), &Purse { cents: 32, movements: 16 });
    Ok(())
}

pub async fn who_saves_second_is_refused(cx: Cx) -> CaseResult {
    let (purses, id) = (purses(cx.store().clone()), Uuid::now_v7());
    let (mut one, mut other) = (purses.create(id)?, purses.create(id)?);
    one.execute(&Put(1))?;
    other.execute(&Put(2))?;
    purses.save(&mut one).await?;
    conflict(purses.save(&mut other).await)?;
    assert_eq!(other.pending().len(), 1);
    // Saving the same again stores nothing twice.
    purses.save(&mut one).await?;
    assert_eq!(log_of(cx.store()).await?.len(), 1);
    Ok(())
}

pub async fn several_aggregates_are_saved_together_or_not_at_all(cx: Cx) -> CaseResult {
    let (purses, work) = (purses(cx.store().clone()), UnitOfWork::new(cx.store().clone()));
    let (from, to) = (filled(&cx, 10, 10).await?, filled(&cx, 1, 1).await?);
    let (mut giver, mut taker) = (purses.load_or_create(from).await?, purses.load_or_create(to).await?);
    giver.execute(&Take(4))?;
    taker.execute(&Put(4))?;
    let appended = work.save((&mut giver, &mut taker)).await?.ok_or_else(|| Failure::new("it was saved"))?;
    assert_eq!(appended.versions.len(), 2);
    assert_eq!([giver.position(), taker.position()], [Some(appended.last); 2]);
    assert_eq!(purses.load_or_create(to).await?.position(), Some(appended.last), "its event is the last one");
    assert_eq!(purses.create(Uuid::now_v7())?.position(), None);
    assert_eq!((giver.version(), taker.version()), (Some(Version::new(11)?), Some(Version::new(2)?)));
    // The taker changes meanwhile.
    giver.execute(&Take(1))?;
    taker.execute(&Put(1))?;
    purses.execute(to, &Put(100)).await.map_err(|error| Failure::new(format!("{error:?}")))?;
    conflict(work.save((&mut giver, &mut taker)).await)?;
    assert_eq!(purses.load_or_create(from).await?.state().cents, 6);
    assert_eq!(purses.load_or_create(to).await?.state().cents, 105);
    assert_eq!(work.save(vec![&mut purses.load_or_create(from).await?]).await?, None, "nothing to save");
    Ok(())
}

pub async fn an_aggregate_that_was_only_looked_at_guards_as_well(cx: Cx) -> CaseResult {
    let (purses, work) = (purses(cx.store().clone()), UnitOfWork::new(cx.store().clone()));
    for seen in [filled(&cx, 3, 3).await?, Uuid::now_v7()] {
        let (mut looked_at, mut changed) =
            (purses.load_or_create(seen).await?, purses.create(Uuid::now_v7())?);
        changed.execute(&Put(1))?;
        purses.execute(seen, &Put(1)).await.map_err(|error| Failure::new(format!("{error:?}")))?;
        conflict(work.save((&mut looked_at, &mut changed)).await)?;
        let mut looked_at = purses.load_or_create(seen).await?;
        work.save((&mut looked_at, &mut changed)).await?;
        assert_eq!(changed.version(), Some(Version::FIRST));
    }
    Ok(())
}

pub async fn contending_commands_over_several_aggregates_lose_nothing(cx: Cx) -> CaseResult {
    let (one, other) = (filled(&cx, 100, 100).await?, filled(&cx, 100, 100).await?);
    let transfers = (0..8_u64).map(|number| {
        let (purses, work) =
            (purses(cx.store().clone()), UnitOfWork::new(cx.store().clone()).retry(persistent()));
        tokio::spawn(async move {
            let (from, to) = if number % 2 == 0 { (one, other) } else { (other, one) };
            // Small enough that no purse runs out, whoever comes first.
            for _ in 0..5 {
                work.execute((purses.participant(from), purses.participant(to)), |(from, to)| {
                    from.execute(&Take(2))?;
                    to.execute(&Put(2))
                })
                .await
                .map_err(|error| Failure::new(format!("{error:?}")))?;
            }
            Ok::<_, Failure>(())
        })
    });
    for transfer in transfers.collect::<Vec<_>>() {
        transfer.await??;
    }
    let purses = purses(cx.store().clone());
    for id in [one, other] {
        assert_eq!(purses.load_or_create(id).await?.state(), &Purse { cents: 100, movements: 140 });
    }
    Ok(())
}

pub async fn a_command_over_several_aggregates_whose_answer_is_lost_is_carried_out_once(
    cx: Cx,
) -> CaseResult {
    let faults = [Fault::AfterCommit, Fault::BeforeCommit, Fault::AfterCommit];
    let store = Faulty::new(cx.store().clone()).on_append(Faults::in_order(faults));
    let (purses, work) = (purses(store.clone()), UnitOfWork::new(store));
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let participants = ids.map(|id| purses.participant(id)).into_iter().collect::<Vec<_>>();
    let saved = work
        .execute(participants, |purses| purses.iter_mut().try_for_each(|purse| purse.execute(&Put(3))))
        .await
        .map_err(|error| Failure::new(format!("{error:?}")))?;
    assert!(saved.iter().all(|purse| purse.version() == Some(Version::FIRST)));
    assert_eq!(log_of(cx.store()).await?.len(), 3);
    Ok(())
}
