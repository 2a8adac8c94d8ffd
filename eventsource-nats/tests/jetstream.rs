//! Publishing to a real NATS server with JetStream.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    Append, Error, EventPublisher, EventStore, EventStoreExt, ExpectedVersion, Filter, NewEvent, Outbox,
    OutboxStatistics, RecordedEvent, Relay, RelayConfig, Result, RetryPolicy, StreamId, TenantId,
};
use eventsource_nats::NatsPublisher;
use eventsource_nats::async_nats::jetstream::{self, stream};
use eventsource_nats::async_nats::{self, header};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use serde_json::Value;
use test_servers::Nats;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// A server with a stream that takes `shop.>`, and what it has.
struct Shop {
    // Dropped last: the client would try to reach it again and again.
    jetstream: jetstream::Context,
    stream: stream::Stream,
    _server: Nats,
}

impl Shop {
    async fn open() -> Self {
        let server = Nats::start().await.expect("a server");
        let client = async_nats::connect(server.url()).await.expect("a connection");
        let jetstream = jetstream::new(client);
        let config = stream::Config {
            name: "SHOP".to_owned(),
            subjects: vec!["shop.>".to_owned()],
            duplicate_window: Duration::from_secs(600),
            ..stream::Config::default()
        };
        let stream = jetstream.create_stream(config).await.expect("a stream");
        Self { jetstream, stream, _server: server }
    }

    fn publisher(&self) -> NatsPublisher {
        NatsPublisher::new(
            self.jetstream.clone(),
            "shop.{aggregate_type}.{event_type}".parse().unwrap(),
            "/shop",
        )
    }

    async fn messages(&mut self) -> Vec<async_nats::jetstream::message::StreamMessage> {
        let state = self.stream.info().await.expect("the stream").state.clone();
        let mut messages = Vec::new();
        for sequence in 1..=state.last_sequence {
            messages.push(self.stream.get_raw_message(sequence).await.expect("a message"));
        }
        assert_eq!(messages.len() as u64, state.messages);
        messages
    }
}

async fn store() -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(SqliteConfig::in_memory().outbox(Filter::all())).await.unwrap())
}

fn order() -> StreamId {
    StreamId::new("Order", Uuid::now_v7()).unwrap()
}

#[tokio::test]
async fn a_message_is_a_cloud_event_with_headers() {
    let mut shop = Shop::open().await;
    let store = store().await;
    let tenant = TenantId::new(Uuid::now_v7()).unwrap();
    let placed = NewEvent::new("OrderPlaced", &serde_json::json!({"total": 29_999})).unwrap().tenant(tenant);
    let id = placed.event_id();
    store.append(Append::to_stream(order(), ExpectedVersion::NoStream, [placed])).await.unwrap();
    let relay = Relay::new(store.clone(), Arc::new(shop.publisher()), RelayConfig::new("relay")).unwrap();
    assert_eq!(relay.drain().await.unwrap().published, 1);
    let messages = shop.messages().await;
    let [message] = messages.as_slice() else { panic!("{} messages", messages.len()) };
    assert_eq!(message.subject.as_str(), "shop.Order.OrderPlaced");
    let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header(header::NATS_MESSAGE_ID.as_ref()), Some(id.to_string()));
    assert_eq!(header("Content-Type").as_deref(), Some("application/cloudevents+json"));
    assert_eq!(header("Event-Tenant-Id"), Some(tenant.to_string()));
    let body: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(body["specversion"], "1.0");
    assert_eq!((&body["id"], &body["source"]), (&id.to_string().into(), &"/shop".into()));
    assert_eq!(body["data"]["total"], 29_999);
}

#[tokio::test]
async fn the_server_drops_what_comes_again() {
    let mut shop = Shop::open().await;
    let store = store().await;
    store.append(Append::events([NewEvent::new("Once", &()).unwrap()])).await.unwrap();
    let event = store.last(&Filter::all()).await.unwrap().unwrap();
    for _ in 0..3 {
        shop.publisher().publish(&event).await.unwrap();
    }
    assert_eq!(shop.messages().await.len(), 1);
}

