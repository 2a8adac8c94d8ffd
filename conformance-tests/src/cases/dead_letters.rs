//! Events that a consumer failed on: nothing of them is dropped.

use std::time::Duration;

use eventsource_core::{
    Append, ConsumerName, DeadLetterQuery, DeadLetterState, ErrorKind, NewDeadLetter, RecordedEvent,
};

use crate::clock::SetClock;
use crate::given::{events, log_of, race_all, refused, time};
use crate::{CaseResult, Cx, Setup};

const LONG: Duration = Duration::from_secs(3_600);

fn consumer() -> ConsumerName {
    ConsumerName::new("mailer").expect("a case names a valid consumer")
}

fn letter(event: &RecordedEvent) -> NewDeadLetter {
    NewDeadLetter::new(consumer(), event.clone(), "it failed", 3)
}

fn held(event: &RecordedEvent, key: &str) -> NewDeadLetter {
    letter(event).holding(Some(key.to_owned()))
}

/// A log with so many events whose time a case sets.
async fn filled(cx: &Cx, count: usize) -> CaseResult<(Cx, SetClock, Vec<RecordedEvent>)> {
    let clock = SetClock::at("2026-01-02T03:04:05Z");
    let cx = cx.fresh(Setup::with_clock(clock.clone())).await?;
    cx.store().append(Append::events(events(count))).await?;
    let log = log_of(cx.store()).await?;
    Ok((cx, clock, log))
}

pub async fn a_parked_event_comes_back_with_its_error(cx: Cx) -> CaseResult {
    let (cx, _, log) = filled(&cx, 1).await?;
    let error = format!("nul \0 and ü and much more: {}", "x".repeat(20_000));
    let new = NewDeadLetter::new(consumer(), log[0].clone(), &error, 3).holding(Some("Order/1".to_owned()));
    cx.dead_letters().park(&new).await?;
    let found = cx.dead_letters().dead_letters(&DeadLetterQuery::all()).await?;
    assert_eq!(found, [new.to_dead_letter(time("2026-01-02T03:04:05Z"))]);
    assert!(found[0].error.starts_with("nul \u{fffd} and ü") && found[0].error.len() < 9_000);
    assert_eq!((found[0].attempts, found[0].state), (3, DeadLetterState::Failed));
    Ok(())
}

pub async fn parking_again_keeps_the_first_failure(cx: Cx) -> CaseResult {
    let (cx, clock, log) = filled(&cx, 1).await?;
    cx.dead_letters().park(&letter(&log[0])).await?;
    cx.dead_letters().resolve(&letter(&log[0]).key(), "ann").await?;
    clock.advance(LONG);
    cx.dead_letters().park(&NewDeadLetter::new(consumer(), log[0].clone(), "it failed again", 5)).await?;
    let found = cx.dead_letters().dead_letters(&DeadLetterQuery::all()).await?;
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (found.error.as_str(), found.attempts, found.state),
        ("it failed again", 5, DeadLetterState::Failed)
    );
    assert_eq!(found.first_failed_at, time("2026-01-02T03:04:05Z"));
    assert_eq!(found.last_failed_at, time("2026-01-02T04:04:05Z"));
    assert_eq!(found.resolution, None, "what failed again is not resolved");
    Ok(())
}

