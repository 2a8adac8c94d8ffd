//! What reading the log gives.

use eventsource_core::{
    Append, ErrorKind, EventId, EventStoreExt, ExpectedVersion, Filter, Position, ReadOptions, RecordedEvent,
    Version,
};
use futures_util::TryStreamExt;
use uuid::Uuid;

use crate::given::{
    event, events, log_of, names, page_after, positions, read, refused, still_running, stream, tag, tagged,
    time, types, with_json,
};
use crate::{CaseResult, Cx};

/// Appends one event for each letter; vowels are tagged.
async fn alphabet(cx: &Cx, letters: &str) -> CaseResult<Vec<Position>> {
    for letter in letters.chars() {
        let letter = letter.to_string();
        let happened =
            if "AEIOU".contains(&letter) { tagged(&letter, "kind", "vowel") } else { event(&letter) };
        cx.store().append(Append::events([happened])).await?;
    }
    Ok(positions(&log_of(cx.store()).await?))
}

pub async fn an_empty_log_reads_as_empty(cx: Cx) -> CaseResult {
    let store = cx.store();
    assert!(log_of(store).await?.is_empty());
    assert!(store.query(&tag("no", "such")).await?.events.is_empty());
    assert_eq!(store.query(&Filter::all()).await?.head, Position::START);
    assert_eq!(store.last(&Filter::all()).await?, None);
    assert_eq!(store.head().await?, Position::START);
    Ok(())
}

pub async fn reading_goes_in_log_order_or_newest_first(cx: Cx) -> CaseResult {
    alphabet(&cx, "ABCDE").await?;
    let forward = log_of(cx.store()).await?;
    let mut backward = read(cx.store(), Filter::all(), ReadOptions::new().backward()).await?;
    assert_eq!(names(&forward), ["A", "B", "C", "D", "E"]);
    assert!(forward.windows(2).all(|pair| pair[0].position() < pair[1].position()));
    backward.reverse();
    assert_eq!(backward, forward);
    Ok(())
}

pub async fn after_is_exclusive_and_until_inclusive_both_ways(cx: Cx) -> CaseResult {
    let at = alphabet(&cx, "ABCDE").await?;
    for (options, expected) in [
        (ReadOptions::new().after(at[1]), "CDE"),
        (ReadOptions::new().until(at[1]), "AB"),
        (ReadOptions::new().after(at[0]).until(at[3]), "BCD"),
        (ReadOptions::new().after(at[2]).until(at[2]), ""),
        (ReadOptions::new().after(at[3]).until(at[1]), ""),
        (ReadOptions::new().after(at[4]), ""),
        (ReadOptions::new().after(Position::MAX), ""),
        (ReadOptions::new().until(Position::START), ""),
        (ReadOptions::new().until(Position::MAX), "ABCDE"),
    ] {
        let forward = read(cx.store(), Filter::all(), options.clone()).await?;
        assert_eq!(names(&forward).concat(), expected, "{options:?}");
        let mut backward = read(cx.store(), Filter::all(), options.clone().backward()).await?;
        backward.reverse();
        assert_eq!(backward, forward, "{options:?} backward");
    }
    Ok(())
}

pub async fn the_limit_counts_matches_only(cx: Cx) -> CaseResult {
    alphabet(&cx, "BACDEFGIJKLO").await?;
    let vowels = || tag("kind", "vowel");
    let two = read(cx.store(), vowels(), ReadOptions::new().limit(2)).await?;
    assert_eq!(names(&two), ["A", "E"]);
    let newest = read(cx.store(), vowels(), ReadOptions::new().backward().limit(3)).await?;
    assert_eq!(names(&newest), ["O", "I", "E"]);
    let behind = read(cx.store(), vowels(), ReadOptions::new().after(two[1].position()).limit(1)).await?;
    assert_eq!(names(&behind), ["I"]);
    assert_eq!(read(cx.store(), vowels(), ReadOptions::new().limit(100)).await?.len(), 4);
    assert!(read(cx.store(), vowels(), ReadOptions::new().limit(0)).await?.is_empty());
    assert_eq!(read(cx.store(), vowels(), ReadOptions::new().limit(u64::MAX)).await?.len(), 4);
    Ok(())
}

