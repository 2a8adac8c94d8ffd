//! Which events: the one definition of matching.

mod fingerprint;
mod item;
mod predicate;
mod scalar;
mod scope;

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};

pub use fingerprint::Fingerprint;
pub use item::FilterItem;
pub use predicate::{PayloadPath, PayloadPredicate};
pub use scalar::Scalar;
pub use scope::Scope;

use crate::{AggregateType, Error, EventType, RecordedEvent, Result, StreamId, TenantId};

/// Which events: any of some [`FilterItem`]s, or all; within a [`Scope`].
///
/// Items are OR-ed; the scope (tenant, aggregate type, stream, time) is AND-ed over all of them. A filter is a set: the
/// order in which it was built means nothing. It can't widen by accident: [`Filter::all`] is the only way to say
/// everything, and an empty item is refused.
///
/// ```
/// use eventsource_core::{Filter, FilterItem};
///
/// // Everything about course c1, and how full student s1's timetable is.
/// let filter = Filter::any_of([
///     FilterItem::new().tag("course", "c1")?,
///     FilterItem::new().event_type("StudentSubscribed")?.tag("student", "s1")?,
/// ])?;
/// assert_eq!(filter.items().map(|items| items.len()), Some(2));
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    items: Option<BTreeSet<FilterItem>>,
    scope: Scope,
}

impl Filter {
    /// The most items of one filter.
    pub const MAX_ITEMS: usize = 1_000;
    /// The most event types, tags and payload predicates of all its items together.
    pub const MAX_PARTS: usize = 10_000;

    /// Every event of the scope that is set afterwards; of the log, if none is.
    #[must_use]
    pub fn all() -> Self {
        Self { items: None, scope: Scope::default() }
    }

    /// The events that match at least one of `items`.
    ///
    /// # Errors
    /// `InvalidInput` if there is no item, or if one of them is empty, or if a limit is passed:
    /// [`MAX_ITEMS`](Self::MAX_ITEMS), [`MAX_PARTS`](Self::MAX_PARTS), [`FilterItem::MAX_TAGS`],
    /// [`FilterItem::MAX_PREDICATES`].
    pub fn any_of(items: impl IntoIterator<Item = FilterItem>) -> Result<Self> {
        let items: BTreeSet<FilterItem> = items.into_iter().collect();
        if items.is_empty() {
            return Err(Error::invalid_input(
                "a filter has at least one item; `Filter::all` says everything",
            ));
        }
        if items.iter().any(FilterItem::is_empty) {
            return Err(Error::invalid_input("a filter item is never empty; `Filter::all` says everything"));
        }
        let (max, parts) = (Self::MAX_PARTS, items.iter().map(FilterItem::part_count).sum::<usize>());
        if items.len() > Self::MAX_ITEMS || parts > max {
            return Err(Error::invalid_input(format!(
                "a filter has at most {} items with {max} parts, not {} with {parts}",
                Self::MAX_ITEMS,
                items.len()
            )));
        }
        items.iter().try_for_each(FilterItem::validate)?;
        Ok(Self { items: Some(items), scope: Scope::default() })
    }

    /// The events of any of these types.
    ///
    /// # Errors
    /// `InvalidInput` if there is none, or if one is no [`EventType`].
    pub fn event_types<T: TryInto<EventType, Error: Into<Error>>>(
        event_types: impl IntoIterator<Item = T>,
    ) -> Result<Self> {
        Self::any_of([FilterItem::new().event_types(event_types)?])
    }

    /// The events that carry the tag `key:value`.
    ///
    /// # Errors
    /// `InvalidInput` if that is no [`Tag`](crate::Tag).
    pub fn tagged(key: impl fmt::Display, value: impl fmt::Display) -> Result<Self> {
        Self::any_of([FilterItem::new().tag(key, value)?])
    }

    /// The events that either finds; both must be narrowed to the same [`Scope`].
    ///
    /// # Errors
    /// `InvalidInput` if their scopes differ (no one filter finds that), or as for [`any_of`](Self::any_of).
    pub fn or(self, other: Self) -> Result<Self> {
        if self.scope != other.scope {
            return Err(Error::invalid_input("filters of different scopes can't be one"));
        }
        let Some((items, others)) = self.items.zip(other.items) else {
            return Ok(Self { items: None, scope: self.scope });
        };
        let either = Self::any_of(items.into_iter().chain(others))?;
        Ok(Self { scope: self.scope, ..either })
    }

    /// Narrows it to one stream; called again, to the last one only.
    #[must_use]
    pub fn in_stream(mut self, stream: StreamId) -> Self {
        self.scope.stream = Some(stream);
        self
    }

    /// Narrows it to one tenant; called again, to the last one only.
    #[must_use]
    pub fn in_tenant(mut self, tenant: TenantId) -> Self {
        self.scope.tenant = Some(tenant);
        self
    }

    /// Narrows it to `tenant`, unless it names a tenant already; that must be `tenant` then.
    pub(crate) fn scoped_to(mut self, tenant: TenantId) -> Result<Self> {
        match self.scope.tenant {
            Some(named) if named != tenant => {
                Err(Error::invalid_input("the filter names another tenant than the store's"))
            }
            _ => {
                self.scope.tenant = Some(tenant);
                Ok(self)
            }
        }
    }

    /// Narrows it to the streams of one aggregate type; called again, to the last one only.
    #[must_use]
    pub fn of_aggregate_type(mut self, aggregate_type: AggregateType) -> Self {
        self.scope.aggregate_type = Some(aggregate_type);
        self
    }

    /// Narrows it to events that occurred at this time or later; it is cut to the microsecond. Called again, the last
    /// time counts.
    ///
    /// # Errors
    /// `InvalidInput` if the year does not lie between 1 and 9999, or if this is later than `occurred_until`.
    pub fn occurred_from(mut self, time: DateTime<Utc>) -> Result<Self> {
        self.scope.set_occurred_from(time)?;
        Ok(self)
    }

    /// Narrows it to events that occurred at this time or earlier; it is cut to the microsecond. Called again, the last
    /// time counts.
    ///
    /// # Errors
    /// `InvalidInput` if the year does not lie between 1 and 9999, or if this is earlier than `occurred_from`.
    pub fn occurred_until(mut self, time: DateTime<Utc>) -> Result<Self> {
        self.scope.set_occurred_until(time)?;
        Ok(self)
    }

    /// Whether `event` is one of them. Every store means this and nothing else.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.scope.contains(event)
            && self.items.as_ref().is_none_or(|items| items.iter().any(|item| item.matches(event)))
    }

    /// The items; none for all events.
    #[must_use]
    pub fn items(&self) -> Option<&BTreeSet<FilterItem>> {
        self.items.as_ref()
    }

    /// What all items are narrowed to.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The filter's identity, for what is stored under it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Filter");
        match &self.items {
            None => debug.field("items", &format_args!("all")),
            Some(items) => debug.field("items", items),
        };
        if self.scope != Scope::default() {
            debug.field("scope", &self.scope);
        }
        debug.finish()
    }
}

#[cfg(test)]
mod tests;
