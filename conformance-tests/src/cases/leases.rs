//! Who may do which share of a group's work, and who may not any more.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use eventsource_core::{
    Append, Capability, CheckpointSave, Conflict, ConsumerName, LeaseKey, MemberId, NewDeadLetter, Position,
};

use tokio::time::sleep;

use crate::clock::SetClock;
use crate::given::{conflict, events, log_of, race_all};
use crate::{CaseResult, Cx, Setup};

const TTL: Duration = Duration::from_secs(10);
const BEFORE_IT_ENDS: Duration = Duration::from_millis(9_999);
const A_MOMENT: Duration = Duration::from_millis(1);

fn group() -> ConsumerName {
    ConsumerName::new("mailers").expect("a case names a valid group")
}

fn key(partition: u32) -> LeaseKey {
    LeaseKey { group: group(), partition }
}

/// A log whose time a case sets.
async fn timed(cx: &Cx) -> CaseResult<(Cx, SetClock)> {
    let clock = SetClock::at("2026-01-02T03:04:05Z");
    Ok((cx.fresh(Setup::with_clock(clock.clone())).await?, clock))
}

pub async fn a_lease_is_held_by_one_until_it_expires(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    let (ann, bob) = (MemberId::random(), MemberId::random());
    let first = cx.leases().acquire_lease(&key(0), ann, TTL).await?.expect("it is free");
    assert_eq!((first.member, first.key.clone()), (ann, key(0)));
    clock.advance(BEFORE_IT_ENDS);
    for member in [ann, bob] {
        assert_eq!(cx.leases().acquire_lease(&key(0), member, TTL).await?, None);
    }
    clock.advance(A_MOMENT);
    let second = cx.leases().acquire_lease(&key(0), bob, TTL).await?.expect("it has expired");
    assert!(second.token > first.token && second.member == bob);
    assert_eq!(cx.leases().renew_lease(&first, TTL).await?, None);
    assert!(cx.leases().acquire_lease(&key(1), ann, TTL).await?.is_some(), "other partitions are free");
    Ok(())
}

pub async fn a_renewed_lease_holds_under_the_same_token(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    let (ann, bob) = (MemberId::random(), MemberId::random());
    let mut lease = cx.leases().acquire_lease(&key(0), ann, TTL).await?.expect("it is free");
    let token = lease.token;
    for _ in 0..5 {
        clock.advance(BEFORE_IT_ENDS);
        lease = cx.leases().renew_lease(&lease, TTL).await?.expect("nobody took it");
        assert_eq!(cx.leases().acquire_lease(&key(0), bob, TTL).await?, None);
    }
    clock.advance(TTL * 2);
    let again = cx.leases().renew_lease(&lease, TTL).await?.expect("it has expired, but nobody took it");
    assert_eq!(again.token, token);
    assert_eq!(cx.leases().acquire_lease(&key(0), bob, TTL).await?, None);
    Ok(())
}

pub async fn a_released_lease_is_free_at_once(cx: Cx) -> CaseResult {
    let (ann, bob) = (MemberId::random(), MemberId::random());
    let first = cx.leases().acquire_lease(&key(0), ann, TTL).await?.expect("it is free");
    cx.leases().release_lease(&first).await?;
    assert!(cx.leases().leases(&group()).await?.is_empty());
    assert_eq!(cx.leases().renew_lease(&first, TTL).await?, None);
    let second = cx.leases().acquire_lease(&key(0), bob, TTL).await?.expect("it is free");
    assert!(second.token > first.token, "tokens grow over a release");
    // Whoever had it before gives nothing away.
    cx.leases().release_lease(&first).await?;
    let held = cx.leases().leases(&group()).await?;
    assert_eq!(
        held.iter().map(|lease| (lease.member, lease.token)).collect::<Vec<_>>(),
        [(bob, second.token)]
    );
    Ok(())
}

pub async fn of_eight_racers_on_a_lease_one_wins(cx: Cx) -> CaseResult {
    for partition in 0..10 {
        let racers = (0..8).map(|_| {
            let leases = cx.leases().clone();
            async move { leases.acquire_lease(&key(partition), MemberId::random(), TTL * 10).await }
        });
        let mut winners = 0;
        for answer in race_all(racers).await {
            winners += usize::from(answer?.is_some());
        }
        assert_eq!(winners, 1, "partition {partition}");
    }
    Ok(())
}