pub async fn a_range_of_versions_is_inclusive(cx: Cx) -> CaseResult {
    let stream = stream();
    for name in ["A", "B", "C", "D", "E"] {
        cx.store().append(Append::events([event("Between")])).await?;
        cx.store().append(Append::to_stream(stream.clone(), ExpectedVersion::Any, [event(name)])).await?;
    }
    let filter = || Filter::all().in_stream(stream.clone());
    let version = |number| Version::new(number);
    for (options, expected) in [
        (ReadOptions::new().from_version(version(3)?), "CDE"),
        (ReadOptions::new().until_version(version(2)?), "AB"),
        (ReadOptions::new().from_version(version(2)?).until_version(version(4)?), "BCD"),
        (ReadOptions::new().from_version(version(4)?).until_version(version(2)?), ""),
        (ReadOptions::new().from_version(version(6)?), ""),
        (ReadOptions::new().from_version(version(2)?).limit(2), "BC"),
    ] {
        assert_eq!(
            names(&read(cx.store(), filter(), options.clone()).await?).concat(),
            expected,
            "{options:?}"
        );
    }
    let newest =
        read(cx.store(), filter(), ReadOptions::new().until_version(version(4)?).backward().limit(2)).await?;
    assert_eq!(names(&newest), ["D", "C"]);
    let rest: Vec<_> = cx.store().read_stream_from(&stream, version(4)?).try_collect().await?;
    assert_eq!(names(&rest), ["D", "E"]);
    Ok(())
}

pub async fn versions_without_a_stream_are_invalid(cx: Cx) -> CaseResult {
    alphabet(&cx, "AB").await?;
    for options in
        [ReadOptions::new().from_version(Version::FIRST), ReadOptions::new().until_version(Version::FIRST)]
    {
        refused(ErrorKind::InvalidInput, cx.store().read_page(&Filter::all(), &options).await)?;
        refused(ErrorKind::InvalidInput, read(cx.store(), Filter::all(), options).await)?;
    }
    Ok(())
}

pub async fn a_stream_is_read_without_its_neighbours(cx: Cx) -> CaseResult {
    let (mine, other) = (stream(), stream());
    for (stream, name) in [(&mine, "A"), (&other, "X"), (&mine, "B"), (&other, "Y"), (&mine, "C")] {
        cx.store().append(Append::to_stream(stream.clone(), ExpectedVersion::Any, [event(name)])).await?;
    }
    let read: Vec<RecordedEvent> = cx.store().read_stream(&mine).try_collect().await?;
    assert_eq!(names(&read), ["A", "B", "C"]);
    assert!(read.iter().all(|event| event.stream() == Some(&mine)));
    let absent: Vec<RecordedEvent> = cx.store().read_stream(&stream()).try_collect().await?;
    assert!(absent.is_empty());
    assert!(cx.store().exists(&mine).await?);
    Ok(())
}

pub async fn last_is_the_newest_match(cx: Cx) -> CaseResult {
    alphabet(&cx, "ABECD").await?;
    let name = |event: Option<RecordedEvent>| event.map(|event| event.event_type().to_string());
    assert_eq!(name(cx.store().last(&tag("kind", "vowel")).await?).as_deref(), Some("E"));
    assert_eq!(name(cx.store().last(&Filter::all()).await?).as_deref(), Some("D"));
    assert_eq!(name(cx.store().last(&tag("kind", "digit")).await?), None);
    Ok(())
}

pub async fn order_is_the_positions_whatever_events_say_of_time(cx: Cx) -> CaseResult {
    for (name, at) in [("A", "2030-01-01"), ("B", "1970-01-01"), ("C", "2001-01-01"), ("D", "1969-12-31")] {
        let happened = event(name).occurred_at(time(&format!("{at}T00:00:00Z")))?;
        cx.store().append(Append::events([happened])).await?;
    }
    assert_eq!(names(&log_of(cx.store()).await?), ["A", "B", "C", "D"]);
    let newest = read(cx.store(), Filter::all(), ReadOptions::new().backward()).await?;
    assert_eq!(names(&newest), ["D", "C", "B", "A"]);
    Ok(())
}

