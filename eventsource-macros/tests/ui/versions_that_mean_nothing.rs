use eventsource_core::DomainEvent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
enum OrderEvent {
    #[event(version = 0)]
    Placed,
    #[event(version = "2")]
    Shipped,
    #[event(version = 5_000_000_000)]
    Cancelled,
}

fn main() {}