pub async fn letters_are_found_in_log_order(cx: Cx) -> CaseResult {
    let (cx, _, log) = filled(&cx, 6).await?;
    let other = ConsumerName::new("other")?;
    for index in [4, 0, 2, 5] {
        cx.dead_letters().park(&letter(&log[index])).await?;
    }
    cx.dead_letters().park(&NewDeadLetter::new(other.clone(), log[1].clone(), "it failed", 1)).await?;
    cx.dead_letters().resolve(&letter(&log[2]).key(), "ann").await?;
    let all = || DeadLetterQuery::all().of(consumer());
    for (query, expected) in [
        (DeadLetterQuery::all(), vec![0, 1, 2, 4, 5]),
        (all(), vec![0, 2, 4, 5]),
        (all().in_state(DeadLetterState::Failed), vec![0, 4, 5]),
        (all().in_state(DeadLetterState::Resolved), vec![2]),
        (all().after(log[2].position()), vec![4, 5]),
        (all().limit(2), vec![0, 2]),
        (all().after(log[0].position()).limit(1), vec![2]),
        (DeadLetterQuery::all().of(other), vec![1]),
        (DeadLetterQuery::all().of(ConsumerName::new("nobody")?), vec![]),
    ] {
        let found = cx.dead_letters().dead_letters(&query).await?;
        let positions: Vec<_> = found.iter().map(|letter| letter.position).collect();
        let expected: Vec<_> = expected.iter().map(|index| log[*index].position()).collect();
        assert_eq!(positions, expected, "{query:?}");
        let uncounted = query.max_letters().is_some();
        let count = cx.dead_letters().count_dead_letters(&query).await?;
        assert!(uncounted || count == expected.len() as u64, "{query:?}");
    }
    Ok(())
}

pub async fn a_letter_is_retried_by_one_and_resolved_by_name(cx: Cx) -> CaseResult {
    let (cx, clock, log) = filled(&cx, 1).await?;
    let key = letter(&log[0]).key();
    assert_eq!(cx.dead_letters().begin_retry(&key, LONG).await?, None);
    assert!(!cx.dead_letters().resolve(&key, "ann").await?);
    cx.dead_letters().park(&letter(&log[0])).await?;
    let racers = (0..8).map(|_| {
        let (letters, key) = (cx.dead_letters().clone(), key.clone());
        async move { letters.begin_retry(&key, LONG).await }
    });
    let mut winners = 0;
    for answer in race_all(racers).await {
        winners += usize::from(answer?.is_some_and(|letter| letter.state == DeadLetterState::Retrying));
    }
    assert_eq!(winners, 1);
    // Whoever it was is gone.
    clock.advance(LONG);
    assert!(cx.dead_letters().begin_retry(&key, LONG).await?.is_some());
    assert!(cx.dead_letters().resolve(&key, "ann").await?);
    clock.advance(LONG);
    assert!(cx.dead_letters().resolve(&key, "bob").await?);
    assert_eq!(cx.dead_letters().begin_retry(&key, Duration::ZERO).await?, None);
    let found = cx.dead_letters().dead_letters(&DeadLetterQuery::all()).await?;
    let resolution = found[0].resolution.clone().expect("it is resolved");
    assert_eq!((resolution.by.as_str(), resolution.at), ("ann", time("2026-01-02T04:04:05Z")));
    for bad in ["", "nul\0", &"x".repeat(256)] {
        refused(ErrorKind::InvalidInput, cx.dead_letters().resolve(&key, bad).await)?;
    }
    Ok(())
}

pub async fn an_event_is_parked_behind_an_unresolved_one_only(cx: Cx) -> CaseResult {
    let (cx, _, log) = filled(&cx, 4).await?;
    assert!(!cx.dead_letters().park_behind(&held(&log[1], "a")).await?);
    cx.dead_letters().park(&held(&log[0], "a")).await?;
    assert!(!cx.dead_letters().park_behind(&held(&log[1], "b")).await?);
    assert!(cx.dead_letters().park_behind(&held(&log[1], "a")).await?);
    cx.dead_letters().park(&letter(&log[2])).await?;
    assert_eq!(cx.dead_letters().held_keys(&consumer()).await?.into_iter().collect::<Vec<_>>(), ["a"]);
    cx.dead_letters().resolve(&letter(&log[0]).key(), "ann").await?;
    assert!(cx.dead_letters().park_behind(&held(&log[3], "a")).await?, "the second one still holds it");
    cx.dead_letters().begin_retry(&letter(&log[1]).key(), LONG).await?;
    cx.dead_letters().resolve(&letter(&log[3]).key(), "ann").await?;
    assert_eq!(cx.dead_letters().held_keys(&consumer()).await?.len(), 1, "one that is retried holds it");
    cx.dead_letters().resolve(&letter(&log[1]).key(), "ann").await?;
    assert!(cx.dead_letters().held_keys(&consumer()).await?.is_empty());
    assert!(!cx.dead_letters().park_behind(&held(&log[3], "a")).await?);
    refused(ErrorKind::InvalidInput, cx.dead_letters().park_behind(&letter(&log[3])).await)?;
    Ok(())
}

