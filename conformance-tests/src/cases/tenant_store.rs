//! What a tenant sees and touches through a view of its own of a store that others share.

use std::sync::Arc;

use eventsource_core::{
    Append, Conflict, ErrorKind, EventStore, EventStoreExt, ExpectedVersion, Filter, ReadOptions,
    RecordedEvent, StreamId, TenantId, Version,
};
use proptest::prelude::RngExt;
use tokio::sync::Barrier;

use crate::given::{
    conflict, event, events, found, log_of, names, page_after, positions, race, refused, stream, tag, tagged,
    tenant,
};
use crate::{CaseResult, Cx, random};

type Store = Arc<dyn EventStore>;

const EXPECTATIONS: [ExpectedVersion; 4] = [
    ExpectedVersion::Any,
    ExpectedVersion::NoStream,
    ExpectedVersion::StreamExists,
    ExpectedVersion::Exact(Version::FIRST),
];

/// Two tenants' views of one store.
fn two(cx: &Cx) -> (Store, Store) {
    (cx.of_tenant(tenant()), cx.of_tenant(tenant()))
}

fn to(stream: &StreamId, expected: ExpectedVersion, named: &str) -> Append {
    Append::to_stream(stream.clone(), expected, [event(named)])
}

fn tenant_of(event: &RecordedEvent) -> Option<TenantId> {
    event.metadata().tenant_id()
}

pub async fn what_a_tenant_appends_is_stamped(cx: Cx) -> CaseResult {
    let mine = tenant();
    let append = Append::to_stream(stream(), ExpectedVersion::NoStream, events(2))
        .and_stream(stream(), ExpectedVersion::Any, events(1))
        .and_events([event("Stamped").tenant(mine)]);
    cx.of_tenant(mine).append(append).await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(log.iter().map(tenant_of).collect::<Vec<_>>(), [Some(mine); 4]);
    Ok(())
}

pub async fn an_event_of_another_tenant_is_refused(cx: Cx) -> CaseResult {
    let (mine, other) = (tenant(), tenant());
    let append = Append::events([event("Mine"), event("Other").tenant(other)]);
    refused(ErrorKind::InvalidInput, cx.of_tenant(mine).append(append).await)?;
    assert!(log_of(cx.store()).await?.is_empty());
    Ok(())
}

pub async fn a_tenant_reads_its_own_events_only(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx);
    for _ in 0..20 {
        mine.append(Append::events([tagged("Mine", "order", "o1")])).await?;
        other.append(Append::events([tagged("Other", "order", "o1")])).await?;
        cx.store().append(Append::events([tagged("Nobodys", "order", "o1")])).await?;
    }
    for filter in [Filter::all(), tag("order", "o1")] {
        assert_eq!(names(&found(&*mine, filter.clone()).await?), ["Mine"; 20]);
        let queried = mine.query(&filter).await?;
        assert_eq!((names(&queried.events), queried.head), (vec!["Mine"; 20], cx.store().head().await?));
        let newest = mine.last(&filter).await?.map(|event| event.event_type().to_string());
        assert_eq!(newest.as_deref(), Some("Mine"));
        let page = mine.read_page(&filter, &ReadOptions::new().limit(3)).await?;
        assert_eq!(names(&page.events), ["Mine"; 3]);
    }
    Ok(())
}

pub async fn a_filter_that_names_another_tenant_is_refused(cx: Cx) -> CaseResult {
    let (mine, other) = (tenant(), tenant());
    cx.of_tenant(other).append(Append::events([event("Other")])).await?;
    let view = cx.of_tenant(mine);
    let others = Filter::all().in_tenant(other);
    refused(ErrorKind::InvalidInput, view.query(&others).await)?;
    refused(ErrorKind::InvalidInput, view.append(Append::events(events(1)).fail_if(others)).await)?;
    let own = Filter::all().in_tenant(mine);
    assert!(view.query(&own).await?.events.is_empty());
    view.append(Append::events(events(1)).fail_if(own)).await?;
    Ok(())
}

pub async fn a_condition_looks_at_the_tenants_own_events(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx);
    let claim = || Append::events([tagged("Claimed", "username", "ann")]).fail_if(tag("username", "ann"));
    let others = other.append(claim()).await?;
    let own = mine.append(claim()).await?;
    for (view, first) in [(&mine, own), (&other, others)] {
        match conflict(view.append(claim()).await)? {
            Conflict::Condition { position, .. } => assert_eq!(position, first.first),
            conflict => panic!("the claim is not refused for what it is: {conflict}"),
        }
    }
    mine.append(Append::events(events(1)).fail_if(Filter::all()).after(mine.head().await?)).await?;
    Ok(())
}

