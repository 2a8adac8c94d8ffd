use eventsource_core::{Filter, FilterItem};

use crate::filter::{has_payload, has_time};

/// How often the statement for a page is planned, and what the planner knows of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// A few times for all pages, knowing none of them: one index serves, in log order, whatever they are.
    ///
    /// That the values can't be known ([`Bound`](crate::filter::Bound)) is not to save the first few plans. Of a kept statement
    /// the server plans each use anew as long as a plan that knows the values looks cheaper, and what is known to be a small
    /// part of the log always does.
    ForAnyValues,
    /// As the server likes: for these values, or once for any.
    ServersChoice,
    /// For these values, each page anew. Of several tags, of a payload and a type, of a tenant and a type, of times and
    /// anything, the rarest is to lead, and only statistics know which it is.
    ForValues,
}

impl Plan {
    pub(crate) fn of(filter: &Filter) -> Self {
        let scope = filter.scope();
        if scope.stream().is_some() {
            return Self::ForAnyValues;
        }
        let several = |item: &FilterItem| {
            let has_types = !item.event_type_set().is_empty();
            let has_scope = scope.tenant().is_some() || scope.aggregate_type().is_some();
            item.tag_set().len() > 1
                || has_payload(item) && (has_types || has_scope || !item.tag_set().is_empty())
                || has_types && scope.tenant().is_some()
        };
        let has_any =
            |such: &dyn Fn(&FilterItem) -> bool| filter.items().is_some_and(|items| items.iter().any(such));
        if has_time(filter) || has_any(&several) {
            Self::ForValues
        } else if has_any(&has_payload) {
            // Its index may have no order.
            Self::ServersChoice
        } else {
            Self::ForAnyValues
        }
    }
}
