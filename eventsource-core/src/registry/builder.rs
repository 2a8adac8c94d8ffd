use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::step::{Change, Step};
use super::{EventRegistry, RegistryError, RegistryProblem, check};
use crate::{DomainEvent, EventSchema, RecordedEvent, Result};

/// Gathers what an [`EventRegistry`] knows. The order means nothing. Cloned, it is a base for several registries.
#[derive(Clone, Debug, Default)]
pub struct EventRegistryBuilder {
    pub(super) owners: Vec<Reader>,
    pub(super) views: Vec<Reader>,
    pub(super) steps: Vec<Step>,
    pub(super) beginnings: BTreeMap<String, u32>,
    /// What was wrong as it was said.
    pub(super) problems: Vec<RegistryProblem>,
}

/// A type, and what it reads.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) id: TypeId,
    pub(super) name: &'static str,
    pub(super) schemas: Vec<EventSchema>,
}

impl EventRegistryBuilder {
    /// `E` writes its events, and reads them: their names are its own.
    #[must_use]
    pub fn event<E: DomainEvent>(mut self) -> Self {
        if let Some(reader) = self.reader::<E>() {
            self.owners.push(reader);
        }
        self
    }

    /// `V` reads events that other registered types own: a projection's own idea of what it wants to know.
    #[must_use]
    pub fn view<V: DomainEvent>(mut self) -> Self {
        if let Some(reader) = self.reader::<V>() {
            self.views.push(reader);
        }
        self
    }

    /// Events of schema `from` have another name or version today, and the same payload.
    #[must_use]
    pub fn rename(self, from: impl Into<EventSchema>, to: impl Into<EventSchema>) -> Self {
        self.step(from, vec![to.into()], Change::Keep)
    }

    /// Events of schema `from` become `to`, with the payload that `upcast` makes of theirs. It sees the stored event too:
    /// its stream, times and metadata, and its payload as it was stored, before any step.
    ///
    /// `upcast` is asked every time that such an event is read; from the same event it must make the same.
    #[must_use]
    pub fn upcast(
        self,
        from: impl Into<EventSchema>,
        to: impl Into<EventSchema>,
        upcast: impl Fn(Value, &RecordedEvent) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        self.step(from, vec![to.into()], Change::Map(Arc::new(upcast)))
    }

    /// Events of several schemas are one kind of event today: [`upcast`](Self::upcast) from each.
    #[must_use]
    pub fn merge<F: Into<EventSchema>>(
        mut self,
        from: impl IntoIterator<Item = F>,
        to: impl Into<EventSchema>,
        upcast: impl Fn(Value, &RecordedEvent) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        let (to, upcast) = (to.into(), Arc::new(upcast));
        for from in from {
            self = self.step(from, vec![to.clone()], Change::Map(upcast.clone()));
        }
        self
    }

    /// Each event of schema `from` is several events today: as many as `split` gives, in that order, each under the name
    /// of one of the targets.
    #[must_use]
    pub fn split<T: Into<EventSchema>>(
        self,
        from: impl Into<EventSchema>,
        to: impl IntoIterator<Item = T>,
        split: impl Fn(Value, &RecordedEvent) -> Result<Vec<(&'static str, Value)>> + Send + Sync + 'static,
    ) -> Self {
        self.step(from, to.into_iter().map(Into::into).collect(), Change::Split(Arc::new(split)))
    }

    /// Events of schema `from` say nothing any more.
    #[must_use]
    pub fn drop_event(self, from: impl Into<EventSchema>) -> Self {
        self.step(from, Vec::new(), Change::Drop)
    }

    /// No event of this name was ever stored in an older schema than this: there is nothing to upcast.
    #[must_use]
    pub fn begins_at(mut self, first: impl Into<EventSchema>) -> Self {
        let first = first.into();
        self.beginnings.insert(first.name().to_owned(), first.version());
        self
    }

    /// The registry, if everything that may be stored can be read.
    ///
    /// # Errors
    /// Every [problem](RegistryProblem) that there is.
    pub fn build(self) -> Result<EventRegistry, RegistryError> {
        check::nodes(self).map(|nodes| EventRegistry { nodes: Arc::new(nodes) }).map_err(RegistryError::new)
    }

    fn step(mut self, from: impl Into<EventSchema>, targets: Vec<EventSchema>, change: Change) -> Self {
        self.steps.push(Step::new(from.into(), targets, change));
        self
    }

    fn reader<E: DomainEvent>(&mut self) -> Option<Reader> {
        let name = type_name::<E>();
        match EventSchema::all_of::<E>() {
            Ok(schemas) => Some(Reader { id: TypeId::of::<E>(), name, schemas }),
            Err(_) => {
                self.problems.push(RegistryProblem::SaysNothing { reader: name });
                None
            }
        }
    }
}
