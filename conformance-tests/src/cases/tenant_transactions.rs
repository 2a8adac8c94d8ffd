//! A tenant's appends in a transaction of the caller's.

use std::sync::Arc;

use eventsource_core::{
    Append, Conflict, Error, ErrorKind, EventStore, EventStoreExt, ExpectedVersion, Filter, Result, StreamId,
    TenantStore,
};

use crate::given::{conflict, event, events, found, log_of, names, refused, stream, tagged, tenant};
use crate::{CaseResult, Cx, Failure, Held};

type View = TenantStore<Arc<dyn EventStore>>;

fn two(cx: &Cx) -> (View, View) {
    let view = || TenantStore::new(cx.store().clone(), tenant());
    (view(), view())
}

/// Appends in a transaction that is left open.
async fn hold(cx: &Cx, view: &View, append: Append) -> Result<Box<dyn Held>> {
    let append = view.prepare(append).await?;
    match cx.log().hold(append).await {
        Ok(held) => Ok(held),
        Err(error) => Err(view.refusal(error).await),
    }
}

fn any(stream: &StreamId, name: &str) -> Append {
    Append::to_stream(stream.clone(), ExpectedVersion::Any, [event(name)])
}

pub async fn what_a_tenant_appends_in_a_transaction_is_its_own(cx: Cx) -> CaseResult {
    let ((mine, other), order) = (two(&cx), stream());
    other.append(Append::events([tagged("Claimed", "username", "ann")])).await?;
    // The other tenant's user of that name is of no concern.
    let append = any(&order, "Ordered").fail_if(Filter::tagged("username", "ann")?);
    hold(&cx, &mine, append).await?.commit().await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(log.last().and_then(|last| last.metadata().tenant_id()), Some(mine.tenant()));
    assert_eq!(names(&mine.query(&Filter::all()).await?.events), ["Ordered"]);
    assert_eq!(names(&other.query(&Filter::all()).await?.events), ["Claimed"]);
    // One's own is.
    mine.append(Append::events([tagged("Claimed", "username", "ann")])).await?;
    let append = any(&order, "Ordered").fail_if(Filter::tagged("username", "ann")?);
    conflict(hold(&cx, &mine, append).await)?;
    hold(&cx, &mine, any(&order, "Paid")).await?.roll_back().await?;
    assert_eq!(names(&found(&mine, Filter::all().in_stream(order)).await?), ["Ordered"]);
    Ok(())
}

pub async fn another_tenants_stream_is_refused_in_a_transaction(cx: Cx) -> CaseResult {
    let ((mine, other), theirs) = (two(&cx), stream());
    other.append(any(&theirs, "Theirs")).await?;
    for expected in [ExpectedVersion::Any, ExpectedVersion::StreamExists, ExpectedVersion::NoStream] {
        let append = Append::to_stream(theirs.clone(), expected, events(1));
        refused(ErrorKind::InvalidInput, hold(&cx, &mine, append).await)?;
    }
    let stamped = Append::events([event("Stamped").tenant(other.tenant())]);
    refused(ErrorKind::InvalidInput, hold(&cx, &mine, stamped).await)?;
    assert_eq!((log_of(cx.store()).await?.len(), cx.log().own_rows().await?), (1, 0));
    Ok(())
}

pub async fn a_stream_that_somebody_creates_meanwhile_is_not_taken(cx: Cx) -> CaseResult {
    let ((mine, other), [theirs, own]) = (two(&cx), [stream(), stream()]);
    let refusal = async |append| match cx.log().hold(append).await {
        Ok(_) => Err(Failure::new("the stream was taken")),
        Err(error) => CaseResult::<Error>::Ok(mine.refusal(error).await),
    };
    let append = mine.prepare(any(&theirs, "Mine")).await?;
    other.append(any(&theirs, "Theirs")).await?;
    assert_eq!(refusal(append).await?.kind(), ErrorKind::InvalidInput);
    // By oneself: done again, it is appended.
    let append = mine.prepare(any(&own, "Late")).await?;
    mine.append(any(&own, "Early")).await?;
    assert!(refusal(append).await?.is_conflict());
    hold(&cx, &mine, any(&own, "Late")).await?.commit().await?;
    assert_eq!(names(&found(&mine, Filter::all().in_stream(own)).await?), ["Early", "Late"]);
    assert_eq!(names(&found(&other, Filter::all().in_stream(theirs)).await?), ["Theirs"]);
    Ok(())
}

pub async fn a_stream_that_is_expected_in_a_transaction_must_exist(cx: Cx) -> CaseResult {
    let ((mine, _), absent) = (two(&cx), stream());
    let append = Append::to_stream(absent.clone(), ExpectedVersion::StreamExists, events(1));
    let refused = conflict(hold(&cx, &mine, append).await)?;
    let expected = ExpectedVersion::StreamExists;
    assert_eq!(refused, Conflict::StreamVersion { stream: absent, expected, actual: None });
    assert_eq!(cx.log().own_rows().await?, 0);
    Ok(())
}
