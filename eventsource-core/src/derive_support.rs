//! What `#[derive(DomainEvent)]` writes calls. It may change with any version.

mod content;
mod variant;

use std::fmt;

pub use std::result::Result::Ok;
pub use std::vec::Vec;

use crate::domain_event::{not_decoded, schema_index};
use crate::{DomainEvent, EventSchema, EventType, NewEvent, Payload, RecordedEvent, Result, Tag};

/// The event that a struct is.
///
/// # Errors
/// As for [`DomainEvent::encode`].
pub fn encode_struct<E: DomainEvent>(event: &E) -> Result<NewEvent> {
    encoded(event, &E::SCHEMAS[0], Payload::from_serialize(event)?)
}

/// The event that an enum's variant is.
///
/// # Errors
/// As for [`DomainEvent::encode`].
pub fn encode_variant<E: DomainEvent>(event: &E, index: usize) -> Result<NewEvent> {
    encoded(event, &E::SCHEMAS[index], Payload::from_serialize(&content::Content(event))?)
}

fn encoded<E: DomainEvent>(event: &E, schema: &EventSchema, payload: Payload) -> Result<NewEvent> {
    let new = NewEvent::from_payload(EventType::new(schema.name())?, payload);
    Ok(new.schema_version(schema.version()).tags(event.tags()?))
}

/// A struct that was an event.
///
/// # Errors
/// As for [`DomainEvent::decode`].
pub fn decode_struct<E: DomainEvent>(event: &RecordedEvent) -> Result<E> {
    schema_index::<E>(event)?;
    serde_json::from_str(event.payload().as_json()).map_err(|error| not_decoded(event, error))
}

/// A variant that was an event.
///
/// # Errors
/// As for [`DomainEvent::decode`].
pub fn decode_variant<E: DomainEvent>(event: &RecordedEvent) -> Result<E> {
    let index = schema_index::<E>(event)?;
    variant::from_json(index, event.payload().as_json()).map_err(|error| not_decoded(event, error))
}

/// The tag that a field makes.
///
/// # Errors
/// As for [`Tag::new`].
pub fn tag<V: TagValue + ?Sized>(key: &str, value: &V) -> Result<Tag> {
    Tag::new(key, DisplayedTag(value))
}

/// What a field that is a tag is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the value of a tag, for it does not display",
    label = "a tag's value displays",
    note = "implement `std::fmt::Display` for it, or make the tag of a simpler field",
    note = "an `Option`, a `Vec` or a set makes a tag of each element, if it is written out and not hidden behind an alias"
)]
pub trait TagValue {
    /// Displays it.
    ///
    /// # Errors
    /// As for [`fmt::Display`].
    fn display(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

#[diagnostic::do_not_recommend]
impl<V: fmt::Display + ?Sized> TagValue for V {
    fn display(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt(f)
    }
}

struct DisplayedTag<'a, V: ?Sized>(&'a V);

impl<V: TagValue + ?Sized> fmt::Display for DisplayedTag<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display(f)
    }
}
