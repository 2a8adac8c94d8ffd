use std::collections::BTreeSet;
use std::fmt;

use super::{PayloadPath, PayloadPredicate, Scalar};
use crate::{Error, EventType, NewEvent, RecordedEvent, Result, Tag};

/// One way to match: any of the event types, and all of the tags, and the payload predicates.
///
/// What is not named does not narrow: an item without event types takes every type.
///
/// ```
/// use eventsource_core::FilterItem;
///
/// let lent = FilterItem::new()
///     .event_types(["BookLent", "BookReturned"])?
///     .all_payload("BookID", "b1")?
///     .all_payload(["reader", "active"], true)?;
/// assert!(!lent.is_empty());
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterItem {
    event_types: BTreeSet<EventType>,
    tags: BTreeSet<Tag>,
    all_of_payload: BTreeSet<PayloadPredicate>,
    any_of_payload: BTreeSet<PayloadPredicate>,
}

impl FilterItem {
    /// The most tags of one item: no event carries more.
    pub const MAX_TAGS: usize = NewEvent::MAX_TAGS;
    /// The most payload predicates of one item.
    pub const MAX_PREDICATES: usize = 100;

    /// An item that names nothing yet; no filter takes it like that.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event type: the event has one of those that were added.
    ///
    /// # Errors
    /// `InvalidInput` if it is no [`EventType`].
    pub fn event_type(mut self, event_type: impl TryInto<EventType, Error: Into<Error>>) -> Result<Self> {
        self.event_types.insert(event_type.try_into().map_err(Into::into)?);
        Ok(self)
    }

    /// Adds event types.
    ///
    /// # Errors
    /// `InvalidInput` if there is none (an empty list never means everything), or if one is no [`EventType`].
    pub fn event_types<T: TryInto<EventType, Error: Into<Error>>>(
        mut self,
        event_types: impl IntoIterator<Item = T>,
    ) -> Result<Self> {
        let mut event_types = event_types.into_iter().peekable();
        if event_types.peek().is_none() {
            return Err(Error::invalid_input("a list of event types is never empty"));
        }
        for event_type in event_types {
            self = self.event_type(event_type)?;
        }
        Ok(self)
    }

    /// Adds the tag `key:value`: the event carries all those that were added.
    ///
    /// # Errors
    /// `InvalidInput` if that is no [`Tag`].
    pub fn tag(self, key: impl fmt::Display, value: impl fmt::Display) -> Result<Self> {
        Ok(self.tagged(Tag::new(key, value)?))
    }

    /// Adds a tag.
    #[must_use]
    pub fn tagged(mut self, tag: Tag) -> Self {
        self.tags.insert(tag);
        self
    }

    /// Adds a predicate that must hold for the payload, as must all others added with this method.
    ///
    /// # Errors
    /// `InvalidInput` as for [`PayloadPredicate::new`].
    pub fn all_payload(
        mut self,
        path: impl TryInto<PayloadPath, Error: Into<Error>>,
        value: impl TryInto<Scalar, Error: Into<Error>>,
    ) -> Result<Self> {
        self.all_of_payload.insert(PayloadPredicate::new(path, value)?);
        Ok(self)
    }

    /// Adds a predicate of which at least one must hold for the payload, among all added with this method.
    ///
    /// # Errors
    /// `InvalidInput` as for [`PayloadPredicate::new`].
    pub fn any_payload(
        mut self,
        path: impl TryInto<PayloadPath, Error: Into<Error>>,
        value: impl TryInto<Scalar, Error: Into<Error>>,
    ) -> Result<Self> {
        self.any_of_payload.insert(PayloadPredicate::new(path, value)?);
        Ok(self)
    }

    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `event` matches this item, whatever the filter's scope.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        let holds = |predicate: &PayloadPredicate| predicate.matches(event.payload());
        (self.event_types.is_empty() || self.event_types.contains(event.event_type()))
            && self.tags.iter().all(|tag| event.tags().contains(tag))
            && self.all_of_payload.iter().all(holds)
            && (self.any_of_payload.is_empty() || self.any_of_payload.iter().any(holds))
    }

    /// Refuses what not every store could look for.
    pub(super) fn validate(&self) -> Result<()> {
        let limits = [
            ("tags", self.tags.len(), Self::MAX_TAGS),
            ("payload predicates", self.predicate_count(), Self::MAX_PREDICATES),
        ];
        match limits.into_iter().find(|(_, count, max)| count > max) {
            None => Ok(()),
            Some((what, count, max)) => {
                Err(Error::invalid_input(format!("a filter item has at most {max} {what}, not {count}")))
            }
        }
    }

    pub(super) fn part_count(&self) -> usize {
        self.event_types.len() + self.tags.len() + self.predicate_count()
    }

    fn predicate_count(&self) -> usize {
        self.all_of_payload.len() + self.any_of_payload.len()
    }

    /// The event has one of these types; any, if there is none.
    #[must_use]
    pub fn event_type_set(&self) -> &BTreeSet<EventType> {
        &self.event_types
    }

    /// The event carries all of these.
    #[must_use]
    pub fn tag_set(&self) -> &BTreeSet<Tag> {
        &self.tags
    }

    /// All of these hold.
    #[must_use]
    pub fn all_of_payload(&self) -> &BTreeSet<PayloadPredicate> {
        &self.all_of_payload
    }

    /// At least one of these holds, if there is any.
    #[must_use]
    pub fn any_of_payload(&self) -> &BTreeSet<PayloadPredicate> {
        &self.any_of_payload
    }
}