pub async fn another_tenants_stream_is_as_if_absent(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx);
    let (theirs, nobodys) = (stream(), stream());
    other.append(Append::to_stream(theirs.clone(), ExpectedVersion::NoStream, events(3))).await?;
    cx.store().append(to(&nobodys, ExpectedVersion::NoStream, "Nobodys")).await?;
    for stream in [theirs.clone(), nobodys, stream()] {
        assert_eq!(mine.stream_version(&stream).await?, None);
        assert!(!mine.exists(&stream).await?);
        assert!(found(&*mine, Filter::all().in_stream(stream)).await?.is_empty());
    }
    assert_eq!(other.stream_version(&theirs).await?, Some(Version::after(None, 3)));
    Ok(())
}

pub async fn appending_to_another_tenants_stream_is_refused(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx);
    let (theirs, nobodys) = (stream(), stream());
    other.append(to(&theirs, ExpectedVersion::NoStream, "Other")).await?;
    cx.store().append(to(&nobodys, ExpectedVersion::NoStream, "Nobodys")).await?;
    for stream in [&theirs, &nobodys] {
        for expected in EXPECTATIONS {
            refused(ErrorKind::InvalidInput, mine.append(to(stream, expected, "Mine")).await)?;
            let several = to(&self::stream(), ExpectedVersion::Any, "Mine").and_stream(
                stream.clone(),
                expected,
                events(1),
            );
            refused(ErrorKind::InvalidInput, mine.append(several).await)?;
        }
    }
    assert_eq!(names(&log_of(cx.store()).await?), ["Other", "Nobodys"]);
    Ok(())
}

pub async fn a_refusal_tells_nothing_of_another_tenant(cx: Cx) -> CaseResult {
    let (other, named) = (tenant(), "SecretMerger");
    let theirs = stream();
    for _ in 0..70 {
        cx.of_tenant(other).append(to(&theirs, ExpectedVersion::Any, named)).await?;
    }
    let mine = cx.of_tenant(tenant());
    for expected in EXPECTATIONS {
        let stale = to(&theirs, expected, "Mine").fail_if(Filter::all());
        let error = refused(ErrorKind::InvalidInput, mine.append(stale).await)?;
        assert_eq!(error.conflict(), None);
        let text = error.to_string().replace(&theirs.to_string(), "");
        assert!(
            !text.contains(named) && !text.contains("70") && !text.contains(&other.to_string()),
            "{text}"
        );
    }
    Ok(())
}

pub async fn an_event_id_of_another_tenant_is_refused_without_its_place(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx);
    let taken = event("Happened");
    other.append(Append::events([event("Before"), taken.clone()])).await?;
    for append in [Append::events([taken.clone()]), Append::events([event("New"), taken.clone()])] {
        let error = refused(ErrorKind::InvalidInput, mine.append(append).await)?;
        assert_eq!(error.conflict(), None);
    }
    // Its own taken id is the conflict that it always is.
    let own = event("Happened");
    let appended = mine.append(Append::events([own.clone()])).await?;
    match conflict(mine.append(Append::events([event("New"), own.clone()])).await)? {
        Conflict::DuplicateEvent { event_id, position } => {
            assert_eq!((event_id, position), (own.event_id(), appended.first));
        }
        conflict => panic!("the id is not refused for what it is: {conflict}"),
    }
    assert_eq!(cx.store().head().await?, appended.last);
    Ok(())
}

pub async fn a_tenants_repeat_returns_the_first_result(cx: Cx) -> CaseResult {
    let view = cx.of_tenant(tenant());
    for expected in [ExpectedVersion::Any, ExpectedVersion::NoStream] {
        let append =
            Append::to_stream(stream(), expected, events(2)).fail_if(Filter::all()).after(view.head().await?);
        let first = view.append(append.clone()).await?;
        // A view that was opened anew knows no streams.
        for again in
            [view.append(append.clone()).await?, cx.of_tenant(tenant_in(&cx).await?).append(append).await?]
        {
            assert!(again.replayed);
            assert_eq!(
                (again.first, again.last, again.versions),
                (first.first, first.last, first.versions.clone())
            );
        }
    }
    assert_eq!(log_of(cx.store()).await?.len(), 4);
    Ok(())
}

/// The tenant of the log's first event.
async fn tenant_in(cx: &Cx) -> CaseResult<TenantId> {
    Ok(log_of(cx.store()).await?.first().and_then(tenant_of).expect("it is stamped"))
}

