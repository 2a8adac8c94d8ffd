use eventsource_core::DomainEvent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
enum OrderEvent {
    #[event(name = "")]
    Placed,
    #[event(name = "ship\0ped")]
    Shipped,
    #[event(name = 7)]
    Cancelled,
    #[event(name = "A", name = "B")]
    Refunded,
}

fn main() {}
