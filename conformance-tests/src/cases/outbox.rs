//! What waits to be published: it is there if and only if the event is, in order, and in one worker's hands at a time.

use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Append, Capability, Claim, ClaimId, ClaimRequest, ErrorKind, EventId, EventStore, ExpectedVersion,
    Filter, FilterItem, Outbox, OutboxEntry, OutboxStatistics, Settlement,
};
use uuid::Uuid;

use crate::given::{
    closed, conflict, event, events, found, log_of, names, positions, refused, stream, stream_of, tag,
    tagged, tenant, time, types, with_json,
};
use crate::manual_clock::ManualClock;
use crate::{CaseResult, Cx, Failure, Setup};

use ExpectedVersion::{Any, NoStream};

const MINUTE: Duration = Duration::from_secs(60);

/// A store whose outbox takes everything, its outbox, and the clock that both live by.
pub(crate) async fn given(cx: &Cx) -> CaseResult<(Cx, Arc<dyn Outbox>, ManualClock)> {
    let clock = ManualClock::new();
    let setup = Setup { clock: Some(Arc::new(clock.clone())), ..Setup::with_outbox(Filter::all()) };
    let cx = cx.fresh(setup).await?;
    let outbox = outbox_of(&cx)?;
    Ok((cx, outbox, clock))
}

pub(crate) fn outbox_of(cx: &Cx) -> CaseResult<Arc<dyn Outbox>> {
    cx.stores().outbox.clone().ok_or_else(|| Failure::new("the harness gives no outbox"))
}

/// Claims so many entries for a minute.
pub(crate) async fn claim(outbox: &dyn Outbox, limit: usize) -> CaseResult<Claim> {
    Ok(outbox.claim(&ClaimRequest::new("a worker", limit, MINUTE)?).await?)
}

fn types_of(entries: &[OutboxEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.event.event_type().as_str()).collect()
}

pub(crate) fn ids_of(entries: &[OutboxEntry]) -> Vec<EventId> {
    entries.iter().map(|entry| entry.event.id()).collect()
}

pub(crate) async fn publish(outbox: &dyn Outbox, claim: &Claim) -> CaseResult {
    let published: Vec<_> = ids_of(&claim.entries).into_iter().map(Settlement::published).collect();
    assert_eq!(outbox.settle(claim.id, &published).await?, []);
    Ok(())
}

async fn is_empty(outbox: &dyn Outbox) -> CaseResult<bool> {
    Ok(claim(outbox, 100).await?.entries.is_empty())
}

pub async fn what_is_appended_waits_to_be_published(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    assert!(is_empty(&*outbox).await?);
    cx.store().append(Append::to_stream(stream(), NoStream, events(2)).and_events(events(1))).await?;
    cx.store().append(Append::events([tagged("Last", "k", "v")])).await?;
    let claim = claim(&*outbox, 100).await?;
    let waiting: Vec<_> = claim.entries.iter().map(|entry| entry.event.clone()).collect();
    assert_eq!(waiting, log_of(cx.store()).await?);
    assert!(claim.entries.iter().all(|entry| entry.failed_attempts == 0 && entry.last_error.is_none()));
    Ok(())
}

pub async fn an_entry_holds_everything_that_the_event_does(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    let odd = r#"{"u":18446744073709551615,"i":-9223372036854775808,"f":1e-7,"t":"é 漢 \u0001 \" \\","n":null,"":[{}]}"#;
    let full = with_json("Odd \"type\" 漢", odd)
        .schema_version(7)
        .tag("a", "b,c:d \"e\"")?
        .tag("é", "漢")?
        .tenant(tenant())
        .correlated(Uuid::nil())
        .caused_by(EventId::random())
        .actor("Ann O'Brien")?
        .occurred_at(time("0001-01-01T00:00:00.000001Z"))?;
    let metadata = full.all_metadata().clone().entry("odd \" ' 漢", "\n\t \" '")?.entry("empty", "")?;
    let late = event("Late").occurred_at(time("9999-12-31T23:59:59.999999Z"))?;
    let stream = stream_of("An odd \"type\"");
    cx.store().append(Append::to_stream(stream, NoStream, [full.metadata(metadata), late])).await?;
    cx.store().append(Append::events([with_json("Scalar", "null"), with_json("Text", "\"text\"")])).await?;
    let waiting: Vec<_> = claim(&*outbox, 100).await?.entries.into_iter().map(|entry| entry.event).collect();
    assert_eq!(waiting, log_of(cx.store()).await?);
    Ok(())
}