pub async fn letters_are_handed_over_with_their_first_failure(cx: Cx) -> CaseResult {
    let (cx, clock, log) = filled(&cx, 5).await?;
    let (from, other) = (ConsumerName::new("mailer~rebuild")?, ConsumerName::new("other")?);
    let of = |consumer: &ConsumerName, index: usize| {
        NewDeadLetter::new(consumer.clone(), log[index].clone(), "it failed", 3)
    };
    for index in [0, 1, 2] {
        cx.dead_letters().park(&letter(&log[index])).await?;
    }
    cx.dead_letters().resolve(&letter(&log[2]).key(), "ann").await?;
    cx.dead_letters().park(&of(&other, 0)).await?;
    clock.advance(LONG);
    for index in [1, 2, 3, 4] {
        cx.dead_letters().park(&of(&from, index).holding(Some("a".to_owned()))).await?;
    }
    cx.dead_letters().resolve(&of(&from, 4).key(), "bob").await?;
    clock.advance(LONG);
    cx.dead_letters().hand_over_dead_letters(&from, &consumer()).await?;
    let found = cx.dead_letters().dead_letters(&DeadLetterQuery::all().of(consumer())).await?;
    let told: Vec<_> = found
        .iter()
        .map(|letter| {
            let by = letter.resolution.as_ref().map(|resolution| resolution.by.as_str());
            (letter.position, letter.state, by, letter.first_failed_at == time("2026-01-02T03:04:05Z"))
        })
        .collect();
    let at = |index: usize| log[index].position();
    assert_eq!(
        told,
        [
            (at(0), DeadLetterState::Resolved, Some("mailer~rebuild"), true),
            (at(1), DeadLetterState::Failed, None, true),
            (at(2), DeadLetterState::Failed, None, true),
            (at(3), DeadLetterState::Failed, None, false),
            (at(4), DeadLetterState::Resolved, Some("bob"), false),
        ]
    );
    assert_eq!(found[0].resolution.as_ref().map(|each| each.at), Some(time("2026-01-02T05:04:05Z")));
    assert_eq!(found[1].last_failed_at, time("2026-01-02T04:04:05Z"));
    assert_eq!(cx.dead_letters().held_keys(&consumer()).await?.into_iter().collect::<Vec<_>>(), ["a"]);
    assert_eq!(cx.dead_letters().count_dead_letters(&DeadLetterQuery::all().of(from)).await?, 0);
    let others = DeadLetterQuery::all().of(other).in_state(DeadLetterState::Failed);
    assert_eq!(cx.dead_letters().count_dead_letters(&others).await?, 1);
    Ok(())
}

pub async fn only_what_was_resolved_long_ago_is_deleted(cx: Cx) -> CaseResult {
    let (cx, clock, log) = filled(&cx, 3).await?;
    for event in &log {
        cx.dead_letters().park(&letter(event)).await?;
    }
    cx.dead_letters().resolve(&letter(&log[0]).key(), "ann").await?;
    clock.advance(LONG);
    cx.dead_letters().resolve(&letter(&log[1]).key(), "ann").await?;
    clock.advance(Duration::from_secs(1));
    assert_eq!(cx.dead_letters().delete_resolved(LONG * 2).await?, 0);
    assert_eq!(cx.dead_letters().delete_resolved(LONG).await?, 1);
    assert_eq!(cx.dead_letters().delete_resolved(Duration::ZERO).await?, 1);
    clock.advance(LONG * 24);
    assert_eq!(cx.dead_letters().delete_resolved(Duration::ZERO).await?, 0);
    let left = cx.dead_letters().dead_letters(&DeadLetterQuery::all()).await?;
    assert_eq!(left.iter().map(|letter| letter.position).collect::<Vec<_>>(), [log[2].position()]);
    Ok(())
}
