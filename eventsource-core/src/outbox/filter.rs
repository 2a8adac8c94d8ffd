use chrono::DateTime;

use crate::{Error, Filter, NewEvent, Position, RecordedEvent, Result, Scope, StreamId, Version};

/// Which events a store puts into its outbox: a [`Filter`] that can be judged before an event is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxFilter {
    filter: Filter,
    all: bool,
}

impl OutboxFilter {
    /// The events that match `filter`.
    ///
    /// # Errors
    /// `InvalidInput` if the filter has bounds on time: when an event occurs may be the database's to say, too late to
    /// choose by it.
    pub fn new(filter: Filter) -> Result<Self> {
        let scope = filter.scope();
        if scope.occurred_from().is_some() || scope.occurred_until().is_some() {
            return Err(Error::invalid_input("what goes into an outbox is not chosen by time"));
        }
        let all = filter.items().is_none() && *scope == Scope::default();
        Ok(Self { filter, all })
    }

    /// Whether an event that is to be appended goes into the outbox. What it means is [`Filter::matches`].
    #[must_use]
    pub fn admits(&self, event: &NewEvent, stream: Option<&StreamId>) -> bool {
        if self.all {
            return true;
        }
        // No part of a filter without time looks at what is not known yet.
        let stream = stream.map(|stream| (stream.clone(), Version::FIRST));
        let event = RecordedEvent::new(event.clone(), Position::START, stream, DateTime::UNIX_EPOCH);
        self.filter.matches(&event)
    }

    /// Whether an event goes into the outbox: [`Filter::matches`].
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.all || self.filter.matches(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FilterItem;

    #[test]
    fn it_means_what_the_filter_means() {
        let placed = NewEvent::new("OrderPlaced", &serde_json::json!({"vip": true})).unwrap();
        let shipped = NewEvent::new("OrderShipped", &()).unwrap();
        let order = StreamId::new("Order", uuid::Uuid::from_u128(1)).unwrap();
        let by_payload = FilterItem::new().all_payload("vip", true).unwrap();
        for (filter, admits) in [
            (Filter::all(), [true, true]),
            (Filter::event_types(["OrderPlaced"]).unwrap(), [true, false]),
            (Filter::any_of([by_payload]).unwrap(), [true, false]),
            (Filter::all().of_aggregate_type("Order".try_into().unwrap()), [false, true]),
        ] {
            let filter = OutboxFilter::new(filter).unwrap();
            let found = [filter.admits(&placed, None), filter.admits(&shipped, Some(&order))];
            assert_eq!(found, admits, "{filter:?}");
        }
    }

    #[test]
    fn time_is_refused() {
        let filter = Filter::all().occurred_from(DateTime::UNIX_EPOCH).unwrap();
        assert!(OutboxFilter::new(filter).is_err());
    }
}
