use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::{Error, EventSchema, EventType, Payload, RecordedEvent, Result};

/// How one schema becomes another.
#[derive(Clone)]
pub(super) struct Step {
    from: EventSchema,
    targets: Vec<EventSchema>,
    change: Change,
}

/// What happens to the payload.
#[derive(Clone)]
pub(super) enum Change {
    /// Nothing.
    Keep,
    /// One comes of one.
    Map(Arc<Map>),
    /// Any number comes of one, each under the name of a target.
    Split(Arc<Split>),
    /// It is gone.
    Drop,
}

pub(super) type Map = dyn Fn(Value, &RecordedEvent) -> Result<Value> + Send + Sync;
pub(super) type Split = dyn Fn(Value, &RecordedEvent) -> Result<Vec<(&'static str, Value)>> + Send + Sync;

/// A stored event on its way to what it is today.
pub(super) struct Draft {
    pub(super) event_type: EventType,
    pub(super) version: u32,
    content: Content,
}

enum Content {
    /// As it was stored: a step that keeps it does not even look at it.
    Stored(Payload),
    Changed(Value),
}

impl Step {
    pub(super) fn new(from: EventSchema, targets: Vec<EventSchema>, change: Change) -> Self {
        Self { from, targets, change }
    }

    pub(super) fn from(&self) -> &EventSchema {
        &self.from
    }

    pub(super) fn targets(&self) -> &[EventSchema] {
        &self.targets
    }

    pub(super) fn is_split(&self) -> bool {
        matches!(self.change, Change::Split(_))
    }

    /// What comes of `draft`, in order.
    pub(super) fn take(&self, draft: Draft, event: &RecordedEvent) -> Result<Vec<Draft>> {
        let refused = |error: Error| {
            let position = event.position();
            Error::corrupt(format!(
                "the upcaster from {} refused the event at position {position}",
                self.from
            ))
            .with_source(error)
        };
        match (&self.change, self.targets.as_slice()) {
            (Change::Keep, [target]) => Ok(vec![Draft::new(target, draft.content)?]),
            (Change::Map(map), [target]) => {
                let changed = map(draft.content.into_value(event)?, event).map_err(refused)?;
                Ok(vec![Draft::new(target, Content::Changed(changed))?])
            }
            (Change::Split(split), targets) => {
                let parts = split(draft.content.into_value(event)?, event).map_err(refused)?;
                let part = |(name, value)| {
                    let target = targets.iter().find(|target| target.name() == name).ok_or_else(|| {
                        refused(Error::corrupt(format!("it gave a {name}, which is not among its targets")))
                    })?;
                    Draft::new(target, Content::Changed(value))
                };
                parts.into_iter().map(part).collect()
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl Draft {
    pub(super) fn of(event: &RecordedEvent) -> Self {
        Self {
            event_type: event.event_type().clone(),
            version: event.schema_version(),
            content: Content::Stored(event.payload().clone()),
        }
    }

    fn new(schema: &EventSchema, content: Content) -> Result<Self> {
        Ok(Self { event_type: EventType::new(schema.name())?, version: schema.version(), content })
    }

    /// `event`, as it is today.
    pub(super) fn finish(self, event: &RecordedEvent) -> Result<RecordedEvent> {
        let payload = match self.content {
            Content::Stored(payload) => payload,
            Content::Changed(value) => Payload::from_serialize(&value).map_err(|error| {
                let (name, position) = (&self.event_type, event.position());
                Error::corrupt(format!(
                    "upcasting the event at position {position} gave a {name} that is no payload"
                ))
                .with_source(error)
            })?,
        };
        Ok(event.rewritten(self.event_type, self.version, payload))
    }
}

impl Content {
    fn into_value(self, event: &RecordedEvent) -> Result<Value> {
        let stored = match self {
            Self::Changed(value) => return Ok(value),
            Self::Stored(payload) => payload,
        };
        if let Some(value) = stored.to_exact_value()? {
            return Ok(value);
        }
        let (name, position) = (event.event_type(), event.position());
        Err(Error::corrupt(format!(
            "the event {name} at position {position} holds a number that serde_json::Value can't hold exactly, so it \
             can't be upcast"
        )))
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {:?}", self.from, self.targets)
    }
}
