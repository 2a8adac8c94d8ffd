//! Reading what older programs wrote.

mod builder;
mod check;
mod decoder;
mod error;
#[cfg(test)]
mod properties;
mod step;
#[cfg(test)]
mod tests;

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

pub use builder::EventRegistryBuilder;
pub use decoder::{KeepingDecoder, Kept, RegistryDecoder};
pub use error::{RegistryError, RegistryProblem};

use step::{Draft, Step};

use crate::{DomainEvent, Error, EventType, RecordedEvent, Result};

/// Every event that the application knows, and how those that older programs wrote become today's.
///
/// Types say what they read; upcasters lead from each older schema to a newer one, over JSON, as many steps as it takes.
/// [`build`](EventRegistryBuilder::build) checks that they all arrive: a gap, a cycle, an unknown target or two claims on
/// one name is an error when the program starts, not when it comes to an old event.
///
/// ```
/// use eventsource_core::{Context, Decoder, DomainEvent, EventRegistry, Filter, NewEvent, Result};
/// use serde::{Deserialize, Serialize};
/// use serde_json::json;
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
/// enum OrderEvent {
///     #[event(version = 3)]
///     OrderPlaced { customer_id: String, total_cents: u64, currency: String },
///     ItemAdded { sku: String },
/// }
///
/// let registry = EventRegistry::builder()
///     .event::<OrderEvent>()
///     // Version 1 was called otherwise.
///     .rename(("OrderCreated", 1), ("OrderPlaced", 1))
///     // Version 2 calls the total what it is, version 3 says in which currency.
///     .upcast(("OrderPlaced", 1), ("OrderPlaced", 2), |mut order, _| {
///         order["total_cents"] = order["total"].take();
///         Ok(order)
///     })
///     .upcast(("OrderPlaced", 2), ("OrderPlaced", 3), |mut order, _| {
///         order["currency"] = json!("EUR");
///         Ok(order)
///     })
///     // One old event says what now takes several.
///     .split(("ItemsAdded", 1), [("ItemAdded", 1)], |items, _| {
///         let skus = items["skus"].as_array().cloned().unwrap_or_default();
///         Ok(skus.into_iter().map(|sku| ("ItemAdded", json!({ "sku": sku }))).collect())
///     })
///     // Nobody wants these any more.
///     .drop_event(("CartLookedAt", 1))
///     .build()?;
///
/// // What a repository, a decision or a projection is given, and what it asks the store for.
/// let decoder = registry.decoder::<OrderEvent>()?;
/// let filter = Filter::event_types(decoder.event_types()?)?;
/// # let types: Vec<String> = decoder.event_types()?.iter().map(ToString::to_string).collect();
/// # assert_eq!(types, ["ItemAdded", "ItemsAdded", "OrderCreated", "OrderPlaced"]);
/// # Ok::<(), eventsource_core::Error>(())
/// ```
///
/// # What it does not do
/// It does not join several stored events into one. Where reading begins (behind a checkpoint or a snapshot, or with a
/// filter) would decide which half is seen, and the same log would say different things. [`merge`] joins several *kinds*
/// of events into one; two events that belong together are folded by whoever keeps the state.
///
/// [`merge`]: EventRegistryBuilder::merge
#[derive(Clone)]
pub struct EventRegistry {
    nodes: Arc<Nodes>,
}

/// What is known of each name's versions.
type Nodes = HashMap<EventType, BTreeMap<u32, Node>>;

enum Node {
    /// These types read it.
    Current(Vec<TypeId>),
    /// It becomes something newer, or nothing.
    Outdated(Step),
}

/// Why there is no node for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Name,
    Version,
}

impl EventRegistry {
    /// A registry that knows nothing yet.
    #[must_use]
    pub fn builder() -> EventRegistryBuilder {
        EventRegistryBuilder::default()
    }

    /// Reads events as `E`, which was registered. An event that it can't read is an error, unless the decoder is
    /// [told otherwise](RegistryDecoder).
    ///
    /// # Errors
    /// `InvalidInput` if `E` was not registered.
    pub fn decoder<E: DomainEvent>(&self) -> Result<RegistryDecoder<E>> {
        let event_types = self.event_types_of(TypeId::of::<E>());
        if event_types.is_empty() {
            let name = std::any::type_name::<E>();
            return Err(Error::invalid_input(format!(
                "{name} is not registered: give it to `EventRegistryBuilder::event`, or to `view`"
            )));
        }
        Ok(RegistryDecoder::new(self.clone(), event_types))
    }

