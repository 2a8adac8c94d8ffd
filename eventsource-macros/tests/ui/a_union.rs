use eventsource_core::DomainEvent;

#[derive(DomainEvent)]
union OrderEvent {
    cents: u64,
}

fn main() {}