#[tokio::test]
async fn what_no_stream_takes_is_tried_again_and_what_is_too_large_is_given_up() {
    let shop = Shop::open().await;
    let store = store().await;
    let large = NewEvent::new("Large", &"x".repeat(2 << 20)).unwrap();
    store.append(Append::events([NewEvent::new("Small", &()).unwrap(), large])).await.unwrap();
    let elsewhere =
        NatsPublisher::new(shop.jetstream.clone(), "elsewhere.{event_type}".parse().unwrap(), "/shop");
    let relay = Relay::new(store.clone(), Arc::new(elsewhere), RelayConfig::new("relay")).unwrap();
    let report = relay.drain().await.unwrap();
    assert_eq!((report.retried, report.given_up, report.published), (1, 1, 0));
    let failed = store.failed(10).await.unwrap();
    assert_eq!(failed[0].event.event_type(), &"Large");
    assert!(failed[0].last_error.as_deref().unwrap().contains("larger than the NATS server takes"));
}

/// Loses every third acknowledgement, never sends every fifth event, and hangs on every seventh.
#[derive(Debug)]
struct Lossy {
    publisher: NatsPublisher,
    calls: AtomicUsize,
}

#[async_trait]
impl EventPublisher for Lossy {
    async fn publish(&self, event: &RecordedEvent) -> Result<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if call.is_multiple_of(5) {
            return Err(Error::unavailable("the network is down"));
        }
        self.publisher.publish(event).await?;
        if call.is_multiple_of(7) {
            pending::<()>().await;
        }
        if call.is_multiple_of(3) {
            return Err(Error::unavailable("the acknowledgement was lost"));
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_lost_and_whoever_dies_the_stream_holds_each_event_once_and_in_order() {
    const STREAMS: usize = 8;
    const EACH: usize = 12;
    let mut shop = Shop::open().await;
    let store = store().await;
    for _ in 0..STREAMS {
        let events: Vec<_> = (0..EACH).map(|number| NewEvent::new("Counted", &number).unwrap()).collect();
        store.append(Append::to_stream(order(), ExpectedVersion::NoStream, events)).await.unwrap();
    }
    let publisher = Arc::new(Lossy { publisher: shop.publisher(), calls: AtomicUsize::new(0) });
    let start = |number: usize| {
        let moment = Duration::from_millis(1);
        let config = RelayConfig::new(format!("relay {number}"))
            .batch(10)
            .lease(Duration::from_secs(2))
            .retry(RetryPolicy::default().attempts(u32::MAX).pauses(moment, moment))
            .publish_timeout(Duration::from_millis(500))
            .poll_interval(Duration::from_millis(10));
        let relay = Relay::new(store.clone(), publisher.clone(), config).unwrap();
        tokio::spawn(async move { relay.run(pending()).await })
    };
    let mut relays: Vec<_> = (0..3).map(start).collect();
    for killed in 0..4 {
        let calls = publisher.calls.load(Ordering::Relaxed);
        let busy = async {
            while publisher.calls.load(Ordering::Relaxed) < calls + 10 {
                sleep(Duration::from_millis(2)).await;
            }
        };
        // Or all of it is in the hands of the dead, for as long as a lease lasts.
        let _ = timeout(Duration::from_secs(3), busy).await;
        relays[killed % 3].abort();
        relays[killed % 3] = start(3 + killed);
    }
    let total = (STREAMS * EACH) as u64;
    let settled = async {
        while store.statistics().await.unwrap().published < total {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(120), settled).await.expect("everything is published in the end");
    relays.iter().for_each(|relay| relay.abort());
    let all = OutboxStatistics { published: total, ..OutboxStatistics::default() };
    assert_eq!(store.statistics().await.unwrap(), all);

    let mut by_stream: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for message in shop.messages().await {
        let body: Value = serde_json::from_slice(&message.payload).unwrap();
        let stream = body["subject"].as_str().unwrap().to_owned();
        by_stream.entry(stream).or_default().push(body["streamversion"].as_str().unwrap().parse().unwrap());
    }
    assert_eq!(by_stream.len(), STREAMS);
    for (stream, versions) in by_stream {
        assert_eq!(versions, (1..=EACH as u64).collect::<Vec<_>>(), "{stream}");
    }
    assert!(publisher.calls.load(Ordering::Relaxed) > STREAMS * EACH, "something was lost");
    store.close().await.unwrap();
}
