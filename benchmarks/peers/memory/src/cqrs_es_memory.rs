use std::collections::HashMap;

use common::{Event, Failure, Stream, System, broken};
use cqrs_es::EventStore;
use cqrs_es::mem_store::MemStore;
use shared::cqrs::{Order, OrderEvent};

pub(crate) struct CqrsEsMemory(MemStore<Order>);

impl System for CqrsEsMemory {
    async fn open(_place: &str) -> Result<Self, Failure> {
        Ok(Self(MemStore::default()))
    }

    async fn append(&self, stream: Stream, _expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let context = self.0.load_aggregate(&stream.0.to_string()).await.map_err(broken)?;
        let events = events
            .into_iter()
            .map(|event| OrderEvent { event_type: event.event_type, payload: event.payload });
        self.0.commit(events.collect(), context, HashMap::new()).await.map_err(broken)?;
        Ok(())
    }

    async fn version(&self, _stream: Stream) -> Result<u64, Failure> {
        Err(Failure::absent("it checks no version: a racing append is lost"))
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        let events = self.0.load_events(&stream.0.to_string()).await.map_err(broken)?;
        Ok(events.len() as u64)
    }
}
