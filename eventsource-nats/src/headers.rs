use async_nats::HeaderMap;
use eventsource_core::RecordedEvent;

use crate::escape::escape;

/// The headers of an event's message, for those who route or filter without reading the body.
pub(crate) fn headers(event: &RecordedEvent) -> HeaderMap {
    let metadata = event.metadata();
    let mut headers = HeaderMap::new();
    // By this the server knows a message that comes again.
    headers.insert("Nats-Msg-Id", event.id().to_string());
    headers.insert("Content-Type", "application/cloudevents+json");
    let mut insert =
        |name: &str, value: &str| headers.insert(format!("Event-{name}").as_str(), value_of(value).as_str());
    insert("Type", event.event_type().as_str());
    insert("Schema-Version", &event.schema_version().to_string());
    insert("Position", &event.position().to_string());
    if let Some(stream) = event.stream() {
        insert("Stream", &stream.to_string());
    }
    if let Some(version) = event.version() {
        insert("Version", &version.to_string());
    }
    if let Some(tenant) = metadata.tenant_id() {
        insert("Tenant-Id", &tenant.to_string());
    }
    if let Some(actor) = metadata.actor_id() {
        insert("Actor-Id", actor);
    }
    if let Some(correlation) = metadata.correlation_id() {
        insert("Correlation-Id", &correlation.to_string());
    }
    if let Some(causation) = metadata.causation_id() {
        insert("Causation-Id", &causation.to_string());
    }
    for (key, value) in metadata.entries() {
        insert(
            &format!("Meta-{}", escape(key, |byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))),
            value,
        );
    }
    headers
}

/// A header's value is one line; clients in other languages expect ASCII.
fn value_of(text: &str) -> String {
    escape(text, |byte| byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use eventsource_core::{NewEvent, Position};

    use super::*;

    #[test]
    fn no_name_or_value_breaks_a_header() {
        let event = NewEvent::new("Odd: \r\n type é", &()).unwrap();
        let metadata = event.all_metadata().clone().entry("a key: é\r\n", "100 %\r\nInjected: yes").unwrap();
        let event = event.metadata(metadata);
        let event = RecordedEvent::new(event, Position::from_raw(1), None, DateTime::UNIX_EPOCH);
        let headers = headers(&event);
        let get = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        assert_eq!(get("Event-Type").unwrap(), "Odd: %0D%0A type %C3%A9");
        assert_eq!(get("Event-Meta-a%20key%3A%20%C3%A9%0D%0A").unwrap(), "100 %25%0D%0AInjected: yes");
        assert_eq!(get("Event-Stream"), None);
        assert_eq!(get("Nats-Msg-Id").unwrap(), event.id().to_string());
    }
}
