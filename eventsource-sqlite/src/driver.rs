use eventsource_core::{AggregateType, EventType, FilterItem, Scope, Tag, TenantId};
use rusqlite::Connection;

use crate::search::{Parameter, Search, Source, Wanted, Window};

/// The index that finds an item's events with the fewest steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Driver<'f> {
    Tag(&'f Tag),
    EventTypes(Vec<&'f EventType>),
    AggregateType(&'f AggregateType),
    Tenant(TenantId),
    /// No index narrows it.
    Log,
}

impl<'f> Driver<'f> {
    /// How far the first look at an index goes; what has fewer entries in the window is good enough.
    const FEW: i64 = 128;
    /// How far the second goes.
    const MANY: i64 = 8_192;

    /// The best index for what matches `item` within `scope`. SQLite has no statistics of a log that grows all the
    /// time, so the entries are counted, up to a bound, where there is a choice.
    pub(crate) fn best(
        connection: &Connection,
        item: Option<&'f FilterItem>,
        scope: &'f Scope,
        window: Window,
    ) -> rusqlite::Result<Self> {
        let mut choices = Self::choices(item, scope);
        if choices.len() > 1 && window.until - window.after > Self::FEW {
            for bound in [Self::FEW, Self::MANY] {
                let mut best = (bound, 0);
                for (index, choice) in choices.iter().enumerate() {
                    let count = choice.count(connection, window, best.0)?;
                    if count < best.0 {
                        best = (count, index);
                    }
                    if count < Self::FEW {
                        return Ok(choices.swap_remove(index));
                    }
                }
                if best.0 < bound {
                    return Ok(choices.swap_remove(best.1));
                }
            }
        }
        Ok(choices.into_iter().next().unwrap_or(Self::Log))
    }

    /// Its searches: one, one for each event type, or one for older and one for recent tags.
    pub(crate) fn searches(&self, window: Window) -> Vec<Search<'f>> {
        let keyed = |source, key: &'f str| Search::keyed(source, Parameter::Text(key.into()), window);
        match self {
            Self::Tag(tag) => Search::tagged(tag.as_str(), window),
            Self::EventTypes(types) => {
                types.iter().map(|event_type| keyed(Source::EventType, event_type.as_str())).collect()
            }
            Self::AggregateType(aggregate_type) => {
                vec![keyed(Source::AggregateType, aggregate_type.as_str())]
            }
            Self::Tenant(tenant) => {
                vec![Search::keyed(Source::Tenant, Parameter::Id(tenant.as_uuid()), window)]
            }
            Self::Log => vec![Search::log(window)],
        }
    }

    fn choices(item: Option<&'f FilterItem>, scope: &'f Scope) -> Vec<Self> {
        let tags = item.into_iter().flat_map(|item| item.tag_set().iter().map(Self::Tag));
        let types = item.filter(|item| !item.event_type_set().is_empty());
        let types = types.map(|item| Self::EventTypes(item.event_type_set().iter().collect()));
        tags.chain(types)
            .chain(scope.aggregate_type().map(Self::AggregateType))
            .chain(scope.tenant().map(Self::Tenant))
            .collect()
    }

    /// How many entries the index has in the window, counted up to `bound`.
    fn count(&self, connection: &Connection, window: Window, bound: i64) -> rusqlite::Result<i64> {
        let mut total = 0;
        for search in self.searches(window) {
            let positions = search.statement(Wanted::Positions, eventsource_core::Direction::Forward);
            let mut statement = connection.prepare_cached(&format!("SELECT count(*) FROM ({positions})"))?;
            let limit = Parameter::Number(bound - total);
            let parameters = rusqlite::params_from_iter(search.parameters().chain([&limit]));
            total += statement.query_row(parameters, |row| row.get::<_, i64>(0))?;
            if total >= bound {
                break;
            }
        }
        Ok(total)
    }
}
