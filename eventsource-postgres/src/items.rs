use eventsource_core::{EventType, Filter, FilterItem, Result, Scope};

use crate::append::ordinal;

/// Conditions' items that the log's functions can judge by themselves, in columns: where the tags and the types of each end.
#[derive(Default)]
pub(crate) struct Items<'a> {
    pub(crate) tag_ends: Vec<i32>,
    pub(crate) type_ends: Vec<i32>,
    pub(crate) tags: Vec<&'a str>,
    pub(crate) types: Vec<&'a str>,
}

impl<'a> Items<'a> {
    /// Adds the items of a [plain](is_plain) filter.
    pub(crate) fn add(&mut self, filter: &'a Filter) -> Result<()> {
        let Some(items) = filter.items() else {
            // All events: an item that asks for nothing.
            return self.end_item();
        };
        for item in items {
            self.tags.extend(item.tag_set().iter().map(|tag| tag.as_str()));
            self.types.extend(item.event_type_set().iter().map(EventType::as_str));
            self.end_item()?;
        }
        Ok(())
    }

    fn end_item(&mut self) -> Result<()> {
        self.tag_ends.push(ordinal(self.tags.len())?);
        self.type_ends.push(ordinal(self.types.len())?);
        Ok(())
    }
}

/// Whether a filter asks for nothing but types and tags.
pub(crate) fn is_plain(filter: &Filter) -> bool {
    let is_plain = |item: &FilterItem| item.all_of_payload().is_empty() && item.any_of_payload().is_empty();
    *filter.scope() == Scope::default() && filter.items().is_none_or(|items| items.iter().all(is_plain))
}
