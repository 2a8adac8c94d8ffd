use eventsource_core::DomainEvent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
enum OrderEvent {
    Placed,
    #[event(name = "Placed")]
    PlacedByPhone,
}

fn main() {}
