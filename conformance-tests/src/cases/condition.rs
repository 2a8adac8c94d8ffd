//! What guards a boundary: "nothing that matches lies after this position".

use eventsource_core::{
    Append, AppendCondition, Conflict, EventStoreExt, ExpectedVersion, Filter, FilterItem, Position,
};

use crate::given::{
    conflict, event, events, found, log_of, positions, race, stream, stream_of, tag, tagged, tenant, time,
    types, with_json,
};
use crate::{CaseResult, Cx};

/// The conflict that names this event.
fn named(position: Position, event_type: &str) -> Conflict {
    Conflict::Condition { position, event_type: event_type.try_into().expect("a valid type") }
}

pub async fn a_condition_on_an_empty_log_holds(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(1)).fail_if(Filter::all())).await?;
    Ok(())
}

pub async fn a_match_refuses_and_is_named(cx: Cx) -> CaseResult {
    let stored = cx.store().append(Append::events([tagged("Claimed", "username", "ann")])).await?;
    let again = Append::events([tagged("Claimed", "username", "ann")]).fail_if(tag("username", "ann"));
    assert_eq!(conflict(cx.store().append(again).await)?, named(stored.first, "Claimed"));
    assert_eq!(log_of(cx.store()).await?.len(), 1);
    Ok(())
}

pub async fn the_first_match_after_the_position_is_named(cx: Cx) -> CaseResult {
    let mine = || tagged("Mine", "course", "c1");
    cx.store().append(Append::events([mine(), event("Other"), mine(), event("Other"), mine()])).await?;
    let log = positions(&log_of(cx.store()).await?);
    for (after, first) in [(Position::START, 0), (log[0], 2), (log[1], 2), (log[2], 4), (log[3], 4)] {
        let append = Append::events(events(1)).fail_if(tag("course", "c1")).after(after);
        assert_eq!(conflict(cx.store().append(append).await)?, named(log[first], "Mine"), "after {after}");
    }
    cx.store().append(Append::events(events(1)).fail_if(tag("course", "c1")).after(log[4])).await?;
    Ok(())
}

pub async fn a_match_at_the_position_is_overlooked(cx: Cx) -> CaseResult {
    let stored = cx.store().append(Append::events([tagged("Claimed", "username", "ann")])).await?;
    let next = Append::events(events(1)).fail_if(tag("username", "ann")).after(stored.last);
    cx.store().append(next).await?;
    Ok(())
}

pub async fn without_a_position_any_match_ever_refuses(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([tagged("Claimed", "username", "ann")])).await?;
    cx.store().append(Append::events(events(50))).await?;
    conflict(cx.store().append(Append::events(events(1)).fail_if(tag("username", "ann"))).await)?;
    Ok(())
}

pub async fn unrelated_events_do_not_refuse(cx: Cx) -> CaseResult {
    let before = cx.store().append(Append::events([tagged("Claimed", "username", "ann")])).await?;
    let others = [tagged("Claimed", "username", "bob"), tagged("Released", "user", "ann"), event("Claimed")];
    cx.store().append(Append::events(others)).await?;
    let boundary = Filter::any_of([FilterItem::new().event_type("Claimed")?.tag("username", "ann")?])?;
    cx.store().append(Append::events(events(1)).fail_if(boundary).after(before.last)).await?;
    Ok(())
}

pub async fn the_position_may_lie_beyond_the_last_match(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([tagged("Claimed", "username", "ann")])).await?;
    cx.store().append(Append::events(events(5))).await?;
    let seen = cx.store().query(&tag("username", "ann")).await?;
    assert!(seen.head > seen.events[0].position());
    let claim = || {
        Append::events([tagged("Claimed", "username", "ann")])
            .fail_if(tag("username", "ann"))
            .after(seen.head)
    };
    let won = cx.store().append(claim()).await?;
    assert_eq!(conflict(cx.store().append(claim()).await)?, named(won.first, "Claimed"));
    Ok(())
}

pub async fn a_position_beyond_the_head_overlooks_everything_stored(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    cx.store().append(Append::events(events(1)).fail_if(Filter::all()).after(Position::MAX)).await?;
    Ok(())
}

pub async fn an_append_is_not_refused_by_its_own_events(cx: Cx) -> CaseResult {
    let claims = (0..3).map(|_| tagged("Claimed", "username", "ann"));
    cx.store().append(Append::events(claims).fail_if(tag("username", "ann"))).await?;
    assert_eq!(log_of(cx.store()).await?.len(), 3);
    Ok(())
}

pub async fn what_is_appended_need_not_match_the_condition(cx: Cx) -> CaseResult {
    let enrol = || Append::events([tagged("Enrolled", "student", "s1")]).fail_if(types(["SchoolClosed"]));
    cx.store().append(enrol()).await?;
    cx.store().append(enrol()).await?;
    let closed = cx.store().append(Append::events([event("SchoolClosed")])).await?;
    assert_eq!(conflict(cx.store().append(enrol()).await)?, named(closed.first, "SchoolClosed"));
    Ok(())
}

