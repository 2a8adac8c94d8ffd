//! Whose data is seen by whom.

use eventsource_core::{Append, EventStoreExt, ExpectedVersion, Filter, RecordedEvent};

use crate::given::{conflict, event, events, found, log_of, names, stream, tag, tagged, tenant};
use crate::{CaseResult, Cx, Setup};

pub async fn tenants_never_see_each_other(cx: Cx) -> CaseResult {
    let (mine, other) = (tenant(), tenant());
    for number in 0..40 {
        let whose = if number % 2 == 0 { mine } else { other };
        let named = if number % 2 == 0 { "Mine" } else { "Other" };
        cx.store().append(Append::events([tagged(named, "order", "o1").tenant(whose)])).await?;
    }
    for filter in [Filter::all().in_tenant(mine), tag("order", "o1").in_tenant(mine)] {
        let found = found(cx.store(), filter.clone()).await?;
        assert_eq!(found.len(), 20);
        assert!(found.iter().all(|event| event.metadata().tenant_id() == Some(mine)));
        let newest = cx.store().last(&filter).await?;
        assert_eq!(newest.and_then(|event| event.metadata().tenant_id()), Some(mine));
    }
    Ok(())
}

pub async fn an_event_without_a_tenant_is_nobodys(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("Nobodys"), event("Mine").tenant(tenant())])).await?;
    assert!(found(cx.store(), Filter::all().in_tenant(tenant())).await?.is_empty());
    assert_eq!(names(&log_of(cx.store()).await?), ["Nobodys", "Mine"]);
    Ok(())
}

pub async fn a_tenants_condition_overlooks_the_others(cx: Cx) -> CaseResult {
    let (mine, other) = (tenant(), tenant());
    let claim = |tenant| {
        Append::events([tagged("Claimed", "username", "ann").tenant(tenant)])
            .fail_if(tag("username", "ann").in_tenant(tenant))
    };
    cx.store().append(claim(mine)).await?;
    cx.store().append(claim(other)).await?;
    conflict(cx.store().append(claim(mine)).await)?;
    Ok(())
}

pub async fn a_tenants_page_counts_its_own_events(cx: Cx) -> CaseResult {
    let mine = tenant();
    for _ in 0..5 {
        cx.store().append(Append::events(events(50))).await?;
        cx.store().append(Append::events([event("Mine").tenant(mine)])).await?;
    }
    let options = eventsource_core::ReadOptions::new().limit(3);
    let page = cx.store().read_page(&Filter::all().in_tenant(mine), &options).await?;
    assert_eq!(names(&page.events), ["Mine"; 3]);
    Ok(())
}

pub async fn two_logs_know_nothing_of_each_other(cx: Cx) -> CaseResult {
    let other = cx.fresh(Setup::default()).await?;
    let (stream, shared) = (stream(), tagged("Claimed", "username", "ann"));
    let append = Append::to_stream(stream.clone(), ExpectedVersion::NoStream, [shared])
        .fail_if(tag("username", "ann"));
    cx.store().append(append.clone()).await?;
    assert!(log_of(other.store()).await?.is_empty());
    assert!(!other.store().exists(&stream).await?);
    assert!(!other.store().append(append).await?.replayed);
    let ids = |log: Vec<RecordedEvent>| log.iter().map(RecordedEvent::id).collect::<Vec<_>>();
    assert_eq!(ids(log_of(cx.store()).await?), ids(log_of(other.store()).await?));
    Ok(())
}