pub async fn a_fenced_member_saves_no_checkpoint(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    let paused = cx.leases().acquire_lease(&key(0), MemberId::random(), TTL).await?.expect("it is free");
    let save = CheckpointSave::first(group(), cx.identity().log_id().await?);
    let save = save.fenced(Some(paused.fence()));
    let at = |save: &CheckpointSave, raw| save.clone().scanned_to(Position::from_raw(raw));
    cx.checkpoints().save_checkpoint(&at(&save, 1)).await?;
    let save = at(&save, 1).next();
    clock.advance(TTL);
    // As long as nobody else has taken it, it may.
    cx.checkpoints().save_checkpoint(&at(&save, 2)).await?;
    let save = at(&save, 2).next();
    let other = cx.leases().acquire_lease(&key(0), MemberId::random(), TTL).await?.expect("it has expired");
    let refused = conflict(cx.checkpoints().save_checkpoint(&at(&save, 3)).await)?;
    let (lease, token, newest) = (key(0), paused.token, Some(other.token));
    assert_eq!(refused, Conflict::Fenced { lease, token, newest });
    assert_eq!(cx.checkpoints().load_checkpoint(&group()).await?.map(|each| each.position.to_raw()), Some(2));
    cx.checkpoints().save_checkpoint(&at(&save, 3).fenced(Some(other.fence()))).await?;
    Ok(())
}

pub async fn a_fenced_member_parks_nothing(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    cx.store().append(Append::events(events(1))).await?;
    let event = log_of(cx.store()).await?.remove(0);
    let paused = cx.leases().acquire_lease(&key(0), MemberId::random(), TTL).await?.expect("it is free");
    clock.advance(TTL);
    cx.leases().acquire_lease(&key(0), MemberId::random(), TTL).await?.expect("it has expired");
    let letter = NewDeadLetter::new(group(), event, "boom", 3).fenced(Some(paused.fence()));
    conflict(cx.dead_letters().park(&letter).await)?;
    assert_eq!(cx.dead_letters().count_dead_letters(&Default::default()).await?, 0);
    Ok(())
}

pub async fn members_are_known_until_they_expire(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    let (ann, bob) = (MemberId::random(), MemberId::random());
    assert_eq!(cx.leases().announce(&group(), ann, TTL).await?, [ann]);
    clock.advance(BEFORE_IT_ENDS);
    let both = cx.leases().announce(&group(), bob, TTL).await?;
    let mut sorted = [ann, bob];
    sorted.sort();
    assert_eq!(both, sorted);
    let other = ConsumerName::new("others")?;
    assert_eq!(cx.leases().announce(&other, ann, TTL).await?, [ann]);
    clock.advance(A_MOMENT);
    assert_eq!(cx.leases().announce(&group(), bob, TTL).await?, [bob]);
    cx.leases().announce(&group(), ann, TTL).await?;
    cx.leases().withdraw(&group(), ann).await?;
    assert_eq!(cx.leases().announce(&group(), bob, TTL).await?, [bob]);
    Ok(())
}

/// A future that is dropped where it waits for the so-manieth time.
async fn give_up<F: Future>(call: F, waits: u32) {
    let (mut call, mut left) = (pin!(call), waits);
    poll_fn(|context| {
        left = left.saturating_sub(1);
        if call.as_mut().poll(context).is_ready() || left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

pub async fn calls_that_are_given_up_disturb_no_append(cx: Cx) -> CaseResult {
    let (member, log_id) = (MemberId::random(), cx.identity().log_id().await?);
    let consumer = ConsumerName::new("mailer").expect("a case names a valid consumer");
    let save = CheckpointSave::first(consumer.clone(), log_id);
    let mut acknowledged = 0;
    for round in 0..32 {
        let (waits, group, key) = (1 + round % 8, group(), key(round));
        // Several at once, so that several connections are concerned, where there are any.
        tokio::join!(
            give_up(cx.leases().announce(&group, member, TTL), waits),
            give_up(cx.leases().acquire_lease(&key, member, TTL), waits),
            give_up(cx.checkpoints().save_checkpoint(&save), waits),
            give_up(cx.checkpoints().load_checkpoint(&consumer), waits),
            give_up(cx.store().head(), waits),
        );
        // A store may keep a connection for appends, for as long as they come one after the other.
        sleep(Duration::from_millis(25)).await;
        for _ in 0..2 {
            cx.store().append(Append::events(events(1))).await?;
            acknowledged += 1;
        }
    }
    assert_eq!(log_of(&**cx.store()).await?.len(), acknowledged);
    if !cx.lacks().iter().any(|(capability, _)| *capability == Capability::Durable) {
        // Somebody else sees what is committed, and nothing else.
        cx.store().close().await?;
        assert_eq!(
            log_of(&*cx.open().await?).await?.len(),
            acknowledged,
            "an acknowledged append is not there"
        );
    }
    Ok(())
}
