//! <https://dcb.events/examples/prevent-record-duplication/>: a form that is sent twice is one order.

use eventsource_core::{Append, EventId};

use crate::given::{conflict, event, found, race, tag};
use crate::{CaseResult, Cx};

/// An order under the token that the form was given; a new event each time.
fn order(order: &str, token: &str) -> CaseResult<Append> {
    let placed = event("OrderPlaced").id(EventId::random()).tag("order", order)?.tag("idempotency", token)?;
    Ok(Append::events([placed]).fail_if(tag("idempotency", token)))
}

pub async fn a_form_that_is_sent_again_is_refused(cx: Cx) -> CaseResult {
    cx.store().append(order("o1", "t1")?).await?;
    conflict(cx.store().append(order("o2", "t1")?).await)?;
    cx.store().append(order("o2", "t2")?).await?;
    Ok(())
}

pub async fn a_form_that_is_sent_many_times_at_once_is_one_order(cx: Cx) -> CaseResult {
    let orders = (0..8).map(|number| order(&format!("o{number}"), "t1")).collect::<CaseResult<Vec<_>>>()?;
    let results = race(cx.store(), orders).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(found(cx.store(), tag("idempotency", "t1")).await?.len(), 1);
    Ok(())
}
