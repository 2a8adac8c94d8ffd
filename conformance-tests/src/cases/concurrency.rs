//! What holds when many append at once.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Append, Conflict, Error, ErrorKind, EventStore, EventStoreExt, ExpectedVersion, Filter, NewEvent,
    Position, RecordedEvent, Version,
};
use tokio::time::timeout;

use crate::given::{event, events, log_of, refused, stream, tag, tagged, types};
use crate::race::{only_winner, race};
use crate::witness::{Recorder, Witness};
use crate::workload::{Workload, settle};
use crate::{CaseResult, Cx, Failure};

const RACERS: usize = 8;
const ROUNDS: usize = 1_000;

pub async fn in_a_thousand_rounds_of_eight_racers_on_one_boundary_one_wins(cx: Cx) -> CaseResult {
    let store = cx.store().clone();
    let rounds = race(RACERS, ROUNDS, move |_, round, start| {
        let store = store.clone();
        async move {
            let seat = round.to_string();
            let boundary = tag("seat", &seat);
            let seen = store.query(&boundary).await?;
            start.wait().await;
            let taken = tagged("SeatTaken", "seat", &seat);
            Ok(store.append(Append::events([taken]).fail_if(boundary).after(seen.head)).await)
        }
    })
    .await?;
    for (number, round) in rounds.iter().enumerate() {
        let winner = only_winner(number, round)?;
        for loser in round.iter().filter_map(|answer| answer.as_ref().err()) {
            let named = match loser.conflict() {
                Some(Conflict::Condition { position, .. }) => Some(*position),
                _ => None,
            };
            assert_eq!(named, Some(winner.first), "round {number}: {loser:?}");
        }
    }
    assert_eq!(log_of(cx.store()).await?.len(), ROUNDS);
    Ok(())
}

pub async fn in_a_thousand_rounds_of_eight_racers_on_one_version_one_wins(cx: Cx) -> CaseResult {
    let (store, order) = (cx.store().clone(), stream());
    let counted = order.clone();
    let rounds = race(RACERS, ROUNDS, move |_, _, start| {
        let (store, order) = (store.clone(), order.clone());
        async move {
            let expected = ExpectedVersion::from(store.stream_version(&order).await?);
            start.wait().await;
            Ok(store.append(Append::to_stream(order, expected, events(1))).await)
        }
    })
    .await?;
    for (number, round) in rounds.iter().enumerate() {
        let winner = only_winner(number, round)?;
        assert_eq!(winner.version_of(&counted).map(Version::get), Some(number as u64 + 1));
        for loser in round.iter().filter_map(|answer| answer.as_ref().err()) {
            let named = match loser.conflict() {
                Some(Conflict::StreamVersion { actual, .. }) => *actual,
                _ => None,
            };
            assert_eq!(named, winner.version_of(&counted), "round {number}: {loser:?}");
        }
    }
    assert_eq!(log_of(cx.store()).await?.len(), ROUNDS);
    Ok(())
}

pub async fn of_racers_on_a_new_stream_one_creates_it(cx: Cx) -> CaseResult {
    let streams: Vec<_> = (0..200).map(|_| stream()).collect();
    let store = cx.store().clone();
    let rounds = race(RACERS, streams.len(), move |_, round, start| {
        let (store, stream) = (store.clone(), streams[round].clone());
        async move {
            start.wait().await;
            Ok(store.append(Append::to_stream(stream, ExpectedVersion::NoStream, events(2))).await)
        }
    })
    .await?;
    for (number, round) in rounds.iter().enumerate() {
        only_winner(number, round)?;
    }
    Ok(())
}

pub async fn of_racers_with_the_same_append_one_writes_and_all_are_answered(cx: Cx) -> CaseResult {
    let appends: Vec<_> =
        (0..200).map(|_| Append::to_stream(stream(), ExpectedVersion::NoStream, events(3))).collect();
    let (store, count) = (cx.store().clone(), appends.len());
    let rounds = race(RACERS, count, move |_, round, start| {
        let (store, append) = (store.clone(), appends[round].clone());
        async move {
            start.wait().await;
            Ok(store.append(append).await)
        }
    })
    .await?;
    for round in rounds {
        let answers = round.into_iter().collect::<Result<Vec<_>, _>>()?;
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "{answers:?}");
        let places: BTreeSet<_> = answers.iter().map(|answer| (answer.first, answer.last)).collect();
        assert_eq!(places.len(), 1, "{answers:?}");
    }
    assert_eq!(log_of(cx.store()).await?.len(), count * 3);
    Ok(())
}

pub async fn a_capacity_is_never_exceeded_by_concurrent_deciders(cx: Cx) -> CaseResult {
    const CAPACITY: usize = 25;
    let deciders = (0..RACERS).map(|decider| {
        let store = cx.store().clone();
        tokio::spawn(async move {
            let boundary = tag("course", "c1");
            loop {
                let found = store.query(&boundary).await?;
                if found.events.len() >= CAPACITY {
                    return Ok::<_, Failure>(());
                }
                let subscribed = tagged("Subscribed", "course", "c1").tag("student", decider)?;
                let append = Append::events([subscribed]).fail_if(boundary.clone()).after(found.head);
                match store.append(append).await {
                    Err(error) if !error.is_conflict() => return Err(error.into()),
                    _ => {}
                }
            }
        })
    });
    for decider in deciders.collect::<Vec<_>>() {
        decider.await??;
    }
    assert_eq!(log_of(cx.store()).await?.len(), CAPACITY);
    Ok(())
}

