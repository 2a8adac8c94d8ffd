use eventsource_core::DomainEvent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
enum OrderEvent {
    #[event(nmae = "OrderPlaced")]
    Placed { customer_id: String },
    #[event(colour = "red")]
    Shipped,
    #[event(tag = "order")]
    Cancelled,
    Refunded {
        #[event(name = "sum")]
        cents: u64,
    },
}

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "Account")]
enum AccountEvent {
    Opened,
}

fn main() {}
