use eventsource_core::{Filter, FilterItem, ReadOptions};
use rusqlite::{Connection, OptionalExtension};

use crate::driver::Driver;
use crate::payload;
use crate::search::{Parameter, Search, Wanted, Window, tagged_term};
use crate::stream::versions_between;

/// The searches that together find what matches `filter` in the window: an event is found by at least one of them,
/// perhaps by several, and nothing else is found.
pub(crate) fn searches<'f>(
    connection: &Connection,
    filter: &'f Filter,
    window: Window,
    options: &ReadOptions,
) -> rusqlite::Result<Vec<Search<'f>>> {
    let items: Vec<&FilterItem> = filter.items().into_iter().flatten().collect();
    if let Some(stream) = filter.scope().stream() {
        let (first, last) = versions_between(connection, stream, window.after, window.until)?;
        let first = options.first_version().map_or(first, |wanted| wanted.to_i64().max(first));
        let last = options.last_version().map_or(last, |wanted| wanted.to_i64().min(last));
        return Ok(in_chunks(filter, &items, || Search::stream(stream, (first, last))));
    }
    // So few events are looked at sooner than any index.
    let few = i64::try_from(items.len()).unwrap_or(i64::MAX).saturating_mul(4);
    if window.until - window.after <= few {
        return Ok(in_chunks(filter, &items, || Search::log(window)));
    }
    if items.is_empty() {
        let driver = Driver::best(connection, None, filter.scope(), window)?;
        return Ok(narrowed(filter, None, &driver, window));
    }
    let mut searches = Vec::new();
    let mut unindexed = Vec::new();
    for item in items {
        match Driver::best(connection, Some(item), filter.scope(), window)? {
            Driver::Log => unindexed.push(item),
            driver => searches.extend(narrowed(filter, Some(item), &driver, window)),
        }
    }
    if !unindexed.is_empty() {
        searches.extend(in_chunks(filter, &unindexed, || Search::log(window)));
    }
    Ok(searches)
}

/// The lowest position in the window at which an event matches.
pub(crate) fn first_match(
    connection: &Connection,
    filter: &Filter,
    window: Window,
) -> rusqlite::Result<Option<i64>> {
    let mut first = None;
    if window.after >= window.until {
        return Ok(None);
    }
    for search in searches(connection, filter, window, &ReadOptions::new())? {
        let statement = search.statement(Wanted::Positions, eventsource_core::Direction::Forward);
        let mut statement = connection.prepare_cached(&statement)?;
        let limit = Parameter::Number(1);
        let parameters = rusqlite::params_from_iter(search.parameters().chain([&limit]));
        let found: Option<i64> = statement.query_row(parameters, |row| row.get(0)).optional()?;
        first = found.into_iter().chain(first).min();
    }
    Ok(first)
}

/// Whether an item asks for the payload, so that the connection must know the function for it.
pub(crate) fn reads_payload(filter: &Filter) -> bool {
    filter.items().into_iter().flatten().any(|item| payload::encode(item).is_some())
}

fn narrowed<'f>(
    filter: &'f Filter,
    item: Option<&'f FilterItem>,
    driver: &Driver<'f>,
    window: Window,
) -> Vec<Search<'f>> {
    let mut searches = driver.searches(window);
    for search in &mut searches {
        if let Some(item) = item {
            for tag in item.tag_set().iter().filter(|tag| !matches!(driver, Driver::Tag(key) if key == tag)) {
                search.and_tagged(tag.as_str());
            }
            if !matches!(driver, Driver::EventTypes(_)) {
                let mut terms = Terms::default();
                terms.event_types(item);
                terms.narrow(search);
            }
        }
        let mut terms = Terms::default();
        terms.scope(filter, driver);
        terms.narrow(search);
        if let Some(predicates) = item.and_then(payload::encode) {
            search.and(&payload_term(), [Parameter::Text(predicates.into())]);
        }
    }
    searches
}

