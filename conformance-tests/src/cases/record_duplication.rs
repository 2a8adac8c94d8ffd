//! <https://dcb.events/examples/prevent-record-duplication/>: a form that is sent twice is one order.

use eventsource_core::{Append, Boundary, Decision, DomainEvent, EventStore, Result, Tag, decision};
use serde::{Deserialize, Serialize};

use crate::given::{decided, found, race, tag};
use crate::{CaseResult, Cx};

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum OrderEvent {
    OrderPlaced { order: String, token: String },
}

use OrderEvent::OrderPlaced;

impl DomainEvent for OrderEvent {
    fn tags(&self) -> Result<Vec<Tag>> {
        let OrderPlaced { order, token } = self;
        Ok(vec![Tag::new("order", order)?, Tag::new("idempotency", token)?])
    }
}

/// An order under the token that the form was given; a new event each time.
fn placement(order: &str, token: &str) -> impl Decision<Event = OrderEvent, Rejection = &'static str> {
    decision(Boundary::of_tag("idempotency", token).exists(), move |was_sent| match was_sent {
        true => Err("re-submission"),
        false => Ok(vec![OrderPlaced { order: order.into(), token: token.into() }]),
    })
}

async fn place(store: &dyn EventStore, order: &str, token: &str) -> CaseResult<Result<Append, &'static str>> {
    decided(store, placement(order, token)).await
}

pub async fn a_form_that_is_sent_again_is_refused(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    store.append(place(store, "o1", "t1").await?.expect("it is new")).await?;
    assert_eq!(place(store, "o2", "t1").await?.err(), Some("re-submission"));
    store.append(place(store, "o2", "t2").await?.expect("it is new")).await?;
    Ok(())
}

pub async fn a_form_that_is_sent_many_times_at_once_is_one_order(cx: Cx) -> CaseResult {
    let mut orders = Vec::new();
    for number in 0..8 {
        orders.push(place(&**cx.store(), &format!("o{number}"), "t1").await?.expect("it is new"));
    }
    let results = race(cx.store(), orders).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(found(cx.store(), tag("idempotency", "t1")).await?.len(), 1);
    Ok(())
}
