use eventsource_core::DomainEvent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Address {
    street: String,
}

#[derive(Serialize, Deserialize, DomainEvent)]
struct OrderPlaced {
    #[event(tag)]
    address: Address,
}

fn main() {}
