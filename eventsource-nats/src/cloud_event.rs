use chrono::SecondsFormat;
use eventsource_core::{EventId, RecordedEvent, Result, StreamId, TenantId, Version};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The event as a [CloudEvent 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md) in
/// JSON; `source` says where it comes from, such as `/shop`.
///
/// `subject` is the stream (`Order/018f…`), `time` is when it occurred. What CloudEvents has no attribute for is in
/// extensions: `position` and `streamversion` (as text, because CloudEvents' integers end at 2³¹), `schemaversion`,
/// `recordedtime`, `tenantid`, `actorid`, `correlationid`, `causationid`, and `tags` and `metadata` as JSON in text.
///
/// # Errors
/// `Corrupt` if the payload is no JSON, which no store gives out.
pub fn cloud_event(event: &RecordedEvent, source: &str) -> Result<String> {
    let data: &RawValue = serde_json::from_str(event.payload().as_json()).map_err(|_| unfit())?;
    let metadata = event.metadata();
    let tags: Vec<&str> = event.tags().iter().map(|tag| tag.as_str()).collect();
    let json = |empty: bool, text: serde_json::Result<String>| {
        if empty { Ok(None) } else { text.map(Some).map_err(|_| unfit()) }
    };
    let cloud_event = CloudEvent {
        specversion: "1.0",
        id: event.id(),
        source,
        event_type: event.event_type().as_str(),
        subject: event.stream().map(StreamId::to_string),
        time: event.occurred_at().to_rfc3339_opts(SecondsFormat::Micros, true),
        datacontenttype: "application/json",
        position: event.position().to_string(),
        streamversion: event.version().map(|version: Version| version.to_string()),
        schemaversion: event.schema_version(),
        recordedtime: event.recorded_at().to_rfc3339_opts(SecondsFormat::Micros, true),
        tenantid: metadata.tenant_id(),
        actorid: metadata.actor_id(),
        correlationid: metadata.correlation_id(),
        causationid: metadata.causation_id(),
        tags: json(tags.is_empty(), serde_json::to_string(&tags))?,
        metadata: json(metadata.entries().is_empty(), serde_json::to_string(metadata.entries()))?,
        data,
    };
    serde_json::to_string(&cloud_event).map_err(|_| unfit())
}

/// Without what serde_json says, which may quote the payload.
fn unfit() -> eventsource_core::Error {
    eventsource_core::Error::corrupt("the event makes no JSON")
}

/// Names as the specification wants them: lower-case letters and digits.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: EventId,
    source: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    datacontenttype: &'static str,
    position: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    streamversion: Option<String>,
    schemaversion: u32,
    recordedtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenantid: Option<TenantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actorid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    data: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use eventsource_core::{NewEvent, Position};
    use serde_json::{Value, json};

    use super::*;

    fn as_value(event: NewEvent, stream: Option<(StreamId, Version)>) -> Value {
        let recorded_at = "2026-01-02T03:04:05.000006Z".parse().unwrap();
        let event = RecordedEvent::new(event, Position::from_raw(7), stream, recorded_at);
        serde_json::from_str(&cloud_event(&event, "/shop").unwrap()).unwrap()
    }

    #[test]
    fn everything_has_its_attribute() {
        let id = EventId::new(Uuid::from_u128(1)).unwrap();
        let tenant = TenantId::new(Uuid::from_u128(2)).unwrap();
        let event = NewEvent::new("OrderPlaced", &json!({"total": 29_999}))
            .unwrap()
            .id(id)
            .schema_version(2)
            .tag("customer", "c1")
            .unwrap()
            .tenant(tenant)
            .correlated(Uuid::from_u128(3))
            .caused_by(EventId::new(Uuid::from_u128(4)).unwrap())
            .actor("ann")
            .unwrap()
            .occurred_at("2026-01-01T00:00:00Z".parse().unwrap())
            .unwrap();
        let metadata = event.all_metadata().clone().entry("client", "app").unwrap();
        let stream = StreamId::new("Order", Uuid::from_u128(5)).unwrap();
        let version = Version::new(9).unwrap();
        let expected = json!({
            "specversion": "1.0",
            "id": "00000000-0000-0000-0000-000000000001",
            "source": "/shop",
            "type": "OrderPlaced",
            "subject": "Order/00000000-0000-0000-0000-000000000005",
            "time": "2026-01-01T00:00:00.000000Z",
            "datacontenttype": "application/json",
            "position": "7",
            "streamversion": "9",
            "schemaversion": 2,
            "recordedtime": "2026-01-02T03:04:05.000006Z",
            "tenantid": "00000000-0000-0000-0000-000000000002",
            "actorid": "ann",
            "correlationid": "00000000-0000-0000-0000-000000000003",
            "causationid": "00000000-0000-0000-0000-000000000004",
            "tags": "[\"customer:c1\"]",
            "metadata": "{\"client\":\"app\"}",
            "data": {"total": 29_999},
        });
        assert_eq!(as_value(event.metadata(metadata), Some((stream, version))), expected);
    }

    /// Optional attributes are left out: `null` is no value of theirs. Names are lower-case letters and digits.
    #[test]
    fn what_an_event_has_not_is_absent() {
        let value = as_value(NewEvent::new("Plain", &Value::Null).unwrap(), None);
        let value = value.as_object().unwrap();
        assert_eq!(value["data"], Value::Null);
        for (name, value) in value {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{name}");
            assert!(name == "data" || !value.is_null(), "{name}");
        }
        assert!(!value.contains_key("subject") && !value.contains_key("tags"));
    }
}