pub async fn a_conflict_may_go_one_way_only(cx: Cx) -> CaseResult {
    // Expelling ignores subscriptions; subscribing does not ignore expulsions.
    let head = cx.store().append(Append::events([tagged("Admitted", "student", "s1")])).await?.last;
    let expel = |after| {
        let expulsion = tagged("Expelled", "student", "s1");
        Append::events([expulsion]).fail_if(types(["Expelled"])).after(after)
    };
    let subscribe = |after| {
        let subscription = tagged("Subscribed", "student", "s1");
        Append::events([subscription]).fail_if(types(["Expelled"])).after(after)
    };
    cx.store().append(subscribe(head)).await?;
    let expelled = cx.store().append(expel(head)).await?;
    assert_eq!(conflict(cx.store().append(subscribe(head)).await)?, named(expelled.first, "Expelled"));
    Ok(())
}

pub async fn each_item_of_a_condition_refuses(cx: Cx) -> CaseResult {
    let boundary = Filter::any_of([
        FilterItem::new().tag("course", "c1")?,
        FilterItem::new().event_types(["SchoolClosed", "SchoolSold"])?,
        FilterItem::new().event_type("Enrolled")?.tag("student", "s1")?.tag("course", "c2")?,
        FilterItem::new().tag("student", "s2")?,
    ])?;
    let log = [
        tagged("Enrolled", "student", "s1"),
        tagged("CourseDefined", "course", "c1"),
        event("SchoolSold"),
        tagged("Enrolled", "student", "s1").tag("course", "c2")?,
        tagged("Enrolled", "student", "s2"),
    ];
    let log: Vec<_> = log.into_iter().map(|event| (event.event_type().clone(), event)).collect();
    let mut before = Position::START;
    for (index, (event_type, matching)) in log.into_iter().enumerate() {
        let stored = cx.store().append(Append::events([matching])).await?;
        // Alone, and as one of several events: a store may have a way of its own for either.
        for count in [1, 2] {
            let guarded = Append::events(events(count)).fail_if(boundary.clone()).after(before);
            let result = cx.store().append(guarded).await;
            if index == 0 {
                before = result?.last;
            } else {
                assert_eq!(conflict(result)?, named(stored.first, event_type.as_str()));
            }
        }
        before = before.max(stored.last);
    }
    Ok(())
}

pub async fn all_conditions_must_hold_and_the_first_broken_is_named(cx: Cx) -> CaseResult {
    let a = cx.store().append(Append::events([event("A")])).await?.first;
    let b = cx.store().append(Append::events([event("B")])).await?.first;
    let with = |filters: &[&str]| {
        filters.iter().fold(Append::events(events(1)), |append, name| append.fail_if(types([*name])))
    };
    assert_eq!(conflict(cx.store().append(with(&["X", "B", "A"])).await)?, named(b, "B"));
    assert_eq!(conflict(cx.store().append(with(&["Y", "A", "B"])).await)?, named(a, "A"));
    cx.store().append(with(&["X", "Y"])).await?;
    Ok(())
}

pub async fn each_condition_has_its_own_position(cx: Cx) -> CaseResult {
    let a = cx.store().append(Append::events([event("A")])).await?.last;
    let b = cx.store().append(Append::events([event("B")])).await?.last;
    let append = |a, b| {
        let conditions =
            [AppendCondition::new(types(["A"])).after(a), AppendCondition::new(types(["B"])).after(b)];
        conditions.into_iter().fold(Append::events(events(1)), Append::condition)
    };
    conflict(cx.store().append(append(a, a)).await)?;
    cx.store().append(append(a, b)).await?;
    Ok(())
}

pub async fn versions_are_judged_before_conditions(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("A")])).await?;
    let (stream, expected) = (stream(), ExpectedVersion::StreamExists);
    let both = Append::to_stream(stream.clone(), expected, events(1)).fail_if(types(["A"]));
    assert_eq!(
        conflict(cx.store().append(both).await)?,
        Conflict::StreamVersion { stream, expected, actual: None }
    );
    Ok(())
}