pub async fn a_tenants_streams_keep_their_versions(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx);
    let own = stream();
    for expected in [ExpectedVersion::StreamExists, ExpectedVersion::Exact(Version::FIRST)] {
        let absent = conflict(mine.append(to(&own, expected, "Mine").fail_if(Filter::all())).await)?;
        assert_eq!(absent, Conflict::StreamVersion { stream: own.clone(), expected, actual: None });
    }
    mine.append(to(&own, ExpectedVersion::Any, "Mine")).await?;
    other.append(to(&stream(), ExpectedVersion::Any, "Other")).await?;
    mine.append(to(&own, ExpectedVersion::Exact(Version::FIRST), "Mine")).await?;
    mine.append(to(&own, ExpectedVersion::StreamExists, "Mine")).await?;
    let three = Some(Version::after(None, 3));
    assert_eq!(mine.stream_version(&own).await?, three);
    for expected in [ExpectedVersion::NoStream, ExpectedVersion::Exact(Version::FIRST)] {
        let stale = conflict(mine.append(to(&own, expected, "Mine")).await)?;
        assert_eq!(stale, Conflict::StreamVersion { stream: own.clone(), expected, actual: three });
    }
    let versions = found(&*mine, Filter::all().in_stream(own)).await?;
    assert_eq!(versions.iter().map(|event| event.version()).collect::<Vec<_>>()[2], three);
    Ok(())
}

pub async fn of_tenants_who_race_for_a_stream_one_gets_it(cx: Cx) -> CaseResult {
    for round in 0..60 {
        let (stream, views) = (stream(), [cx.of_tenant(tenant()), cx.of_tenant(tenant())]);
        let mut numbers = random::numbers(&cx, round);
        let barrier = Arc::new(Barrier::new(8));
        let racers: Vec<_> = (0..8)
            .map(|racer| {
                let expected = EXPECTATIONS[numbers.random_range(0..EXPECTATIONS.len())];
                // One at least takes the stream as new, and one whatever it is.
                let expected = *EXPECTATIONS.get(racer).unwrap_or(&expected);
                let (view, barrier) = (views[numbers.random_range(0..2)].clone(), barrier.clone());
                let append = to(&stream, expected, "Happened");
                tokio::spawn(async move {
                    barrier.wait().await;
                    view.append(append).await
                })
            })
            .collect();
        for racer in racers {
            match racer.await? {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let events = found(cx.store(), Filter::all().in_stream(stream.clone())).await?;
        assert!(!events.is_empty(), "somebody gets the stream");
        assert!(events.iter().all(|event| tenant_of(event) == tenant_of(&events[0])), "{events:?}");
        let mut versions = Vec::new();
        for view in &views {
            versions.extend(view.stream_version(&stream).await?);
        }
        assert_eq!(versions, [Version::after(None, events.len() as u64)], "one of the two has the stream");
    }
    Ok(())
}

pub async fn any_never_conflicts_within_a_tenant(cx: Cx) -> CaseResult {
    let view = cx.of_tenant(tenant());
    for _ in 0..20 {
        let stream = stream();
        let appends = (0..8).map(|_| to(&stream, ExpectedVersion::Any, "Happened"));
        for answer in race(&view, appends).await {
            answer?;
        }
        assert_eq!(view.stream_version(&stream).await?, Some(Version::after(None, 8)));
    }
    Ok(())
}

pub async fn a_tenants_feed_is_complete_while_others_write(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx);
    let writers: Vec<_> = [mine.clone(), other]
        .into_iter()
        .map(|view| {
            tokio::spawn(async move {
                for _ in 0..100 {
                    view.append(Append::events(events(2))).await?;
                }
                Ok::<_, eventsource_core::Error>(())
            })
        })
        .collect();
    let (mut cursor, mut seen) = (eventsource_core::Position::START, Vec::new());
    while seen.len() < 200 {
        let options = ReadOptions::new().after(cursor).limit(7);
        let page = mine.read_page(&Filter::all(), &options).await?;
        cursor = page.scanned_to(&options);
        seen.extend(page.events);
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await??;
    }
    assert_eq!(positions(&seen), positions(&found(&*mine, Filter::all()).await?));
    assert!(page_after(&*mine, cursor, 1).await?.events.is_empty());
    Ok(())
}

pub async fn a_tenant_who_waits_is_woken(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx);
    let mut changes = mine.changes();
    other.append(Append::events(events(1))).await?;
    mine.append(Append::events(events(1))).await?;
    changes.changed().await?;
    Ok(())
}