pub async fn a_refused_append_leaves_nothing_to_publish(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    let stream = stream();
    cx.store().append(Append::to_stream(stream.clone(), NoStream, [tagged("First", "k", "v")])).await?;
    conflict(cx.store().append(Append::to_stream(stream, NoStream, events(1))).await)?;
    conflict(cx.store().append(Append::events(events(1)).fail_if(tag("k", "v"))).await)?;
    refused(ErrorKind::InvalidInput, cx.store().append(Append::events([])).await)?;
    assert_eq!(types_of(&claim(&*outbox, 100).await?.entries), ["First"]);
    Ok(())
}

pub async fn a_repeated_append_adds_nothing_to_publish(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    let append = Append::to_stream(stream(), Any, events(2));
    cx.store().append(append.clone()).await?;
    assert!(cx.store().append(append.clone()).await?.replayed);
    let first = claim(&*outbox, 100).await?;
    assert_eq!(first.entries.len(), 2);
    publish(&*outbox, &first).await?;
    assert!(cx.store().append(append).await?.replayed);
    assert!(is_empty(&*outbox).await?, "what was published is to be published again");
    let expected = OutboxStatistics { published: 2, ..OutboxStatistics::default() };
    assert_eq!(outbox.statistics().await?, expected);
    Ok(())
}

pub async fn what_a_transaction_appends_is_published_if_it_commits(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    if !cx.store().capabilities().has(Capability::Transactional) {
        refused(ErrorKind::Unsupported, cx.log().hold(Append::events(events(1))).await)?;
        assert!(is_empty(&*outbox).await?);
        return Ok(());
    }
    cx.log().hold(Append::events([event("RolledBack")])).await?.roll_back().await?;
    let append = Append::to_stream(stream(), NoStream, [event("Committed")]);
    cx.log().hold(append.clone()).await?.commit().await?;
    cx.log().hold(append).await?.commit().await?;
    let waiting: Vec<_> = claim(&*outbox, 100).await?.entries.into_iter().map(|entry| entry.event).collect();
    assert_eq!(waiting, log_of(cx.store()).await?);
    assert_eq!(names(&waiting), ["Committed"]);
    Ok(())
}

