//! What an append does.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    Append, Clock, ErrorKind, EventId, EventStoreExt, ExpectedVersion, NewEvent, Position, SystemClock,
    Version,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::given::{
    conflict, event, events, log_of, names, positions, race, refused, stream, tagged, tenant, time,
};
use crate::{CaseResult, Cx, Setup};

pub async fn an_event_comes_back_as_it_was_appended(cx: Cx) -> CaseResult {
    let (stream, cause) = (stream(), EventId::random());
    let placed = NewEvent::new("OrderPlaced", &("cust-123", 29_999))?
        .schema_version(3)
        .tag("customer", "cust-123")?
        .tag("order", stream.aggregate_id())?
        .tenant(tenant())
        .actor("ann")?
        .correlated(Uuid::now_v7())
        .caused_by(cause)
        .occurred_at(time("2024-02-29T23:59:59.123456Z"))?;
    let append = Append::to_stream(stream.clone(), ExpectedVersion::NoStream, [placed.clone()]);
    let appended = cx.store().append(append).await?;

    let log = log_of(cx.store()).await?;
    assert_eq!(log.len(), 1);
    assert!(log[0].records(&placed, Some(&stream)), "{:?} is not {placed:?}", log[0]);
    assert_eq!(log[0].occurred_at(), time("2024-02-29T23:59:59.123456Z"));
    assert_eq!(log[0].version(), Some(Version::FIRST));
    assert_eq!(log[0].position(), appended.first);
    Ok(())
}

pub async fn the_result_says_where_the_events_lie(cx: Cx) -> CaseResult {
    let appended = cx.store().append(Append::events(events(3))).await?;
    let positions = positions(&log_of(cx.store()).await?);
    assert_eq!(positions.len(), 3);
    assert_eq!((appended.first, appended.last), (positions[0], positions[2]));
    assert!(!appended.replayed);
    assert!(appended.first > Position::START);
    assert_eq!(cx.store().head().await?, appended.last);
    Ok(())
}

pub async fn events_lie_in_the_order_they_were_given(cx: Cx) -> CaseResult {
    let append = Append::events([event("A"), event("B")])
        .and_stream(stream(), ExpectedVersion::Any, [event("C"), event("D")])
        .and_events([event("E")]);
    cx.store().append(append).await?;
    assert_eq!(names(&log_of(cx.store()).await?), ["A", "B", "C", "D", "E"]);
    Ok(())
}

pub async fn nothing_lies_between_the_events_of_an_append(cx: Cx) -> CaseResult {
    let appends = (0..16).map(|racer| Append::events((0..5).map(move |_| event(&format!("Racer{racer}")))));
    let appended = race(cx.store(), appends).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let log = log_of(cx.store()).await?;
    assert_eq!(log.len(), 80);
    for (racer, appended) in appended.into_iter().enumerate() {
        let between: Vec<_> = log
            .iter()
            .filter(|event| event.position() >= appended.first && event.position() <= appended.last)
            .cloned()
            .collect();
        assert_eq!(names(&between), vec![format!("Racer{racer}"); 5]);
    }
    Ok(())
}

pub async fn an_append_is_all_or_nothing(cx: Cx) -> CaseResult {
    let (fresh, stale) = (stream(), stream());
    let append = Append::events(events(2))
        .and_stream(fresh.clone(), ExpectedVersion::NoStream, events(2))
        .and_stream(stale, ExpectedVersion::StreamExists, events(2));
    conflict(cx.store().append(append).await)?;
    assert!(log_of(cx.store()).await?.is_empty());
    assert_eq!(cx.store().stream_version(&fresh).await?, None);
    assert_eq!(cx.store().head().await?, Position::START);
    Ok(())
}

pub async fn an_append_is_never_empty(cx: Cx) -> CaseResult {
    refused(ErrorKind::InvalidInput, cx.store().append(Append::events([])).await)?;
    let to_stream = Append::to_stream(stream(), ExpectedVersion::Any, []);
    refused(ErrorKind::InvalidInput, cx.store().append(to_stream).await)?;
    let one_part_empty = Append::events(events(1)).and_stream(stream(), ExpectedVersion::Any, []);
    refused(ErrorKind::InvalidInput, cx.store().append(one_part_empty).await)?;
    assert!(log_of(cx.store()).await?.is_empty());
    Ok(())
}

pub async fn positions_rise_also_past_refused_appends(cx: Cx) -> CaseResult {
    let (store, stream) = (cx.store(), stream());
    let mut seen = Position::START;
    for _ in 0..10 {
        let refused =
            Append::events(events(3)).and_stream(stream.clone(), ExpectedVersion::StreamExists, events(1));
        conflict(store.append(refused).await)?;
        assert_eq!(store.head().await?, seen, "a refused append moved the head");
        let appended = store.append(Append::events(events(2))).await?;
        assert!(appended.first > seen && appended.last > appended.first);
        seen = appended.last;
    }
    Ok(())
}

