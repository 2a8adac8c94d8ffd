use std::sync::Arc;

use common::{Event as CommonEvent, Failure, Positions, RARE_TYPE, Stream, System, broken};
use disintegrate::serde::json::Json;
use disintegrate::{Event, EventStore, StreamItem, StreamQuery, event_types, query, union};
use disintegrate_postgres::{Error, PgEventStore};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

pub(crate) struct Disintegrate {
    store: PgEventStore<OrderEvent, Json<OrderEvent>>,
    positions: Positions,
}

#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
enum OrderEvent {
    OrderPlaced(Facts),
    OrderConfirmed(Facts),
    OrderPaid(Facts),
    OrderPacked(Facts),
    OrderShipped(Facts),
    OrderDelivered(Facts),
    OrderReturned(Facts),
    OrderClosed(Facts),
    OrderRefunded(Facts),
}

#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
struct Facts {
    // Ids become columns, and `order` is a word of SQL's.
    #[id]
    order_id: String,
    #[id]
    course_id: String,
    #[id]
    student_id: String,
    customer: String,
    number: u64,
    cents: u64,
}

type Query = StreamQuery<i64, OrderEvent>;

impl System for Disintegrate {
    async fn open(place: &str) -> Result<Self, Failure> {
        let pool = crate::pool(place).await?;
        let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int4")
            .fetch_one(&pool)
            .await
            .map_err(broken)?;
        if version < 160_000 {
            return Err(Failure::absent("it needs PostgreSQL 16 or newer, and this run has an older one"));
        }
        let mut attempts = 0;
        let store = loop {
            match PgEventStore::try_new(pool.clone(), Json::default()).await {
                Ok(store) => break store,
                // Several processes may open one database at once, and its migrations don't expect that.
                Err(_) if attempts < 50 => attempts += 1,
                Err(error) => return Err(broken(error)),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        Ok(Self { store, positions: Positions::default() })
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<CommonEvent>) -> Result<(), Failure> {
        let events = events.into_iter().map(order_event).collect::<Result<Vec<_>, _>>()?;
        // An application has read the stream, and remembers its last event's id.
        let last = match self.positions.of(stream) {
            Some(position) => position as i64,
            None if expected == 0 => 0,
            None => self.last(&of_stream(stream)).await?.1,
        };
        let appended = self.store.append(events, of_stream(stream), last).await.map_err(judged)?;
        if let Some(last) = appended.last() {
            self.positions.remember(stream, last.id() as u64);
        }
        Ok(())
    }

    async fn version(&self, stream: Stream) -> Result<u64, Failure> {
        let (count, last) = self.last(&of_stream(stream)).await?;
        self.positions.remember(stream, last as u64);
        Ok(count)
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        Ok(self.last(&of_stream(stream)).await?.0)
    }

    async fn decide(&self, event: CommonEvent) -> Result<(), Failure> {
        let event = order_event(event)?;
        let facts = event.facts();
        let by_course: Query = query!(OrderEvent; course_id == facts.course_id);
        let by_student: Query = query!(OrderEvent; student_id == facts.student_id);
        let boundary: Query = union!(by_course, by_student);
        let (_, last) = self.last(&boundary).await?;
        self.store.append(vec![event], boundary, last).await.map_err(judged)?;
        Ok(())
    }

    async fn find_type(&self, event_type: &'static str) -> Result<u64, Failure> {
        if event_type != RARE_TYPE {
            return Err(Failure::absent("event types are named at compile time"));
        }
        let rare: Query = query!(OrderEvent).exclude_events(event_types!(
            OrderEvent,
            [
                OrderPlaced,
                OrderConfirmed,
                OrderPaid,
                OrderPacked,
                OrderShipped,
                OrderDelivered,
                OrderReturned,
                OrderClosed
            ]
        ));
        Ok(self.last(&rare).await?.0)
    }

    async fn feed(&self) -> Result<u64, Failure> {
        Ok(self.last(&query!(OrderEvent)).await?.0)
    }

    async fn preload(self: Arc<Self>, size: u64) -> Result<(), Failure> {
        for first in (0..size).step_by(1_000) {
            let events = (first..size.min(first + 1_000))
                .map(|number| order_event(CommonEvent::preloaded(number, size).2));
            let events = events.collect::<Result<Vec<_>, _>>()?;
            self.store.append_without_validation(events).await.map_err(broken)?;
        }
        Ok(())
    }

    async fn follow(&self, _deliveries: Arc<common::Deliveries>) -> Result<(), Failure> {
        Err(Failure::absent("its listeners poll, each behind a lock of its own; not measured"))
    }
}

impl Disintegrate {
    /// How many events there are, and the id up to which they were looked for.
    async fn last(&self, query: &Query) -> Result<(u64, i64), Failure> {
        let items = self.store.stream(query);
        let counted = items.try_fold((0, 0), |(count, last), item| {
            std::future::ready(Ok(match item {
                StreamItem::Event(event) => (count + 1, event.id()),
                StreamItem::End(epoch) => (count, last.max(epoch)),
            }))
        });
        counted.await.map_err(broken)
    }
}

impl OrderEvent {
    fn facts(&self) -> &Facts {
        match self {
            Self::OrderPlaced(facts)
            | Self::OrderConfirmed(facts)
            | Self::OrderPaid(facts)
            | Self::OrderPacked(facts)
            | Self::OrderShipped(facts)
            | Self::OrderDelivered(facts)
            | Self::OrderReturned(facts)
            | Self::OrderClosed(facts)
            | Self::OrderRefunded(facts) => facts,
        }
    }
}

fn of_stream(stream: Stream) -> Query {
    let order = stream.0.to_string();
    query!(OrderEvent; order_id == order)
}

fn order_event(event: CommonEvent) -> Result<OrderEvent, Failure> {
    let payload = event.payload;
    let facts = Facts {
        order_id: payload.order.to_string(),
        course_id: payload.course,
        student_id: payload.student,
        customer: payload.customer,
        number: payload.number,
        cents: payload.cents,
    };
    Ok(match event.event_type {
        "OrderPlaced" => OrderEvent::OrderPlaced(facts),
        "OrderConfirmed" => OrderEvent::OrderConfirmed(facts),
        "OrderPaid" => OrderEvent::OrderPaid(facts),
        "OrderPacked" => OrderEvent::OrderPacked(facts),
        "OrderShipped" => OrderEvent::OrderShipped(facts),
        "OrderDelivered" => OrderEvent::OrderDelivered(facts),
        "OrderReturned" => OrderEvent::OrderReturned(facts),
        "OrderClosed" => OrderEvent::OrderClosed(facts),
        RARE_TYPE => OrderEvent::OrderRefunded(facts),
        other => return Err(broken(format!("no event type {other}"))),
    })
}

fn judged(error: Error) -> Failure {
    match error {
        Error::Concurrency => Failure::Conflict,
        // Raised before the commit it comes as a database error.
        Error::Database(error) if crate::is_conflict(&error) => Failure::Conflict,
        error => broken(error),
    }
}