pub async fn order_is_the_positions_whatever_ids_events_have(cx: Cx) -> CaseResult {
    for (name, id) in [("A", 9_u128), ("B", 1), ("C", u128::MAX), ("D", 5)] {
        let happened = event(name).id(EventId::new(Uuid::from_u128(id))?);
        cx.store().append(Append::events([happened])).await?;
    }
    assert_eq!(names(&log_of(cx.store()).await?), ["A", "B", "C", "D"]);
    Ok(())
}

pub async fn a_query_gives_the_head_of_its_snapshot(cx: Cx) -> CaseResult {
    let writer = tokio::spawn({
        let store = cx.store().clone();
        async move {
            for _ in 0..200 {
                store.append(Append::events([tagged("Counted", "kind", "x"), event("Other")])).await?;
            }
            Ok::<_, eventsource_core::Error>(())
        }
    });
    let mut queries = Vec::new();
    while still_running(&writer).await {
        queries.push(cx.store().query(&tag("kind", "x")).await?);
    }
    writer.await??;
    let log = crate::given::found(cx.store(), tag("kind", "x")).await?;
    for queried in queries {
        let at_or_below = log.iter().filter(|event| event.position() <= queried.head).count();
        assert_eq!(queried.events.len(), at_or_below, "events and head {} are of two moments", queried.head);
    }
    Ok(())
}

pub async fn a_long_log_is_read_whole_both_ways(cx: Cx) -> CaseResult {
    let stream = stream();
    for _ in 0..5 {
        let append = Append::to_stream(stream.clone(), ExpectedVersion::Any, events(1_000));
        cx.store().append(append.and_events([event("Between")])).await?;
    }
    let forward: Vec<_> = cx.store().read_stream(&stream).try_collect().await?;
    let versions: Vec<_> = forward.iter().filter_map(RecordedEvent::version).map(Version::get).collect();
    assert_eq!(versions, (1..=5_000).collect::<Vec<_>>());
    let filter = Filter::all().in_stream(stream);
    assert_eq!(cx.store().query(&filter).await?.events, forward);
    let mut backward = read(cx.store(), filter, ReadOptions::new().backward()).await?;
    backward.reverse();
    assert_eq!(backward, forward);
    Ok(())
}

pub async fn large_events_are_read_whole(cx: Cx) -> CaseResult {
    let json = format!(r#"{{"text":"{}"}}"#, "x".repeat(700_000));
    for number in 0..20 {
        cx.store().append(Append::events([with_json(&format!("Large{number}"), &json)])).await?;
    }
    let log = log_of(cx.store()).await?;
    assert_eq!(names(&log), (0..20).map(|number| format!("Large{number}")).collect::<Vec<_>>());
    assert!(log.iter().all(|event| event.payload().as_json().len() >= 700_000));
    Ok(())
}

pub async fn a_read_ends_at_the_head_it_began_with(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(1_000))).await?;
    let mut reading = cx.store().read(Filter::all(), ReadOptions::new());
    reading.try_next().await?.expect("a first event");
    cx.store().append(Append::events([event("Late")])).await?;
    let rest: Vec<_> = reading.try_collect().await?;
    assert_eq!(rest.len(), 999);
    assert!(rest.iter().all(|event| event.event_type() == "Happened"));
    Ok(())
}

pub async fn a_slow_reader_holds_up_no_writer(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(2_000))).await?;
    let mut readings: Vec<_> = (0..20).map(|_| cx.store().read(Filter::all(), ReadOptions::new())).collect();
    for reading in &mut readings {
        reading.try_next().await?.expect("a first event");
    }
    for _ in 0..10 {
        cx.store().append(Append::events(events(1))).await?;
    }
    for reading in readings {
        assert_eq!(reading.try_collect::<Vec<_>>().await?.len(), 1_999);
    }
    Ok(())
}

pub async fn a_read_that_is_dropped_leaves_the_store_well(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3_000))).await?;
    for _ in 0..50 {
        let mut reading = cx.store().read(types(["Happened"]), ReadOptions::new());
        reading.try_next().await?.expect("a first event");
        let page = page_after(&**cx.store(), Position::START, 500);
        let _ = tokio::time::timeout(std::time::Duration::from_micros(200), page).await;
    }
    assert_eq!(log_of(cx.store()).await?.len(), 3_000);
    Ok(())
}
