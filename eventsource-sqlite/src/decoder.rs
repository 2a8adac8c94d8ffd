use std::borrow::Cow;
use std::collections::BTreeMap;

use eventsource_core::{
    Error, EventId, Metadata, NewEvent, Payload, Position, RecordedEvent, Result, SharedNames, StreamId, Tag,
    TenantId, Version,
};
use smallvec::SmallVec;

use crate::raw_event::{RawEvent, undecodable};
use crate::row::{to_time, utf8};

/// Decodes events. Names that repeat from one to the next are shared.
#[derive(Default)]
pub(crate) struct EventDecoder {
    names: SharedNames,
}

impl EventDecoder {
    /// The event that a row held.
    pub(crate) fn decode(&mut self, raw: RawEvent<&[u8]>) -> Result<RecordedEvent> {
        self.decode_fields(raw).map_err(|error| undecodable(raw.position, error))
    }

    fn decode_fields(&mut self, raw: RawEvent<&[u8]>) -> Result<RecordedEvent> {
        let event_type = self.names.event_type(utf8(raw.event_type, "event_type")?)?;
        let payload = Payload::from_stored(utf8(raw.payload, "payload")?)?;
        let event = NewEvent::with_id(EventId::new(raw.event_id)?, event_type, payload)
            .schema_version(raw.schema_version)
            .tags(decode_tags(utf8(raw.tags, "tags")?)?)
            .metadata(decode_metadata(raw)?)
            .occurred_at(to_time(raw.occurred_at, "timestamp")?)?;
        let stream = match raw.stream {
            None => None,
            Some(place) => {
                let aggregate_type =
                    self.names.aggregate_type(utf8(place.aggregate_type, "aggregate_type")?)?;
                let stream = StreamId::new(aggregate_type, place.aggregate_id)?;
                Some((stream, Version::try_from(place.version)?))
            }
        };
        let position = Position::try_from(raw.position)?;
        Ok(RecordedEvent::new(event, position, stream, to_time(raw.recorded_at, "created_at")?))
    }
}

fn decode_metadata(raw: RawEvent<&[u8]>) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    if let Some(tenant) = raw.tenant {
        metadata = metadata.tenant(TenantId::new(tenant)?);
    }
    if let Some(actor) = raw.actor {
        metadata = metadata.actor(utf8(actor, "actor_id")?)?;
    }
    if let Some(correlation_id) = raw.correlation_id {
        metadata = metadata.correlated(correlation_id);
    }
    if let Some(causation_id) = raw.causation_id {
        metadata = metadata.caused_by(EventId::new(causation_id)?);
    }
    let Some(json) = raw.metadata else { return Ok(metadata) };
    let entries: BTreeMap<String, String> = serde_json::from_slice(json)
        .map_err(|error| Error::corrupt("stored metadata is no object of text").with_source(error))?;
    for (key, value) in entries {
        metadata = metadata.entry(key, value)?;
    }
    Ok(metadata)
}

fn decode_tags(json: &str) -> Result<SmallVec<[Tag; 4]>> {
    if json == "[]" {
        return Ok(SmallVec::new());
    }
    if let Some(tags) = plain_tags(json)? {
        return Ok(tags);
    }
    let tags: Vec<Cow<'_, str>> = serde_json::from_str(json)
        .map_err(|error| Error::corrupt("stored tags are no list of text").with_source(error))?;
    tags.into_iter().map(Tag::parse).collect()
}

/// The tags of a list as it is written, if nothing in it is escaped: nearly always.
fn plain_tags(json: &str) -> Result<Option<SmallVec<[Tag; 4]>>> {
    let inner = json.strip_prefix("[\"").and_then(|rest| rest.strip_suffix("\"]"));
    let Some(mut rest) = inner else { return Ok(None) };
    let mut tags = SmallVec::new();
    // By bytes: so short texts are looked through sooner than a searcher is made.
    while let Some(end) = rest.bytes().position(|byte| byte == b'"' || byte == b'\\') {
        let (text, behind) = rest.split_at(end);
        let Some(next) = behind.strip_prefix("\",\"") else { return Ok(None) };
        rest = next;
        tags.push(Tag::parse(text)?);
    }
    tags.push(Tag::parse(rest)?);
    Ok(Some(tags))
}
