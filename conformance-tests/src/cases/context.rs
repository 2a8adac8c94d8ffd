//! What is known of a request reaches the events that come of it.

use eventsource_core::{
    Append, Context, ErrorKind, EventId, EventStore, EventStoreExt, ExpectedVersion, Filter, Metadata,
    NewEvent, ReadOptions, RecordedEvent,
};
use uuid::Uuid;

use crate::given::{event, events, found, log_of, refused, stream, tenant};
use crate::{CaseResult, Cx};

fn context() -> CaseResult<Context> {
    Ok(Context::new().correlated(Uuid::now_v7()).caused_by(EventId::random()).actor("ann")?.tenant(tenant()))
}

fn carries(event: &RecordedEvent, context: &Context) -> bool {
    let metadata = event.metadata();
    metadata.correlation_id() == context.correlation_id()
        && metadata.causation_id() == context.causation_id()
        && metadata.actor_id() == context.actor_id()
        && metadata.tenant_id() == context.tenant_id()
}

pub async fn every_event_of_an_append_carries_the_context(cx: Cx) -> CaseResult {
    let context = context()?;
    let append = Append::to_stream(stream(), ExpectedVersion::NoStream, events(2))
        .and_events(events(1))
        .and_stream(stream(), ExpectedVersion::Any, events(2));
    cx.store().in_context(context.clone()).append(append).await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(log.len(), 5);
    assert!(log.iter().all(|event| carries(event, &context)));
    Ok(())
}

pub async fn what_an_event_says_itself_stays(cx: Cx) -> CaseResult {
    let context = context()?;
    let own = Metadata::new().actor("bob")?.correlated(Uuid::now_v7()).entry("client", "app")?;
    cx.store().in_context(context.clone()).append(Append::events([event("A").metadata(own.clone())])).await?;
    let stored = log_of(cx.store()).await?[0].metadata().clone();
    assert_eq!((stored.actor_id(), stored.correlation_id()), (own.actor_id(), own.correlation_id()));
    assert_eq!(stored.entries(), own.entries());
    assert_eq!((stored.causation_id(), stored.tenant_id()), (context.causation_id(), context.tenant_id()));
    Ok(())
}

pub async fn what_follows_from_an_event_is_caused_by_it(cx: Cx) -> CaseResult {
    let request = Context::new().correlated(Uuid::now_v7()).actor("ann")?.tenant(tenant());
    cx.store().in_context(request.clone()).append(Append::events([event("Placed")])).await?;
    for name in ["Paid", "Shipped"] {
        let handled = cx.store().last(&Filter::all()).await?.expect("it was appended");
        cx.store().in_context(Context::from_event(&handled)).append(Append::events([event(name)])).await?;
    }
    let log = log_of(cx.store()).await?;
    assert!(carries(&log[0], &request));
    for pair in log.windows(2) {
        assert!(carries(&pair[1], &request.clone().caused_by(pair[0].id())));
    }
    Ok(())
}

pub async fn a_correlation_begins_with_the_first_event_that_has_none(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("Placed")])).await?;
    for name in ["Paid", "Shipped"] {
        let handled = cx.store().last(&Filter::all()).await?.expect("it was appended");
        cx.store().in_context(Context::from_event(&handled)).append(Append::events([event(name)])).await?;
    }
    let log = log_of(cx.store()).await?;
    assert_eq!(log[0].metadata().correlation_id(), None);
    for event in &log[1..] {
        assert_eq!(event.metadata().correlation_id(), Some(log[0].id().as_uuid()));
    }
    Ok(())
}

pub async fn another_tenants_event_is_refused_with_all_others(cx: Cx) -> CaseResult {
    let context = context()?;
    let append = Append::events([event("A"), event("B").tenant(tenant())]);
    refused(ErrorKind::InvalidInput, cx.store().in_context(context.clone()).append(append).await)?;
    assert!(log_of(cx.store()).await?.is_empty());
    let own = context.tenant_id().expect("it has one");
    cx.store().in_context(context).append(Append::events([event("A").tenant(own), event("B")])).await?;
    assert_eq!(found(cx.store(), Filter::all().in_tenant(own)).await?.len(), 2);
    Ok(())
}

pub async fn a_retry_in_the_same_context_is_known(cx: Cx) -> CaseResult {
    let context = context()?;
    let append = Append::to_stream(stream(), ExpectedVersion::NoStream, [event("A")]);
    assert!(!cx.store().in_context(context.clone()).append(append.clone()).await?.replayed);
    assert!(cx.store().in_context(context).append(append).await?.replayed);
    Ok(())
}

pub async fn a_store_in_a_context_is_the_store_in_everything_else(cx: Cx) -> CaseResult {
    let (store, stream) = (cx.store().in_context(context()?), stream());
    let mut changes = store.changes();
    let appended = store.append_to_stream(stream.clone(), ExpectedVersion::NoStream, events(3)).await?;
    changes.changed().await?;
    assert_eq!(store.head().await?, cx.store().head().await?);
    assert_eq!(store.stream_version(&stream).await?, appended.version_of(&stream));
    assert_eq!(store.capabilities(), cx.store().capabilities());
    let options = ReadOptions::new().limit(2).backward();
    let page = store.read_page(&Filter::all(), &options).await?;
    assert_eq!(page.events, cx.store().read_page(&Filter::all(), &options).await?.events);
    // Reading is not narrowed to the context's tenant.
    cx.store().append(Append::events([NewEvent::new("Nobodys", &())?])).await?;
    assert_eq!(store.query(&Filter::all()).await?.events.len(), 4);
    store.close().await?;
    refused(ErrorKind::Unavailable, cx.store().head().await)?;
    Ok(())
}
