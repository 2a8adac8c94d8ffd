use eventsource_core::DomainEvent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
#[serde(tag = "type", content = "data")]
enum OrderEvent {
    #[serde(rename = "order-placed")]
    Placed,
    #[serde(alias = "Sent")]
    Shipped,
    #[serde(skip)]
    Cancelled,
}

fn main() {}
