//! What a store without a capability does instead: it says so, and nothing pretends.

use eventsource_core::{Append, Capability, ErrorKind, EventStore, Position};

use crate::given::{events, log_of, refused};
use crate::{Body, CaseResult, Cx, Setup};

/// What runs in place of a case that needs `capability`.
pub(crate) fn of(capability: Capability) -> Body {
    match capability {
        Capability::Durable => |cx| Box::pin(durable(cx)),
        Capability::Shared => |cx| Box::pin(shared(cx)),
        Capability::Transactional => |cx| Box::pin(transactional(cx)),
        Capability::Outbox => |cx| Box::pin(outbox(cx)),
        Capability::Snapshots => |cx| Box::pin(snapshots(cx)),
        Capability::Checkpoints => |cx| Box::pin(checkpoints(cx)),
        Capability::DeadLetters => |cx| Box::pin(dead_letters(cx)),
        Capability::Leases => |cx| Box::pin(leases(cx)),
        Capability::Inline => |cx| Box::pin(inline(cx)),
        _ => panic!("{capability} has no refusal"),
    }
}

/// The log is gone with its store: nothing opens it again, and a fresh one is empty.
async fn durable(cx: Cx) -> CaseResult {
    assert!(!cx.store().capabilities().has(Capability::Durable));
    cx.store().append(Append::events(events(1))).await?;
    cx.store().close().await?;
    refused(ErrorKind::Unsupported, cx.open().await)?;
    refused(ErrorKind::Unsupported, cx.log().damage(Position::START).await)?;
    let other = cx.fresh(Setup::default()).await?;
    assert!(log_of(other.store()).await?.is_empty(), "one store's events are seen in another");
    Ok(())
}

/// There is no address to find the log by from elsewhere.
async fn shared(cx: Cx) -> CaseResult {
    assert!(!cx.store().capabilities().has(Capability::Shared));
    assert_eq!(cx.log().address(), None);
    refused(ErrorKind::Unsupported, cx.attach("anywhere").await)?;
    Ok(())
}

/// There is no transaction to join.
async fn transactional(cx: Cx) -> CaseResult {
    assert!(!cx.store().capabilities().has(Capability::Transactional));
    refused(ErrorKind::Unsupported, cx.log().hold(Append::events(events(1))).await)?;
    refused(ErrorKind::Unsupported, cx.log().own_rows().await)?;
    assert!(cx.stores().view.is_none());
    assert!(log_of(cx.store()).await?.is_empty());
    Ok(())
}

/// There is no outbox, so nothing waits in vain to be published.
async fn outbox(cx: Cx) -> CaseResult {
    assert!(!cx.store().capabilities().has(Capability::Outbox));
    assert!(cx.stores().outbox.is_none(), "an outbox that the store does not declare");
    Ok(())
}

/// There is nowhere to keep a snapshot.
async fn snapshots(cx: Cx) -> CaseResult {
    assert!(!cx.store().capabilities().has(Capability::Snapshots));
    assert!(cx.snapshots().is_err(), "the harness brings what the store does not declare");
    Ok(())
}

/// Nothing keeps checkpoints.
async fn checkpoints(cx: Cx) -> CaseResult {
    assert!(!cx.store().capabilities().has(Capability::Checkpoints));
    assert!(cx.stores().checkpoints.is_none() && cx.stores().identity.is_none());
    Ok(())
}

/// Nothing keeps dead letters.
async fn dead_letters(cx: Cx) -> CaseResult {
    assert!(!cx.store().capabilities().has(Capability::DeadLetters));
    assert!(cx.stores().dead_letters.is_none());
    Ok(())
}

/// Nothing keeps leases.
async fn leases(cx: Cx) -> CaseResult {
    assert!(!cx.store().capabilities().has(Capability::Leases));
    assert!(cx.stores().leases.is_none());
    Ok(())
}

/// No view is kept within the appends, and nobody is given one in the belief.
async fn inline(cx: Cx) -> CaseResult {
    assert!(!cx.store().capabilities().has(Capability::Inline));
    refused(ErrorKind::Unsupported, cx.attach_inline("anywhere").await)?;
    Ok(())
}