pub async fn an_event_needs_no_stream(cx: Cx) -> CaseResult {
    let appended = cx.store().append(Append::events([tagged("Happened", "course", "c1")])).await?;
    assert!(appended.versions.is_empty());
    let log = log_of(cx.store()).await?;
    assert_eq!((log[0].stream(), log[0].version()), (None, None));
    Ok(())
}

pub async fn ten_thousand_events_fit_in_one_append(cx: Cx) -> CaseResult {
    let stream = stream();
    let append = Append::to_stream(stream.clone(), ExpectedVersion::NoStream, events(Append::MAX_EVENTS));
    let appended = cx.store().append(append).await?;
    assert_eq!(appended.version_of(&stream), Some(Version::new(10_000)?));
    let log = log_of(cx.store()).await?;
    assert_eq!(log.len(), 10_000);
    assert!(log.iter().zip(1..).all(|(event, number)| event.version().map(Version::get) == Some(number)));
    Ok(())
}

pub async fn a_dropped_append_is_whole_or_absent(cx: Cx) -> CaseResult {
    for delay in 0..40 {
        let append = Append::events(events(5));
        // Most of these are dropped somewhere in the middle; which ones, the machine decides.
        let _ = timeout(Duration::from_micros(delay * 50), cx.store().append(append)).await;
    }
    cx.store().append(Append::events([event("Last")])).await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(log.len() % 5, 1, "an append is there in part: {} events", log.len());
    assert_eq!(log.last().map(|event| event.event_type().as_str()), Some("Last"));
    Ok(())
}

pub async fn what_was_acknowledged_is_read_at_once(cx: Cx) -> CaseResult {
    let (store, stream) = (cx.store(), stream());
    for number in 1..=20 {
        let appended =
            store.append(Append::to_stream(stream.clone(), ExpectedVersion::Any, events(1))).await?;
        assert_eq!(store.head().await?, appended.last);
        assert_eq!(store.stream_version(&stream).await?, Some(Version::new(number)?));
        let last = store.last(&eventsource_core::Filter::all()).await?;
        assert_eq!(last.map(|event| event.position()), Some(appended.last));
    }
    Ok(())
}

pub async fn an_event_is_recorded_at_the_stores_time(cx: Cx) -> CaseResult {
    let slack = TimeDelta::seconds(5);
    let before = SystemClock.now();
    cx.store().append(Append::events(events(1))).await?;
    let recorded_at = log_of(cx.store()).await?[0].recorded_at();
    assert!(recorded_at >= before - slack && recorded_at <= SystemClock.now() + slack, "{recorded_at}");
    assert_eq!(recorded_at.timestamp_subsec_nanos() % 1_000, 0, "times are kept to the microsecond");

    let cx = cx.fresh(Setup::with_clock(Stopped(time("2031-05-06T07:08:09.123456789Z")))).await?;
    cx.store().append(Append::events(events(1))).await?;
    assert_eq!(log_of(cx.store()).await?[0].recorded_at(), time("2031-05-06T07:08:09.123456Z"));
    Ok(())
}

pub async fn an_event_without_a_time_occurred_when_it_was_recorded(cx: Cx) -> CaseResult {
    cx.store()
        .append(Append::events([event("A"), event("B").occurred_at(time("1999-01-01T00:00:00Z"))?]))
        .await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(log[0].occurred_at(), log[0].recorded_at());
    assert_eq!(log[1].occurred_at(), time("1999-01-01T00:00:00Z"));
    Ok(())
}

pub async fn a_clock_that_runs_backwards_changes_no_order(cx: Cx) -> CaseResult {
    let cx = cx.fresh(Setup::with_clock(Backwards::default())).await?;
    for name in ["A", "B", "C", "D"] {
        cx.store().append(Append::events([event(name)])).await?;
    }
    let log = log_of(cx.store()).await?;
    assert_eq!(names(&log), ["A", "B", "C", "D"]);
    assert!(
        log.windows(2).all(|pair| pair[0].recorded_at() > pair[1].recorded_at()),
        "the clock was not used"
    );
    Ok(())
}

#[derive(Debug)]
struct Stopped(DateTime<Utc>);

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

#[derive(Debug, Default)]
struct Backwards(Arc<std::sync::atomic::AtomicI64>);

impl Clock for Backwards {
    fn now(&self) -> DateTime<Utc> {
        let seconds = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        time("2030-01-01T00:00:00Z") - TimeDelta::seconds(seconds)
    }
}
