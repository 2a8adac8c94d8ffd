use std::convert::Infallible;

use common::{Event, Failure, Payload, Stream, System, broken};
use esrs::store::EventStore;
use esrs::store::postgres::{PgStore, PgStoreBuilder, PgStoreError};
use esrs::{Aggregate, AggregateState};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

pub(crate) struct Esrs {
    store: PgStore<Order>,
    pool: PgPool,
}

struct Order;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OrderEvent {
    event_type: String,
    #[serde(flatten)]
    payload: Payload,
}

impl Aggregate for Order {
    const NAME: &'static str = "orders";
    type State = ();
    type Command = ();
    type Event = OrderEvent;
    type Error = Infallible;

    fn handle_command((): &(), (): ()) -> Result<Vec<OrderEvent>, Infallible> {
        Ok(Vec::new())
    }

    fn apply_event((): (), _event: OrderEvent) {}
}

impl System for Esrs {
    async fn open(place: &str) -> Result<Self, Failure> {
        let pool = crate::pool(place).await?;
        let mut attempts = 0;
        let store = loop {
            match PgStoreBuilder::<Order>::new(pool.clone()).try_build().await {
                Ok(store) => break store,
                // Several processes may open one database at once, and its migrations don't expect that.
                Err(_) if attempts < 50 => attempts += 1,
                Err(error) => return Err(broken(error)),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        Ok(Self { store, pool })
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let mut state = AggregateState::with_id(stream.0);
        for _ in 0..expected {
            state.next_sequence_number();
        }
        let events = events
            .into_iter()
            .map(|event| OrderEvent { event_type: event.event_type.to_owned(), payload: event.payload });
        match self.store.persist(&mut state, events.collect()).await {
            Ok(_) => Ok(()),
            Err(PgStoreError::Sqlx(error)) if crate::is_conflict(&error) => Err(Failure::Conflict),
            Err(error) => Err(broken(error)),
        }
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        let events = self.store.by_aggregate_id(stream.0).await.map_err(broken)?;
        Ok(events.len() as u64)
    }

    async fn feed(&self) -> Result<u64, Failure> {
        let events = self.store.stream_events(&self.pool);
        events.try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await.map_err(broken)
    }
}
