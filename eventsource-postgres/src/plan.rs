use eventsource_core::{Filter, FilterItem};

/// How often the statement for a page is planned, and what the planner knows of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// A few times, knowing none of them: one index serves, in log order, whatever they are.
    ///
    /// That they can't be known ([`Bound`](crate::values::Bound)) is not to save the first few plans. Of a kept statement the
    /// server plans each use anew as long as a plan that knows the values looks cheaper, and what is known to be a small part
    /// of the log always does.
    ForAnyValues,
    /// As the server likes: for these values, or once for any.
    ServersChoice,
    /// For these values, each page anew. Of several tags, of a payload and anything, of a tenant and a type, the rarest is to
    /// lead; of times, of many types, either they or the log's order. Only statistics know which it is.
    ForValues,
}

impl Plan {
    pub(crate) fn of(filter: &Filter) -> Self {
        let scope = filter.scope();
        if scope.stream().is_some() {
            return Self::ForAnyValues;
        }
        let has_scope = scope.tenant().is_some() || scope.aggregate_type().is_some();
        let is_open = |item: &FilterItem| {
            let (tags, types) = (item.tag_set().len(), item.event_type_set().len());
            tags > 1
                || has_payload(item) && (tags > 0 || types > 0 || has_scope)
                || tags == 0 && has_time(filter)
                || tags == 0 && types > 0 && scope.tenant().is_some()
                || tags == 0 && types > MOST_TYPE_BRANCHES && !has_scope
        };
        let is_open = match filter.items() {
            None => has_time(filter),
            Some(items) => items.iter().any(is_open),
        };
        if is_open {
            Self::ForValues
        } else if filter.items().is_some_and(|items| items.iter().any(has_payload)) {
            // Its index may have no order.
            Self::ServersChoice
        } else {
            Self::ForAnyValues
        }
    }
}

/// One branch for each event type lets an index on (type, position) deliver in log order. Beyond so many it is not worth
/// it.
pub(crate) const MOST_TYPE_BRANCHES: usize = 8;

pub(crate) fn has_time(filter: &Filter) -> bool {
    filter.scope().occurred_from().is_some() || filter.scope().occurred_until().is_some()
}

pub(crate) fn has_payload(item: &FilterItem) -> bool {
    !item.all_of_payload().is_empty() || !item.any_of_payload().is_empty()
}