    /// What the stored event is today: itself if it is up to date, something newer, several, or nothing. Position, stream,
    /// id, tags and everything but type, schema version and payload stay as they were stored.
    ///
    /// # Errors
    /// `Corrupt` if the registry does not know it, or if an upcaster refuses it.
    pub fn upcast(&self, event: &RecordedEvent) -> Result<Vec<RecordedEvent>> {
        let mut current = Vec::new();
        self.each_current(event, |event, _| {
            current.push(event.clone());
            Ok(())
        })?
        .map_or(Ok(current), |missing| Err(missing.refuse(event, &self.nodes)))
    }

    /// Hands on what the stored event is today, with who reads it; or says that the event is not known.
    fn each_current(
        &self,
        event: &RecordedEvent,
        mut each: impl FnMut(&RecordedEvent, &[TypeId]) -> Result<()>,
    ) -> Result<Option<Missing>> {
        match find(&self.nodes, event.event_type(), event.schema_version()) {
            Err(missing) => Ok(Some(missing)),
            Ok(Node::Current(readers)) => each(event, readers).map(|()| None),
            Ok(Node::Outdated(step)) => self.follow(step, event, each).map(|()| None),
        }
    }

    /// Takes a step, and all that follow from it, one by one: a chain may be long.
    fn follow(
        &self,
        step: &Step,
        event: &RecordedEvent,
        mut each: impl FnMut(&RecordedEvent, &[TypeId]) -> Result<()>,
    ) -> Result<()> {
        // The next one last.
        let mut drafts = step.take(Draft::of(event), event)?;
        drafts.reverse();
        while let Some(draft) = drafts.pop() {
            match find(&self.nodes, &draft.event_type, draft.version) {
                Ok(Node::Current(readers)) => each(&draft.finish(event)?, readers)?,
                Ok(Node::Outdated(step)) => drafts.extend(step.take(draft, event)?.into_iter().rev()),
                // `build` has checked every target.
                Err(_) => return Err(Error::corrupt("an upcaster leads to an event that nobody knows")),
            }
        }
        Ok(())
    }

    /// The names of all events that become something that `reader` reads, sorted.
    fn event_types_of(&self, reader: TypeId) -> Vec<EventType> {
        let all = || {
            self.nodes.iter().flat_map(|(name, versions)| {
                versions.iter().map(move |(version, node)| (name, *version, node))
            })
        };
        let mut sources: BTreeMap<(&str, u32), Vec<(&str, u32)>> = BTreeMap::new();
        let mut found: BTreeSet<(&str, u32)> = BTreeSet::new();
        let mut next = Vec::new();
        for (name, version, node) in all() {
            match node {
                Node::Current(readers) if readers.contains(&reader) => next.push((name.as_str(), version)),
                Node::Current(_) => {}
                Node::Outdated(step) => {
                    for target in step.targets() {
                        let target = (target.name(), target.version());
                        sources.entry(target).or_default().push((name.as_str(), version));
                    }
                }
            }
        }
        while let Some(schema) = next.pop() {
            if found.insert(schema) {
                next.extend(sources.get(&schema).into_iter().flatten());
            }
        }
        let names: BTreeSet<&EventType> = all()
            .filter(|(name, version, _)| found.contains(&(name.as_str(), *version)))
            .map(|(name, ..)| name)
            .collect();
        names.into_iter().cloned().collect()
    }
}

fn find(nodes: &Nodes, name: impl AsRef<str>, version: u32) -> Result<&Node, Missing> {
    let versions = nodes.get(name.as_ref()).ok_or(Missing::Name)?;
    versions.get(&version).ok_or(Missing::Version)
}

impl Missing {
    fn refuse(self, event: &RecordedEvent, nodes: &Nodes) -> Error {
        let (name, version, position) = (event.event_type(), event.schema_version(), event.position());
        match self {
            Self::Name => {
                Error::corrupt(format!("nothing registered knows the event {name} at position {position}"))
            }
            Self::Version => {
                let newest = nodes.get(name.as_str()).and_then(|versions| versions.keys().next_back());
                let newest = newest.copied().unwrap_or_default();
                Error::corrupt(format!(
                    "the event {name} at position {position} has schema version {version}, which is not registered; the \
                     newest that is has version {newest}"
                ))
            }
        }
    }
}

impl fmt::Debug for EventRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: BTreeMap<_, Vec<_>> =
            self.nodes.iter().map(|(name, versions)| (name, versions.keys().collect())).collect();
        f.debug_tuple("EventRegistry").field(&names).finish()
    }
}
