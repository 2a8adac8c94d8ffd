use eventsource_core::{Filter, FilterItem};

use crate::filter::{MOST_TYPE_BRANCHES, has_payload, has_time};

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
    /// For these values, each page anew. Of several tags, of a payload and a type, of a tenant and a type, the rarest is to
    /// lead; of many types, of times, either they or the log's order. Only statistics know which it is.
    ForValues,
}

impl Plan {
    pub(crate) fn of(filter: &Filter) -> Self {
        let scope = filter.scope();
        if scope.stream().is_some() {
            return Self::ForAnyValues;
        }
        let has_scope = scope.tenant().is_some() || scope.aggregate_type().is_some();
        let needs_statistics = |item: &FilterItem| {
            let (tags, types) = (item.tag_set().len(), item.event_type_set().len());
            tags > 1
                || tags == 0 && (has_time(filter) || types > MOST_TYPE_BRANCHES && !has_scope)
                || has_payload(item) && (tags > 0 || types > 0 || has_scope)
                || types > 0 && scope.tenant().is_some()
        };
        let needs_statistics = match filter.items() {
            None => has_time(filter),
            Some(items) => items.iter().any(needs_statistics),
        };
        if needs_statistics {
            Self::ForValues
        } else if filter.items().is_some_and(|items| items.iter().any(has_payload)) {
            // Its index may have no order.
            Self::ServersChoice
        } else {
            Self::ForAnyValues
        }
    }
}
