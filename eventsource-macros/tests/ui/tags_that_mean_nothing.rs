use eventsource_core::DomainEvent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
enum OrderEvent {
    Placed {
        #[event(tag = "")]
        order: u64,
        #[event(tag = "cus:tomer")]
        customer: u64,
        #[event(tag, tags)]
        shelf: u64,
    },
    Moved(#[event(tag)] u64),
}

fn main() {}
