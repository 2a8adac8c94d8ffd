//! Relays in processes of their own that publish to a real NATS server.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use conformance_tests::random::numbers;
use conformance_tests::{CaseResult, Cx, Failure, chaos, child};
use eventsource_core::{Error, EventId, EventPublisher, RecordedEvent, Result};
use eventsource_nats::NatsPublisher;
use eventsource_nats::async_nats::jetstream::stream::{Config, Stream};
use eventsource_nats::async_nats::{self, header, jetstream};
use futures_util::future::BoxFuture;
use proptest::prelude::RngExt;
use proptest::test_runner::TestRng;
use test_servers::Nats;

pub(crate) const HOLDS_EACH_EVENT_ONCE: &str = "the_stream_holds_each_event_once_and_in_order";
/// What the relays' processes are told to do.
pub(crate) const PROGRAM: &str = "relay to jetstream";

/// Whatever happens to the relays, and whatever acknowledgements are lost.
pub(crate) async fn holds_each_event_once(cx: Cx) -> CaseResult {
    let server = Nats::start().await?;
    let jetstream = jetstream::new(async_nats::connect(server.url()).await?);
    let config = Config {
        name: "CHAOS".to_owned(),
        subjects: vec!["chaos.>".to_owned()],
        duplicate_window: Duration::from_secs(3_600),
        ..Config::default()
    };
    let stream = jetstream.create_stream(config).await?;
    let held = stream.clone();
    let count = move || -> BoxFuture<'static, CaseResult<u64>> {
        let mut held = held.clone();
        Box::pin(async move { Ok(held.info().await?.state.messages) })
    };
    chaos::publish_in_processes(&cx, PROGRAM, server.url(), &count, messages(stream)).await
}

/// A child's program: a relay that publishes to the server that it is told.
pub(crate) async fn relay(cx: Cx) -> CaseResult {
    let arguments = child::arguments();
    let (url, number) = arguments.split_once(' ').ok_or_else(|| Failure::new("no URL and no number"))?;
    let client = async_nats::ConnectOptions::new().retry_on_initial_connect().connect(url).await?;
    let subject = "chaos.{aggregate_type}.{event_type}".parse()?;
    let publisher = NatsPublisher::new(jetstream::new(client), subject, "/chaos");
    let numbers = Mutex::new(numbers(&cx, number.parse()?));
    chaos::run_relay(cx, Arc::new(Lossy { publisher, numbers })).await
}

async fn messages(mut stream: Stream) -> CaseResult<Vec<EventId>> {
    let last = stream.info().await?.state.last_sequence;
    let mut events = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await?;
        let id = message.headers.get(header::NATS_MESSAGE_ID).map(|id| id.as_str().to_owned());
        let id = id.ok_or_else(|| Failure::new(format!("message {sequence} has no id")))?;
        events.push(EventId::new(id.parse::<uuid::Uuid>()?)?);
    }
    Ok(events)
}

/// Fails, loses acknowledgements, and hangs.
#[derive(Debug)]
struct Lossy {
    publisher: NatsPublisher,
    numbers: Mutex<TestRng>,
}

#[async_trait]
impl EventPublisher for Lossy {
    async fn publish(&self, event: &RecordedEvent) -> Result<()> {
        let luck = self.numbers.lock().expect("nothing panics under it").random_range(0..20);
        if luck == 0 {
            return pending().await;
        }
        if luck <= 2 {
            return Err(Error::unavailable("the network is down"));
        }
        self.publisher.publish(event).await?;
        match luck {
            3 => pending().await,
            4 | 5 => Err(Error::unavailable("the acknowledgement was lost")),
            _ => Ok(()),
        }
    }
}
