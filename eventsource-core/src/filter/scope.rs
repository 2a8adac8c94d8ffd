use chrono::{DateTime, Utc};

use crate::clock::to_microseconds;
use crate::{AggregateType, Error, RecordedEvent, Result, StreamId, TenantId};

/// What all items of a filter are narrowed to. Each part that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    pub(super) tenant: Option<TenantId>,
    pub(super) aggregate_type: Option<AggregateType>,
    pub(super) stream: Option<StreamId>,
    occurred_from: Option<DateTime<Utc>>,
    occurred_until: Option<DateTime<Utc>>,
}

impl Scope {
    /// Only this tenant's events.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }

    /// Only events in streams of this type.
    #[must_use]
    pub fn aggregate_type(&self) -> Option<&AggregateType> {
        self.aggregate_type.as_ref()
    }

    /// Only events of this stream.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamId> {
        self.stream.as_ref()
    }

    /// Only events that occurred at this time or later.
    #[must_use]
    pub fn occurred_from(&self) -> Option<DateTime<Utc>> {
        self.occurred_from
    }

    /// Only events that occurred at this time or earlier.
    #[must_use]
    pub fn occurred_until(&self) -> Option<DateTime<Utc>> {
        self.occurred_until
    }

    /// Whether it names a stream and narrows by nothing else.
    #[must_use]
    pub fn is_stream_alone(&self) -> bool {
        let Self { tenant, aggregate_type, stream, occurred_from, occurred_until } = self;
        stream.is_some()
            && tenant.is_none()
            && aggregate_type.is_none()
            && occurred_from.is_none()
            && occurred_until.is_none()
    }

    pub(super) fn set_occurred_from(&mut self, time: DateTime<Utc>) -> Result<()> {
        self.occurred_from = Some(to_microseconds(time)?);
        self.refuse_inverted()
    }

    pub(super) fn set_occurred_until(&mut self, time: DateTime<Utc>) -> Result<()> {
        self.occurred_until = Some(to_microseconds(time)?);
        self.refuse_inverted()
    }

    fn refuse_inverted(&self) -> Result<()> {
        match (self.occurred_from, self.occurred_until) {
            (Some(from), Some(until)) if from > until => {
                Err(Error::invalid_input(format!("a time range ends at {until}, before it begins at {from}")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn contains(&self, event: &RecordedEvent) -> bool {
        let stream_type = || event.stream().map(StreamId::aggregate_type);
        self.tenant.is_none_or(|tenant| event.metadata().tenant_id() == Some(tenant))
            && self.aggregate_type.as_ref().is_none_or(|wanted| stream_type() == Some(wanted))
            && self.stream.as_ref().is_none_or(|stream| event.stream() == Some(stream))
            && self.occurred_from.is_none_or(|from| event.occurred_at() >= from)
            && self.occurred_until.is_none_or(|until| event.occurred_at() <= until)
    }
}