/// Searches over a part of the log, each for any of some items: an expression can't be deep without bound.
fn in_chunks<'f>(
    filter: &'f Filter,
    items: &[&'f FilterItem],
    source: impl Fn() -> Search<'f>,
) -> Vec<Search<'f>> {
    const ITEMS_PER_SEARCH: usize = 50;
    let search = |items: &[&'f FilterItem]| {
        let mut search = source();
        let mut terms = Terms::default();
        terms.scope(filter, &Driver::Log);
        terms.narrow(&mut search);
        if !items.is_empty() {
            let mut any = Terms { separator: " OR ", ..Terms::default() };
            for item in items {
                any.item(item, search.position());
            }
            search.and(&format!("({})", any.text), any.parameters);
        }
        search
    };
    if items.is_empty() {
        return vec![search(&[])];
    }
    items.chunks(ITEMS_PER_SEARCH).map(search).collect()
}

/// Terms over `events AS e`, and what is bound to their parameters.
struct Terms<'f> {
    text: String,
    separator: &'static str,
    parameters: Vec<Parameter<'f>>,
}

impl Default for Terms<'_> {
    fn default() -> Self {
        Self { text: String::new(), separator: " AND ", parameters: Vec::new() }
    }
}

impl<'f> Terms<'f> {
    /// Beyond so many, a list is bound as one parameter.
    const LISTED: usize = 50;

    fn push(&mut self, term: &str, parameters: impl IntoIterator<Item = Parameter<'f>>) {
        if !self.text.is_empty() {
            self.text.push_str(self.separator);
        }
        self.text.push_str(term);
        self.parameters.extend(parameters);
    }

    fn narrow(self, search: &mut Search<'f>) {
        if !self.text.is_empty() {
            search.and(&self.text, self.parameters);
        }
    }

    fn item(&mut self, item: &'f FilterItem, position: &str) {
        let mut all = Terms::default();
        all.event_types(item);
        for tag in item.tag_set() {
            all.push(&tagged_term(position), [Parameter::Text(tag.as_str().into())]);
        }
        if let Some(predicates) = payload::encode(item) {
            all.push(&payload_term(), [Parameter::Text(predicates.into())]);
        }
        self.push(&format!("({})", all.text), all.parameters);
    }

    fn event_types(&mut self, item: &'f FilterItem) {
        let types = item.event_type_set();
        let each = types.iter().map(|event_type| event_type.as_str());
        match types.len() {
            0 => {}
            1..=Self::LISTED => {
                let marks = vec!["?"; types.len()].join(", ");
                self.push(
                    &format!("e.event_type IN ({marks})"),
                    each.map(|event_type| Parameter::Text(event_type.into())),
                );
            }
            _ => {
                let list = serde_json::Value::from(each.collect::<Vec<_>>()).to_string();
                self.push("e.event_type IN (SELECT value FROM json_each(?))", [Parameter::Text(list.into())]);
            }
        }
    }

    /// What the scope asks for and neither the driver nor a stream's search sees to.
    fn scope(&mut self, filter: &'f Filter, driver: &Driver<'f>) {
        let scope = filter.scope();
        if let Some(tenant) = scope.tenant().filter(|_| !matches!(driver, Driver::Tenant(_))) {
            self.push("e.tenant_id = ?", [Parameter::Id(tenant.as_uuid())]);
        }
        let aggregate_type = scope.aggregate_type().filter(|_| !matches!(driver, Driver::AggregateType(_)));
        if let Some(aggregate_type) = aggregate_type {
            self.push("e.aggregate_type = ?", [Parameter::Text(aggregate_type.as_str().into())]);
        }
        if let Some(from) = scope.occurred_from() {
            self.push("e.timestamp >= ?", [Parameter::Number(from.timestamp_micros())]);
        }
        if let Some(until) = scope.occurred_until() {
            self.push("e.timestamp <= ?", [Parameter::Number(until.timestamp_micros())]);
        }
    }
}

fn payload_term() -> String {
    format!("{}(e.payload, ?)", payload::FUNCTION)
}

#[cfg(test)]
mod tests;