pub async fn every_kind_of_filter_can_be_a_condition(cx: Cx) -> CaseResult {
    let (tenant, stream) = (tenant(), stream_of("Course"));
    let taught = with_json("Taught", r#"{"room":{"floor":2}}"#)
        .tag("course", "c1")?
        .tag("teacher", "t1")?
        .tenant(tenant)
        .occurred_at(time("2020-06-15T12:00:00Z"))?;
    let stored = cx.store().append(Append::to_stream(stream.clone(), ExpectedVersion::Any, [taught])).await?;
    cx.store().append(Append::events(events(20))).await?;
    let matching = [
        Filter::all(),
        Filter::all().in_tenant(tenant),
        Filter::all().in_stream(stream),
        Filter::all().of_aggregate_type("Course".try_into()?),
        Filter::all().occurred_until(time("2020-06-15T12:00:00Z"))?,
        types(["Taught", "Never"]),
        tag("course", "c1"),
        Filter::any_of([FilterItem::new().tag("course", "c1")?.tag("teacher", "t1")?])?,
        Filter::any_of([FilterItem::new().all_payload(["room", "floor"], 2)?])?,
        Filter::any_of([
            FilterItem::new().tag("no", "such")?,
            FilterItem::new().any_payload(["room", "floor"], 2)?,
        ])?,
    ];
    for filter in matching {
        let verdict = cx.store().append(Append::events(events(1)).fail_if(filter.clone())).await;
        assert_eq!(conflict(verdict)?, named(stored.first, "Taught"), "{filter:?}");
    }
    let elsewhere = [
        Filter::all().in_tenant(crate::given::tenant()),
        Filter::all().in_stream(crate::given::stream()),
        Filter::all().of_aggregate_type("course".try_into()?),
        Filter::any_of([FilterItem::new().tag("course", "c1")?.tag("teacher", "t2")?])?,
        Filter::any_of([FilterItem::new().all_payload(["room", "floor"], "2")?])?,
    ];
    for filter in elsewhere {
        cx.store().append(Append::events(events(1)).fail_if(filter)).await?;
    }
    Ok(())
}

pub async fn a_condition_sees_what_streams_hold(cx: Cx) -> CaseResult {
    let stream = stream();
    let append = Append::to_stream(stream, ExpectedVersion::Any, [tagged("Claimed", "username", "ann")]);
    let stored = cx.store().append(append).await?;
    let claim = Append::events(events(1)).fail_if(tag("username", "ann"));
    assert_eq!(conflict(cx.store().append(claim).await)?, named(stored.first, "Claimed"));
    Ok(())
}

pub async fn of_eight_racers_on_one_boundary_one_wins(cx: Cx) -> CaseResult {
    for round in 0..10 {
        let name = format!("user{round}");
        let claims = (0..8)
            .map(|_| Append::events([tagged("Claimed", "username", &name)]).fail_if(tag("username", &name)));
        let results = race(cx.store(), claims).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        let stored = found(cx.store(), tag("username", &name)).await?;
        assert_eq!(stored.len(), 1);
        for lost in results.into_iter().filter(Result::is_err) {
            assert_eq!(conflict(lost)?, named(stored[0].position(), "Claimed"));
        }
    }
    Ok(())
}

pub async fn disjoint_boundaries_never_conflict(cx: Cx) -> CaseResult {
    let claims = (0..64).map(|racer| {
        let name = format!("user{racer}");
        Append::events([tagged("Claimed", "username", &name)]).fail_if(tag("username", &name))
    });
    for result in race(cx.store(), claims).await {
        result?;
    }
    Ok(())
}

pub async fn no_decision_is_lost_to_concurrent_ones(cx: Cx) -> CaseResult {
    // A counter: each increment is decided on the count that was read, and decided again after a conflict.
    let boundary = tag("counter", "visits");
    let visitors: Vec<_> = (0..8)
        .map(|_| {
            let (store, boundary) = (cx.store().clone(), boundary.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    loop {
                        let seen = store.query(&boundary).await?;
                        let visit = tagged(&format!("Visit{}", seen.events.len() + 1), "counter", "visits");
                        let append = Append::events([visit]).fail_if(boundary.clone()).after(seen.head);
                        match store.append(append).await {
                            Ok(_) => break,
                            Err(error) if error.is_conflict() => tokio::task::yield_now().await,
                            Err(error) => return Err(error),
                        }
                    }
                }
                Ok(())
            })
        })
        .collect();
    for visitor in visitors {
        visitor.await??;
    }
    let visits = found(cx.store(), boundary).await?;
    let expected: Vec<_> = (1..=40).map(|visit| format!("Visit{visit}")).collect();
    assert_eq!(crate::given::names(&visits), expected);
    Ok(())
}

pub async fn a_hundred_conditions_are_all_judged(cx: Cx) -> CaseResult {
    let stored = cx.store().append(Append::events([tagged("Claimed", "seat", "s99")])).await?;
    let with = |count: usize| {
        (0..count)
            .fold(Append::events(events(1)), |append, seat| append.fail_if(tag("seat", &format!("s{seat}"))))
    };
    cx.store().append(with(99)).await?;
    assert_eq!(conflict(cx.store().append(with(100)).await)?, named(stored.first, "Claimed"));
    Ok(())
}