pub async fn only_what_matches_is_published(cx: Cx) -> CaseResult {
    let (ours, order) = (tenant(), stream());
    let payload = FilterItem::new().all_payload("vip", true)?;
    let both = FilterItem::new().event_type("Placed")?.tag("region", "eu")?;
    for filter in [
        types(["Placed", "Shipped"]),
        tag("region", "eu"),
        Filter::any_of([payload, both])?,
        Filter::all().in_tenant(ours),
        Filter::all().of_aggregate_type("Order".try_into()?),
        types(["Placed"]).in_stream(order.clone()),
        types(["Never"]),
    ] {
        let cx = cx.fresh(Setup::with_outbox(filter.clone())).await?;
        let outbox = outbox_of(&cx)?;
        let placed = || tagged("Placed", "region", "eu");
        let of_order = [placed(), event("Shipped").tenant(ours), with_json("Rated", r#"{"vip":true}"#)];
        let append = Append::to_stream(order.clone(), NoStream, of_order)
            .and_stream(
                stream_of("Cart"),
                NoStream,
                [placed().tenant(ours), with_json("Rated", r#"{"vip":1}"#)],
            )
            .and_events([event("Placed"), event("Else")]);
        cx.store().append(append).await?;
        let waiting: Vec<_> =
            claim(&*outbox, 100).await?.entries.into_iter().map(|entry| entry.event).collect();
        assert_eq!(waiting, found(cx.store(), filter.clone()).await?, "{filter:?}");
        cx.store().close().await?;
    }
    let off = cx.fresh(Setup::default()).await?;
    off.store().append(Append::events(events(1))).await?;
    assert!(is_empty(&*outbox_of(&off)?).await?, "the outbox was not asked for");
    off.store().close().await?;
    Ok(())
}

pub async fn what_to_publish_is_not_chosen_by_time(cx: Cx) -> CaseResult {
    let noon = time("2026-01-01T12:00:00Z");
    for filter in [Filter::all().occurred_from(noon)?, Filter::all().occurred_until(noon)?] {
        refused(ErrorKind::InvalidInput, cx.fresh(Setup::with_outbox(filter)).await)?;
    }
    Ok(())
}

pub async fn entries_come_in_log_order_as_many_as_are_asked_for(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    for _ in 0..4 {
        let append = Append::to_stream(stream(), NoStream, events(2)).and_events(events(1));
        cx.store().append(append).await?;
    }
    let mut seen = Vec::new();
    for expected in [5, 5, 2, 0] {
        let claim = claim(&*outbox, 5).await?;
        assert_eq!(claim.entries.len(), expected);
        publish(&*outbox, &claim).await?;
        seen.extend(claim.entries.into_iter().map(|entry| entry.event));
    }
    assert_eq!(positions(&seen), positions(&log_of(cx.store()).await?));
    Ok(())
}

pub async fn what_is_claimed_is_nobody_elses_until_the_lease_ends(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    cx.store().append(Append::events(events(3))).await?;
    let first = claim(&*outbox, 2).await?;
    let second = claim(&*outbox, 2).await?;
    assert_eq!((first.entries.len(), second.entries.len()), (2, 1));
    assert_ne!(first.id, second.id);
    clock.advance(MINUTE - Duration::from_secs(1));
    assert!(is_empty(&*outbox).await?);
    clock.advance(Duration::from_secs(1));
    let again = claim(&*outbox, 100).await?;
    assert_eq!(again.entries.len(), 3);
    assert_eq!(ids_of(&again.entries)[..2], ids_of(&first.entries));
    Ok(())
}

pub async fn a_stream_is_in_one_claims_hands(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    let (a, b) = (stream(), stream());
    cx.store().append(Append::to_stream(a.clone(), Any, [event("A1"), event("A2"), event("A3")])).await?;
    cx.store().append(Append::to_stream(b, Any, [event("B1")]).and_events([event("None")])).await?;
    let first = claim(&*outbox, 2).await?;
    assert_eq!(types_of(&first.entries), ["A1", "A2"]);
    let second = claim(&*outbox, 100).await?;
    assert_eq!(types_of(&second.entries), ["B1", "None"], "A3 is behind what somebody is publishing");
    outbox.settle(first.id, &[Settlement::published(first.entries[0].event.id())]).await?;
    assert!(is_empty(&*outbox).await?, "A2 is still being published");
    outbox.settle(first.id, &[Settlement::published(first.entries[1].event.id())]).await?;
    assert_eq!(types_of(&claim(&*outbox, 100).await?.entries), ["A3"]);
    cx.store().append(Append::to_stream(a, Any, [event("A4")])).await?;
    assert!(is_empty(&*outbox).await?, "A4 came behind A3, which somebody is publishing");
    Ok(())
}

pub async fn a_failed_event_holds_back_its_stream(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    let a = stream();
    cx.store().append(Append::to_stream(a, Any, [event("A1"), event("A2"), event("A3")])).await?;
    let first = claim(&*outbox, 100).await?;
    let ids = ids_of(&first.entries);
    let settlements = [
        Settlement::retry(ids[0], MINUTE, "the broker is away"),
        Settlement::released(ids[1]),
        Settlement::released(ids[2]),
    ];
    assert_eq!(outbox.settle(first.id, &settlements).await?, []);
    cx.store().append(Append::events([event("None")])).await?;
    assert_eq!(types_of(&claim(&*outbox, 100).await?.entries), ["None"]);
    clock.advance(MINUTE);
    let second = claim(&*outbox, 100).await?;
    assert_eq!(types_of(&second.entries)[..3], ["A1", "A2", "A3"]);
    assert_eq!(second.entries[0].failed_attempts, 1);
    assert_eq!(second.entries[0].last_error.as_deref(), Some("the broker is away"));
    assert_eq!((second.entries[1].failed_attempts, &second.entries[1].last_error), (0, &None));
    Ok(())
}

pub async fn a_clock_that_is_set_back_puts_nothing_before_what_waits(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    let a = stream();
    cx.store().append(Append::to_stream(stream(), Any, [event("B1")])).await?;
    cx.store().append(Append::to_stream(a.clone(), Any, [event("A1")])).await?;
    assert_eq!(types_of(&claim(&*outbox, 100).await?.entries), ["B1", "A1"]);
    cx.store().append(Append::to_stream(a, Any, [event("A2")])).await?;
    clock.advance(2 * MINUTE);
    assert_eq!(types_of(&claim(&*outbox, 1).await?.entries), ["B1"], "the lease is over");
    // Somebody who was told the time before that, and gets to claim only now, sees the same.
    clock.set_back(2 * MINUTE);
    let claimed = claim(&*outbox, 100).await?;
    let claimed = types_of(&claimed.entries);
    assert!(["A1", "A2"].starts_with(&claimed), "A1 was never published, and these are claimed: {claimed:?}");
    clock.advance(4 * MINUTE);
    assert_eq!(types_of(&claim(&*outbox, 100).await?.entries), ["B1", "A1", "A2"]);
    Ok(())
}

pub async fn an_event_that_was_given_up_lets_its_stream_go_on(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    cx.store().append(Append::to_stream(stream(), Any, [event("A1"), event("A2")])).await?;
    let first = claim(&*outbox, 1).await?;
    outbox.settle(first.id, &[Settlement::given_up(first.entries[0].event.id(), "nobody wants it")]).await?;
    assert_eq!(types_of(&claim(&*outbox, 100).await?.entries), ["A2"]);
    let failed = outbox.failed(10).await?;
    assert_eq!(types_of(&failed), ["A1"]);
    assert_eq!(failed[0].event, log_of(cx.store()).await?[0]);
    assert_eq!((failed[0].failed_attempts, failed[0].last_error.as_deref()), (1, Some("nobody wants it")));
    Ok(())
}

pub async fn failures_are_counted(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    cx.store().append(Append::events(events(1))).await?;
    for attempt in 0..4 {
        let claim = claim(&*outbox, 1).await?;
        assert_eq!(claim.entries[0].failed_attempts, attempt);
        let error = format!("attempt {attempt} \u{0} 漢");
        let retry = Settlement::retry(claim.entries[0].event.id(), Duration::ZERO, &error);
        assert_eq!(outbox.settle(claim.id, &[retry]).await?, []);
    }
    let claim = claim(&*outbox, 1).await?;
    let last = claim.entries[0].last_error.as_deref().unwrap_or_default();
    assert!(last.starts_with("attempt 3 ") && last.ends_with("漢"), "{last:?}");
    Ok(())
}

pub async fn a_claim_that_has_run_out_settles_nothing(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    cx.store().append(Append::events(events(2))).await?;
    let lost = claim(&*outbox, 100).await?;
    let ids = ids_of(&lost.entries);
    clock.advance(MINUTE);
    let every_outcome = |id: EventId| {
        [
            Settlement::published(id),
            Settlement::released(id),
            Settlement::retry(id, MINUTE, "no"),
            Settlement::given_up(id, "no"),
        ]
    };
    for settlement in every_outcome(ids[0]) {
        assert_eq!(outbox.settle(lost.id, &[settlement]).await?, [ids[0]], "nobody has it, but it ran out");
    }
    let owner = claim(&*outbox, 100).await?;
    assert_eq!(ids_of(&owner.entries), ids);
    for settlement in every_outcome(ids[1]) {
        assert_eq!(outbox.settle(lost.id, &[settlement]).await?, [ids[1]], "another has it");
    }
    assert_eq!(outbox.extend(lost.id, MINUTE).await?, 0);
    publish(&*outbox, &owner).await?;
    let settled = OutboxStatistics { published: 2, ..OutboxStatistics::default() };
    assert_eq!(outbox.statistics().await?, settled);
    // Neither does one that never was, nor one that has settled already.
    for id in [ClaimId::random(), owner.id] {
        assert_eq!(outbox.settle(id, &[Settlement::given_up(ids[0], "no")]).await?, [ids[0]]);
    }
    assert_eq!(outbox.statistics().await?, settled);
    Ok(())
}

pub async fn a_lease_can_be_extended_while_it_lasts(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    cx.store().append(Append::events(events(3))).await?;
    let held = claim(&*outbox, 100).await?;
    let step = MINUTE / 2;
    for _ in 0..4 {
        clock.advance(step);
        assert_eq!(outbox.extend(held.id, MINUTE).await?, 3);
        assert!(is_empty(&*outbox).await?);
    }
    outbox.settle(held.id, &[Settlement::published(held.entries[0].event.id())]).await?;
    assert_eq!(outbox.extend(held.id, MINUTE).await?, 2, "what is settled is held no longer");
    clock.advance(MINUTE);
    assert_eq!(outbox.extend(held.id, MINUTE).await?, 0, "it has run out");
    assert_eq!(claim(&*outbox, 100).await?.entries.len(), 2);
    Ok(())
}

pub async fn what_is_released_comes_again_at_once(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    cx.store().append(Append::to_stream(stream(), Any, events(2))).await?;
    let first = claim(&*outbox, 100).await?;
    let released: Vec<_> = ids_of(&first.entries).into_iter().map(Settlement::released).collect();
    assert_eq!(outbox.settle(first.id, &released).await?, []);
    let second = claim(&*outbox, 100).await?;
    assert_eq!(second.entries, first.entries);
    assert_eq!(outbox.settle(first.id, &released).await?, ids_of(&first.entries), "it has let go of them");
    Ok(())
}

pub async fn events_that_were_given_up_can_be_retried(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    cx.store().append(Append::events([event("A"), event("B"), event("C"), event("D")])).await?;
    let first = claim(&*outbox, 3).await?;
    let ids = ids_of(&first.entries);
    let given_up: Vec<_> = ids.iter().map(|id| Settlement::given_up(*id, "no")).collect();
    outbox.settle(first.id, &given_up).await?;
    assert_eq!(types_of(&outbox.failed(2).await?), ["A", "B"]);
    assert_eq!(outbox.retry_failed(Some(&[ids[1], EventId::random()])).await?, 1);
    let second = claim(&*outbox, 100).await?;
    assert_eq!(types_of(&second.entries), ["B", "D"], "in log order");
    assert_eq!(second.entries[0].failed_attempts, 0, "as if nobody had tried");
    publish(&*outbox, &second).await?;
    assert_eq!(outbox.retry_failed(Some(&[])).await?, 0);
    assert_eq!(outbox.retry_failed(None).await?, 2);
    assert_eq!(types_of(&claim(&*outbox, 100).await?.entries), ["A", "C"]);
    assert!(outbox.failed(10).await?.is_empty());
    Ok(())
}

pub async fn what_was_published_long_ago_is_deleted(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    cx.store().append(Append::events(events(3))).await?;
    for _ in 0..2 {
        publish(&*outbox, &claim(&*outbox, 1).await?).await?;
        clock.advance(MINUTE);
    }
    assert_eq!(outbox.delete_published(MINUTE * 3).await?, 0);
    assert_eq!(outbox.delete_published(MINUTE * 2).await?, 1);
    assert_eq!(outbox.delete_published(Duration::ZERO).await?, 1);
    assert_eq!(outbox.delete_published(Duration::MAX).await?, 0);
    let statistics = outbox.statistics().await?;
    assert_eq!((statistics.published, statistics.pending), (0, 1), "what waits is never deleted");
    assert_eq!(log_of(cx.store()).await?.len(), 3, "the log keeps everything");
    Ok(())
}

pub async fn statistics_count_every_state(cx: Cx) -> CaseResult {
    let (cx, outbox, clock) = given(&cx).await?;
    assert_eq!(outbox.statistics().await?, OutboxStatistics::default());
    cx.store().append(Append::events(events(6))).await?;
    clock.advance(Duration::from_secs(5));
    let first = claim(&*outbox, 5).await?;
    let ids = ids_of(&first.entries);
    let settlements = [
        Settlement::published(ids[0]),
        Settlement::published(ids[1]),
        Settlement::given_up(ids[2], "no"),
        Settlement::retry(ids[3], MINUTE, "not yet"),
    ];
    outbox.settle(first.id, &settlements).await?;
    let counted = OutboxStatistics {
        pending: 2,
        in_flight: 1,
        published: 2,
        failed: 1,
        oldest_pending: Some(Duration::from_secs(5)),
    };
    assert_eq!(outbox.statistics().await?, counted);
    clock.advance(MINUTE);
    let later = OutboxStatistics {
        pending: 3,
        in_flight: 0,
        oldest_pending: Some(MINUTE + Duration::from_secs(5)),
        ..counted
    };
    assert_eq!(outbox.statistics().await?, later, "the lease has run out");
    Ok(())
}

pub async fn what_waits_survives_reopening(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    cx.store().append(Append::to_stream(stream(), Any, events(3))).await?;
    let first = claim(&*outbox, 2).await?;
    let settlement = Settlement::published(first.entries[0].event.id());
    outbox.settle(first.id, &[settlement]).await?;
    if !cx.store().capabilities().has(Capability::Durable) {
        cx.store().close().await?;
        refused(ErrorKind::Unsupported, cx.open().await)?;
        return Ok(());
    }
    cx.store().close().await?;
    let reopened = cx.log().open().await?;
    let outbox = reopened.outbox.clone().ok_or_else(|| Failure::new("a reopened store has no outbox"))?;
    let statistics = outbox.statistics().await?;
    assert_eq!((statistics.published, statistics.in_flight, statistics.pending), (1, 1, 1));
    assert_eq!(outbox.extend(first.id, MINUTE).await?, 1, "a claim is its worker's, not the store object's");
    reopened.events.append(Append::events([event("After")])).await?;
    assert_eq!(types_of(&claim(&*outbox, 100).await?.entries), ["After"]);
    reopened.events.close().await?;
    Ok(())
}

pub async fn a_closed_stores_outbox_is_unavailable(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    cx.store().append(Append::events(events(1))).await?;
    cx.store().close().await?;
    let (request, id) = (ClaimRequest::new("late", 1, MINUTE)?, ClaimId::random());
    closed(outbox.claim(&request).await)?;
    closed(outbox.settle(id, &[Settlement::published(EventId::random())]).await)?;
    closed(outbox.extend(id, MINUTE).await)?;
    closed(outbox.failed(1).await)?;
    closed(outbox.retry_failed(None).await)?;
    closed(outbox.delete_published(MINUTE).await)?;
    closed(outbox.statistics().await)?;
    Ok(())
}