pub async fn numbers_drawn_by_concurrent_deciders_have_no_gap(cx: Cx) -> CaseResult {
    let drawn = (0..RACERS).map(|_| {
        let store = cx.store().clone();
        tokio::spawn(async move {
            for _ in 0..12 {
                draw_number(&*store).await?;
            }
            Ok::<_, Failure>(())
        })
    });
    for task in drawn.collect::<Vec<_>>() {
        task.await??;
    }
    let numbers: Vec<u64> = log_of(cx.store())
        .await?
        .iter()
        .map(|event| event.payload().deserialize())
        .collect::<Result<_, _>>()?;
    assert_eq!(numbers, (1..=96).collect::<Vec<_>>());
    Ok(())
}

/// The next invoice number: only the newest invoice is read.
async fn draw_number(store: &dyn EventStore) -> CaseResult {
    let invoices = types(["InvoiceDrawn"]);
    loop {
        let last = store.last(&invoices).await?;
        let number: u64 = last.as_ref().map_or(Ok(0), |event| event.payload().deserialize())?;
        let seen = last.as_ref().map_or(Position::START, RecordedEvent::position);
        let drawn = NewEvent::new("InvoiceDrawn", &(number + 1))?;
        match store.append(Append::events([drawn]).fail_if(invoices.clone()).after(seen)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub async fn a_multi_stream_append_is_never_seen_in_part(cx: Cx) -> CaseResult {
    let (ours, theirs) = (stream(), stream());
    let writers =
        (0..4).map(|_| {
            let (store, ours, theirs) = (cx.store().clone(), ours.clone(), theirs.clone());
            tokio::spawn(async move {
                for _ in 0..50 {
                    let transfer = Append::to_stream(ours.clone(), ExpectedVersion::Any, events(1))
                        .and_stream(theirs.clone(), ExpectedVersion::Any, events(1));
                    store.append(transfer).await?;
                }
                Ok::<_, Failure>(())
            })
        });
    let writers: Vec<_> = writers.collect();
    let mut most = 0;
    while most < 400 {
        let found = cx.store().query(&Filter::all()).await?;
        let of = |stream| found.events.iter().filter(|event| event.stream() == Some(stream)).count();
        assert_eq!(of(&ours), of(&theirs), "half of an append was seen");
        most = found.events.len();
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await??;
    }
    Ok(())
}

pub async fn concurrent_appends_keep_all_promises(cx: Cx) -> CaseResult {
    let recorder = Recorder::new();
    Workload::new(&cx, &recorder).writers(8).appends(60).readers(3).run(cx.store()).await?;
    let summary = settle(&**cx.store(), &[recorder.snapshot()]).await?;
    assert!(summary.acknowledged > 100, "{summary:?}");
    assert!(summary.refused > 20, "{summary:?}");
    assert!(summary.replayed > 5, "{summary:?}");
    Ok(())
}

pub async fn readers_with_filters_miss_nothing_while_writers_run(cx: Cx) -> CaseResult {
    let recorder = Recorder::new();
    let nothing = [tag("room", "nowhere"), Filter::all().in_stream(stream())];
    let readers = [tag("room", "1"), types(["Opened", "Closed"])].into_iter().chain(nothing);
    Workload::new(&cx, &recorder).writers(6).appends(50).reading(readers).run(cx.store()).await?;
    settle(&**cx.store(), &[recorder.snapshot()]).await?;
    Ok(())
}

pub async fn appends_dropped_at_random_moments_are_whole_or_absent(cx: Cx) -> CaseResult {
    let recorder = Recorder::new();
    let tasks =
        (0..6_u64).map(|task| {
            let (store, recorder) = (cx.store().clone(), recorder.clone());
            tokio::spawn(async move {
                for number in 0..40 {
                    let append = Append::to_stream(stream(), ExpectedVersion::NoStream, events(2))
                        .and_stream(stream(), ExpectedVersion::NoStream, events(2));
                    let patience = Duration::from_micros(number * 37 + task);
                    // The future is dropped where it stands when its time is over.
                    let _dropped_or_not =
                        timeout(patience, recorder.append(&*store, format!("{task}.{number}"), append)).await;
                }
            })
        });
    for task in tasks.collect::<Vec<_>>() {
        task.await?;
    }
    // What was accepted is finished before the store is closed; a dropped append is decided then.
    let store = cx.store();
    store.append(Append::events([event("Last")])).await?;
    let last = store.head().await?;
    let log = log_of(store).await?;
    let log = log.iter().filter(|event| event.position() < last).cloned().collect::<Vec<_>>();
    Witness::of(&log).judge(&[recorder.snapshot()])?;
    Ok(())
}

pub async fn closing_finishes_what_was_accepted(cx: Cx) -> CaseResult {
    let recorder = Recorder::new();
    let store: Arc<dyn EventStore> = cx.store().clone();
    let mut reader = recorder.tail("the reader", Filter::all(), Position::START);
    let tasks = (0..RACERS).map(|task| {
        let (store, recorder) = (store.clone(), recorder.clone());
        tokio::spawn(async move {
            let mut number = 0;
            loop {
                number += 1;
                recorder.append(&*store, format!("{task}.{number}"), Append::events(events(2))).await?;
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    while reader.look(&*store, 10).await?.head == Position::START {}
    store.close().await?;
    for task in tasks {
        let ended: Result<Infallible, Error> = task.await?;
        refused(ErrorKind::Unavailable, ended)?;
    }
    if store.capabilities().has(eventsource_core::Capability::Durable) {
        let opened = cx.open().await?;
        let log = log_of(&*opened).await?;
        Witness::of(&log).judge(&[recorder.snapshot()])?;
        opened.close().await?;
    }
    Ok(())
}
