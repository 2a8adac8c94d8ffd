//! Others who append just before a view is switched to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use eventsource_core::{Append, Delivery, DeliveryError, EventStore, Record, Sink};

use crate::Setup;
use crate::given::event;

/// A sink that is outrun: before each of its first switches, more is appended than an inline view may lack.
pub(crate) struct Outrun {
    times: u64,
    store: Arc<dyn EventStore>,
    sink: Arc<dyn Sink>,
    switches: Arc<AtomicU64>,
}

impl Outrun {
    pub(crate) fn times(times: u64, store: Arc<dyn EventStore>, sink: impl Sink + 'static) -> Self {
        Self { times, store, sink: Arc::new(sink), switches: Arc::default() }
    }

    /// How many switches were tried.
    pub(crate) fn switches(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.switches)
    }
}

#[async_trait]
impl Sink for Outrun {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let is_switch = matches!(delivery.record, Record::Switch { .. });
        if is_switch && self.switches.fetch_add(1, Ordering::SeqCst) < self.times {
            let too_many = (0..=Setup::MOST_BEHIND).map(|_| event("Happened"));
            self.store.append(Append::events(too_many.collect::<Vec<_>>())).await?;
        }
        self.sink.deliver(delivery).await
    }
}
