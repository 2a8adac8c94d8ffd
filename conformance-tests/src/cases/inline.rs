//! A view that is kept within the appends: whoever's append was acknowledged finds it there.

use std::sync::atomic::Ordering;
use std::time::Duration;

use eventsource_consumers::{FailurePolicy, Outcome, Rebuild};
use eventsource_core::{
    Append, CheckpointSave, Conflict, ConsumerName, Delivery, Error, ErrorKind, EventStore, ExpectedVersion,
    Filter, LogId, NewEvent, Position, Purpose, Record, Result, Sink, Version, ViewRefusal,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::consuming::{consumer, quick};
use crate::given::{conflict, event, events, log_of, positions, race, refused, stream, tag, tagged, types};
use crate::outrun::Outrun;
use crate::{CaseResult, Cx, Failure, Setup, Stores};

use ExpectedVersion::NoStream;

const PATIENCE: Duration = Duration::from_secs(40);

pub(super) fn name() -> ConsumerName {
    ConsumerName::new(Setup::INLINE).expect("a case names a valid consumer")
}

/// A log whose view is kept inline, with every event.
pub(super) async fn kept(cx: &Cx) -> Result<Cx> {
    cx.fresh(Setup::with_inline(Filter::all())).await
}

/// A store on the same log that keeps no view, as another process has it.
pub(super) async fn without_view(cx: &Cx) -> CaseResult<Stores> {
    let address = cx.log().address().ok_or_else(|| Failure::new("the log has no address"))?;
    Ok(cx.attach(&address).await?)
}

pub(super) async fn is_the_log(cx: &Cx) -> CaseResult {
    assert_eq!(cx.view().applied().await?, positions(&log_of(cx.store()).await?));
    Ok(())
}

fn view_refusal<T>(answer: Result<T>) -> CaseResult<ViewRefusal> {
    let error = refused(ErrorKind::Refused, answer)?;
    error.view_refusal().cloned().ok_or_else(|| Failure::new(format!("{error:?} names no view")))
}

pub async fn a_view_kept_inline_shows_the_append_that_was_acknowledged(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let (one, other) = (stream(), stream());
    let appends = [
        Append::events(events(1)),
        Append::to_stream(one.clone(), NoStream, events(3)),
        Append::events([tagged("Claimed", "username", "ann")]).fail_if(tag("username", "ann")),
        Append::to_stream(one, ExpectedVersion::Exact(Version::new(3)?), events(1)).and_stream(
            other,
            NoStream,
            events(2),
        ),
        Append::events(events(700)),
    ];
    for append in appends {
        let appended = cx.store().append(append).await?;
        assert_eq!(cx.view().applied().await?.last(), Some(&appended.last));
        is_the_log(&cx).await?;
    }
    let racers = (0..32).map(|_| Append::to_stream(stream(), NoStream, events(2)));
    for appended in race(cx.store(), racers).await {
        assert!(cx.view().applied().await?.contains(&appended?.last));
    }
    is_the_log(&cx).await
}

pub async fn its_checkpoint_commits_with_it(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    for count in 1..=3 {
        cx.store().append(Append::events(events(2))).await?;
        let checkpoint = cx.checkpoints().load_checkpoint(&name()).await?.expect("it has one");
        let last = log_of(cx.store()).await?.pop().expect("it holds events");
        assert_eq!(checkpoint.position, last.position());
        assert_eq!(checkpoint.last_event.map(|last| last.id), Some(last.id()));
        assert_eq!(checkpoint.events_processed, 2 * count);
    }
    Ok(())
}

pub async fn only_what_matches_is_applied(cx: Cx) -> CaseResult {
    let cx = cx.fresh(Setup::with_inline(types(["Wanted"]))).await?;
    for types in [["Wanted", "Other"], ["Other", "Poison"], ["Other", "Wanted"]] {
        cx.store().append(Append::events(types.map(event))).await?;
    }
    let wanted: Vec<_> = log_of(cx.store())
        .await?
        .iter()
        .filter(|event| event.event_type().as_str() == "Wanted")
        .map(eventsource_core::RecordedEvent::position)
        .collect();
    assert_eq!(cx.view().applied().await?, wanted);
    cx.store().append(Append::events([event("Other")])).await?;
    let checkpoint = cx.checkpoints().load_checkpoint(&name()).await?.expect("it has one");
    assert_eq!(checkpoint.position, cx.store().head().await?);
    Ok(())
}

/// Appends that the view can't take, in the midst of others.
async fn refuses_its_append_only(cx: Cx, bad: &str) -> CaseResult {
    let cx = kept(&cx).await?;
    for round in 0..4 {
        let neighbours = (0..12).map(|number| {
            if number % 4 == 1 {
                Append::to_stream(stream(), NoStream, [event("Good"), event(bad), event("Good")])
            } else {
                Append::to_stream(stream(), NoStream, events(2))
            }
        });
        let appends: Vec<_> = neighbours.collect();
        let answers = race(cx.store(), appends.clone()).await;
        for (append, answer) in appends.iter().zip(answers) {
            let (_, first) = append.each_event().next().expect("it holds events");
            let stream = append.parts()[0].stream().expect("it is to a stream");
            if first.event_type().as_str() == "Good" {
                let ViewRefusal::Failed { view, event_type, .. } = view_refusal(answer)? else {
                    return Err(Failure::new("the view fails on an event of the append itself"));
                };
                assert_eq!((view, event_type.as_str()), (name(), bad));
                assert_eq!(cx.store().stream_version(stream).await?, None);
            } else {
                answer?;
            }
        }
        assert_eq!(log_of(cx.store()).await?.len(), (round + 1) * 18);
        is_the_log(&cx).await?;
    }
    // It took no ids.
    let (one, two) = (event("Good"), event("Good"));
    let failed = Append::events([one.clone(), two.clone(), event(bad)]);
    view_refusal(cx.store().append(failed).await)?;
    assert!(!cx.store().append(Append::events([two, one])).await?.replayed);
    is_the_log(&cx).await
}

pub async fn a_handler_that_fails_refuses_its_append_only(cx: Cx) -> CaseResult {
    refuses_its_append_only(cx, "Poison").await
}

pub async fn a_handler_that_panics_refuses_its_append_only(cx: Cx) -> CaseResult {
    refuses_its_append_only(cx, "Panic").await
}

/// What became of it, nobody but the handler knows, unless the store keeps it from that.
pub async fn an_append_whose_handler_ends_the_transaction_is_not_acknowledged(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    cx.store().append(Append::events(events(2))).await?;
    let before = cx.checkpoints().load_checkpoint(&name()).await?;
    let Err(error) = cx.store().append(Append::events([event("A"), event("Commit")])).await else {
        return Err(Failure::new("what a handler has committed was acknowledged"));
    };
    assert_eq!(cx.checkpoints().load_checkpoint(&name()).await?, before);
    match error.kind() {
        ErrorKind::OutcomeUnknown => Ok(()),
        ErrorKind::Refused => {
            assert_eq!(log_of(cx.store()).await?.len(), 2);
            is_the_log(&cx).await
        }
        _ => Err(error.into()),
    }
}

pub async fn a_handler_whose_own_store_is_closed_refuses_its_append_only(cx: Cx) -> CaseResult {
    refuses_its_append_only(cx, "Closed").await
}

/// A handler must not end the transaction. If it does, and fails then, nobody may be told that nothing was written where it
/// was: not its own caller, and none of those whose appends went with it.
pub async fn what_a_handler_has_committed_is_not_refused(cx: Cx) -> CaseResult {
    for bad in ["Commit", "CommitAndFail", "CommitAndPanic"] {
        let cx = kept(&cx).await?;
        cx.store().append(Append::events(events(1))).await?;
        let append = |number| {
            let types = ["Good", "Good", bad, "Poison"];
            Append::to_stream(stream(), NoStream, [event(types[number % types.len()])])
        };
        let appends: Vec<_> = (0..12).map(append).collect();
        let (mut unknown, mut answers) = (Vec::new(), Vec::new());
        for (append, answer) in appends.iter().zip(race(cx.store(), appends.clone()).await) {
            let part = &append.parts()[0];
            let stored =
                cx.store().stream_version(part.stream().expect("it is to a stream")).await?.is_some();
            match &answer {
                Ok(_) => assert!(stored, "it was acknowledged"),
                Err(error) if error.kind() == ErrorKind::OutcomeUnknown => unknown.push(stored),
                Err(error) => assert!(!stored, "{error:?}"),
            }
            answers.push((part.events()[0].event_type().as_str() == "Good", answer));
        }
        if unknown.is_empty() {
            // The store keeps handlers from committing: each gets its own verdict.
            for (is_good, answer) in answers {
                assert_eq!(
                    answer.map_err(|error| error.kind()).err(),
                    (!is_good).then_some(ErrorKind::Refused)
                );
            }
        } else {
            assert!(unknown.contains(&true), "{bad} has committed");
        }
    }
    Ok(())
}

pub async fn a_refused_append_leaves_the_view_as_it_was(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let stream = stream();
    let claimed = tagged("Claimed", "username", "ann");
    cx.store().append(Append::to_stream(stream.clone(), NoStream, [claimed.clone()])).await?;
    let before = cx.checkpoints().load_checkpoint(&name()).await?;
    conflict(cx.store().append(Append::to_stream(stream, NoStream, events(1))).await)?;
    conflict(cx.store().append(Append::events(events(1)).fail_if(tag("username", "ann"))).await)?;
    conflict(cx.store().append(Append::events([claimed, event("More")])).await)?;
    refused(ErrorKind::InvalidInput, cx.store().append(Append::events([])).await)?;
    assert_eq!(cx.checkpoints().load_checkpoint(&name()).await?, before);
    is_the_log(&cx).await
}

pub async fn a_repeated_append_is_applied_once(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let append = Append::to_stream(stream(), NoStream, events(2));
    for _ in 0..3 {
        cx.store().append(append.clone()).await?;
    }
    let twins = vec![Append::events(events(2)); 6];
    for answer in race(cx.store(), twins).await {
        answer?;
    }
    assert_eq!(cx.view().applied().await?.len(), 4);
    is_the_log(&cx).await
}

pub async fn an_inline_view_misses_nothing_that_others_appended(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let others = without_view(&cx).await?;
    for count in 0..6 {
        for _ in 0..count {
            others.events.append(Append::events(events(2))).await?;
        }
        cx.store().append(Append::events(events(1))).await?;
        is_the_log(&cx).await?;
    }
    for _ in 0..12 {
        // Fewer than an append makes up for, however the two come to lie.
        let plain = others.events.clone();
        let writer = tokio::spawn(async move {
            for _ in 0..8 {
                plain.append(Append::events(events(1))).await?;
            }
            Ok::<_, Error>(())
        });
        for _ in 0..4 {
            let appended = cx.store().append(Append::events(events(1))).await?;
            assert!(cx.view().applied().await?.contains(&appended.last));
        }
        writer.await??;
        cx.store().append(Append::events(events(1))).await?;
        is_the_log(&cx).await?;
    }
    others.events.close().await?;
    Ok(())
}

pub async fn a_repeat_of_what_others_appended_is_in_the_view(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let others = without_view(&cx).await?;
    for append in [Append::to_stream(stream(), NoStream, events(1)), Append::events(events(3))] {
        others.events.append(append.clone()).await?;
        assert!(cx.store().append(append).await?.replayed);
        is_the_log(&cx).await?;
    }
    let append = Append::to_stream(stream(), NoStream, events(2));
    others.events.append(append.clone()).await?;
    let held = cx.log().hold(append).await?;
    assert!(held.appended().replayed);
    held.commit().await?;
    is_the_log(&cx).await?;
    others.events.close().await?;
    Ok(())
}

pub async fn a_view_too_far_behind_refuses_appends_until_it_has_caught_up(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let others = without_view(&cx).await?;
    let most = usize::try_from(Setup::MOST_BEHIND)?;
    cx.store().append(Append::events(events(2))).await?;
    others.events.append(Append::events(events(most))).await?;
    cx.store().append(Append::events(events(1))).await?;
    is_the_log(&cx).await?;

    let seen = cx.store().head().await?;
    others.events.append(Append::events(events(most + 1))).await?;
    let late = Append::events(events(1));
    let ViewRefusal::Behind { view, position, head } = view_refusal(cx.store().append(late.clone()).await)?
    else {
        return Err(Failure::new("it is behind"));
    };
    assert_eq!((view, position, head), (name(), seen, cx.store().head().await?));
    assert_eq!(cx.view().applied().await?.last(), Some(&seen));
    consumer(&cx, Setup::INLINE)?.run_until_caught_up(cx.view().clone()).await?;
    is_the_log(&cx).await?;
    assert!(!cx.store().append(late).await?.replayed);
    is_the_log(&cx).await?;
    others.events.close().await?;
    Ok(())
}

pub async fn how_far_a_view_is_behind_is_counted_in_events_of_its_own(cx: Cx) -> CaseResult {
    let cx = cx.fresh(Setup::with_inline(types(["Wanted"]))).await?;
    let others = without_view(&cx).await?;
    let most = usize::try_from(Setup::MOST_BEHIND)?;
    let large = "x".repeat(1 << 20);
    let wanted = || -> CaseResult<Append> {
        let events = (0..most).map(|_| NewEvent::new("Wanted", &large));
        Ok(Append::events(events.collect::<Result<Vec<_>>>()?))
    };
    for _ in 0..2 {
        others.events.append(Append::events((0..=most).map(|_| event("Other")))).await?;
        others.events.append(wanted()?).await?;
        cx.store().append(Append::events([event("Other")])).await?;
    }
    assert_eq!(cx.view().applied().await?.len(), 2 * most);
    others.events.append(wanted()?).await?;
    others.events.append(Append::events([event("Wanted")])).await?;
    let refusal = view_refusal(cx.store().append(Append::events([event("Other")])).await)?;
    assert!(matches!(refusal, ViewRefusal::Behind { .. }), "{refusal:?}");
    others.events.close().await?;
    Ok(())
}

pub async fn an_event_of_others_that_the_view_fails_on_refuses_appends_until_it_is_passed_over(
    cx: Cx,
) -> CaseResult {
    let cx = kept(&cx).await?;
    let others = without_view(&cx).await?;
    others.events.append(Append::events(["A", "Poison", "A"].map(event))).await?;
    let log = positions(&log_of(cx.store()).await?);
    for answer in race(cx.store(), (0..4).map(|_| Append::events(events(1)))).await {
        let refusal = view_refusal(answer)?;
        assert_eq!(refusal, ViewRefusal::FailedBefore { view: name(), position: log[1] });
    }
    assert!(cx.view().applied().await?.is_empty());
    consumer(&cx, Setup::INLINE)?
        .policy(quick(FailurePolicy::park()).attempts(1))
        .run_until_caught_up(cx.view().clone())
        .await?;
    let last = cx.store().append(Append::events(events(1))).await?.last;
    assert_eq!(cx.view().applied().await?, [log[0], log[2], last]);
    others.events.close().await?;
    Ok(())
}

pub async fn opening_catches_a_view_up(cx: Cx) -> CaseResult {
    let address = cx.log().address().ok_or_else(|| Failure::new("the log has no address"))?;
    // The log is older than the view, and longer than an append would make up for.
    cx.store().append(Append::events(events(1_200))).await?;
    let opened = cx.attach_inline(&address).await?;
    is_the_log(&cx).await?;
    cx.store().append(Append::events(events(50))).await?;
    refused(ErrorKind::Refused, opened.events.append(Append::events(events(1))).await)?;
    opened.events.close().await?;
    let again = cx.attach_inline(&address).await?;
    is_the_log(&cx).await?;
    again.events.append(Append::events(events(1))).await?;
    is_the_log(&cx).await?;
    again.events.close().await?;
    cx.store().append(Append::events([event("Poison")])).await?;
    view_refusal(cx.attach_inline(&address).await)?;
    Ok(())
}

pub async fn what_a_transaction_appends_is_in_the_view_if_it_commits(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let others = without_view(&cx).await?;
    cx.log().hold(Append::events(events(2))).await?.roll_back().await?;
    assert!(cx.view().applied().await?.is_empty());
    others.events.append(Append::events(events(3))).await?;
    let append = Append::to_stream(stream(), NoStream, events(2));
    let held = cx.log().hold(append.clone()).await?;
    assert!(cx.view().applied().await?.is_empty());
    held.commit().await?;
    is_the_log(&cx).await?;
    let repeated = cx.log().hold(append).await?;
    assert!(repeated.appended().replayed);
    repeated.commit().await?;
    is_the_log(&cx).await?;
    let failed = cx.log().hold(Append::events([event("A"), event("Poison")])).await.map(drop);
    assert!(view_refusal(failed)?.is_of_the_append());
    assert_eq!(log_of(cx.store()).await?.len(), 5);
    cx.store().append(Append::events(events(1))).await?;
    is_the_log(&cx).await?;
    others.events.close().await?;
    Ok(())
}

pub async fn a_view_moves_between_a_consumer_and_the_appends(cx: Cx) -> CaseResult {
    let address = cx.log().address().ok_or_else(|| Failure::new("the log has no address"))?;
    cx.store().append(Append::events(events(5))).await?;
    consumer(&cx, Setup::INLINE)?.run_until_caught_up(cx.view().clone()).await?;
    let inline = cx.attach_inline(&address).await?;
    inline.events.append(Append::events(events(5))).await?;
    is_the_log(&cx).await?;
    // Both at once.
    let live = consumer(&cx, Setup::INLINE)?.page_size(3);
    let control = live.control();
    let running = tokio::spawn(live.run(cx.view().clone()));
    for _ in 0..25 {
        let last = inline.events.append(Append::events(events(1))).await?.last;
        assert!(cx.view().applied().await?.contains(&last));
        cx.store().append(Append::events(events(1))).await?;
    }
    inline.events.close().await?;
    let head = cx.store().append(Append::events(events(5))).await?.last;
    eventsource_consumers::wait_for(cx.checkpoints(), &name(), head, PATIENCE).await?;
    control.stop();
    timeout(PATIENCE, running).await???;
    is_the_log(&cx).await
}

pub async fn a_view_that_is_switched_to_lacks_nothing(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    cx.store().append(Append::events(events(6))).await?;
    let rebuild = ConsumerName::new("inline~rebuild")?;
    let events_so_far = log_of(cx.store()).await?;
    let first = CheckpointSave::first(rebuild, cx.identity().log_id().await?);
    let built = events_so_far.iter().fold(first, CheckpointSave::past);
    let deliver = async |events, record| {
        let delivery = Delivery { events, record, purpose: Purpose::Rebuild, timeout: None };
        cx.view().deliver(&delivery).await
    };
    deliver(events_so_far, Record::Checkpoint(built.clone())).await?;
    // Acknowledged, and shown by the view that is in use.
    cx.store().append(Append::events(events(4))).await?;
    deliver(Vec::new(), Record::Switch { from: built.next(), to: name() }).await?;
    is_the_log(&cx).await?;
    cx.store().append(Append::events(events(1))).await?;
    is_the_log(&cx).await
}

pub async fn a_view_is_rebuilt_while_it_is_kept_inline(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    cx.store().append(Append::events(events(30))).await?;
    let (store, view) = (cx.store().clone(), cx.view().clone());
    let writer = tokio::spawn(async move {
        for _ in 0..60 {
            let last = store.append(Append::events(events(1))).await?.last;
            if !view.applied().await?.contains(&last) {
                return Err(Failure::new(format!("{last} was acknowledged, and is not in the view")));
            }
        }
        Ok(())
    });
    for _ in 0..3 {
        let report =
            Rebuild::new(Setup::INLINE, cx.consumer_store())?.page_size(7).run(cx.view().clone()).await?;
        assert!(report.progress.applied >= 30, "{report:?}");
    }
    writer.await??;
    is_the_log(&cx).await
}

pub async fn a_view_too_far_behind_to_be_switched_to_catches_up_first(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let outrun = Outrun::times(2, cx.store().clone(), cx.view().clone());
    let switches = outrun.switches();
    let rebuild = Rebuild::new(Setup::INLINE, cx.consumer_store())?;
    let report = timeout(PATIENCE, rebuild.run(outrun)).await??;
    assert_eq!(switches.load(Ordering::SeqCst), 3, "two were refused");
    assert_eq!((report.outcome, report.progress.applied), (Outcome::CaughtUp, 2 * (Setup::MOST_BEHIND + 1)));
    is_the_log(&cx).await
}

pub async fn a_checkpoint_that_is_not_of_this_log_refuses_appends(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    cx.store().append(Append::events(events(3))).await?;
    let (log_id, head) = (cx.identity().log_id().await?, cx.store().head().await?);
    let other = LogId::new(Uuid::now_v7());
    cx.checkpoints().reset_checkpoint(&name(), other, Position::START).await?;
    for answer in [cx.store().append(Append::events(events(1))).await.map(drop), cx.open().await.map(drop)] {
        assert!(matches!(conflict(answer)?, Conflict::OtherLog { checkpoint, .. } if checkpoint == other));
    }
    let ahead = Position::from_raw(head.to_raw() + 3);
    cx.checkpoints().reset_checkpoint(&name(), log_id, ahead).await?;
    for answer in [cx.store().append(Append::events(events(1))).await.map(drop), cx.open().await.map(drop)] {
        assert!(matches!(conflict(answer)?, Conflict::CheckpointAhead { position, .. } if position == ahead));
    }
    assert_eq!(cx.store().head().await?, head);
    cx.checkpoints().reset_checkpoint(&name(), log_id, head).await?;
    cx.store().append(Append::events(events(1))).await?;
    is_the_log(&cx).await
}
