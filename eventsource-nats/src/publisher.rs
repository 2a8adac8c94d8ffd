use std::fmt;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_trait::async_trait;
use eventsource_core::{Error, EventPublisher, RecordedEvent, Result};

use crate::cloud_event::cloud_event;
use crate::headers::headers;
use crate::subject::SubjectTemplate;

/// Publishes events to NATS JetStream; see the crate's documentation.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use eventsource_core::{Relay, RelayConfig};
/// # async fn example(store: Arc<eventsource_sqlite::SqliteStore>) -> Result<(), Box<dyn std::error::Error>> {
/// use eventsource_nats::{NatsPublisher, async_nats};
///
/// let client = async_nats::connect("nats://127.0.0.1:4222").await?;
/// let jetstream = async_nats::jetstream::new(client);
/// let publisher = NatsPublisher::new(jetstream, "shop.{aggregate_type}.{event_type}".parse()?, "/shop");
/// let relay = Relay::new(store, Arc::new(publisher), RelayConfig::new("relay-1"))?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct NatsPublisher {
    jetstream: Context,
    subject: SubjectTemplate,
    source: String,
}

impl NatsPublisher {
    /// Publishes under the template's subjects; `source` is the CloudEvents' source, such as `/shop` or your service's URL.
    ///
    /// Let the context wait for an acknowledgement no longer than the relay does: `Context::set_timeout`.
    #[must_use]
    pub fn new(jetstream: Context, subject: SubjectTemplate, source: impl Into<String>) -> Self {
        Self { jetstream, subject, source: source.into() }
    }
}

#[async_trait]
impl EventPublisher for NatsPublisher {
    async fn publish(&self, event: &RecordedEvent) -> Result<()> {
        let body = cloud_event(event, &self.source)?;
        let subject = self.subject.subject(event);
        let sent = self.jetstream.publish_with_headers(subject, headers(event), body.into());
        // The first wait is for the message to be sent, the second for the stream to have it.
        sent.await.map_err(failed)?.await.map_err(failed)?;
        Ok(())
    }
}

fn failed(error: PublishError) -> Error {
    let told = match error.kind() {
        // However often it is tried.
        PublishErrorKind::MaxPayloadExceeded => {
            Error::invalid_input("the event is larger than the NATS server takes")
        }
        PublishErrorKind::StreamNotFound => {
            Error::unavailable("no stream in JetStream takes the event's subject")
        }
        _ => Error::unavailable("JetStream has not acknowledged the event"),
    };
    told.with_source(error)
}

impl fmt::Debug for NatsPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsPublisher")
            .field("subject", &self.subject)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
