use std::borrow::Cow;

use eventsource_core::{Direction, StreamId};
use rusqlite::types::{ToSql, ToSqlOutput};
use uuid::Uuid;

use crate::raw_event::COLUMNS;

/// A part of the log: behind `after`, and up to `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) after: i64,
    pub(crate) until: i64,
    /// Up to which position tags lie among the older ones, behind which among the recent ones.
    pub(crate) tags_moved: i64,
}

/// One walk along one index: it yields positions, or events, in log order or backward.
///
/// The text of its statement depends on the shape of what is asked for only, never on a value: statements are prepared
/// once, and no value is ever SQL.
#[derive(Debug)]
pub(crate) struct Search<'f> {
    source: Source,
    terms: String,
    parameters: Vec<Parameter<'f>>,
    /// Whether a term looks at the event itself.
    reads_events: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Log,
    Stream,
    OlderTag,
    RecentTag,
    EventType,
    AggregateType,
    Tenant,
}

/// What a search yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Positions,
    Events,
}

#[derive(Clone, Debug)]
pub(crate) enum Parameter<'f> {
    Text(Cow<'f, str>),
    Id(Uuid),
    Number(i64),
}

impl<'f> Search<'f> {
    pub(crate) fn log(window: Window) -> Self {
        Self::over(
            Source::Log,
            "e.global_position > ? AND e.global_position <= ?",
            vec![],
            (window.after, window.until),
        )
    }

    pub(crate) fn stream(stream: &'f StreamId, versions: (i64, i64)) -> Self {
        // The index orders by version, which orders by position.
        let key = "e.aggregate_id = ? AND e.aggregate_type = ? AND e.version >= ? AND e.version <= ?";
        let parameters = vec![
            Parameter::Id(stream.aggregate_id()),
            Parameter::Text(stream.aggregate_type().as_str().into()),
        ];
        Self::over(Source::Stream, key, parameters, versions)
    }

    /// What carries a tag: one search, or two, of which the second begins where the first ends.
    pub(crate) fn tagged(tag: &'f str, window: Window) -> Vec<Self> {
        let older = Window { until: window.until.min(window.tags_moved), ..window };
        let recent = Window { after: window.after.max(window.tags_moved), ..window };
        [(Source::OlderTag, older), (Source::RecentTag, recent)]
            .into_iter()
            .filter(|(_, part)| part.after < part.until)
            .map(|(source, part)| Self::keyed(source, Parameter::Text(tag.into()), part))
            .collect()
    }

    /// Whether a search finds nothing but what lies behind all that another finds, which was made with it.
    pub(crate) fn begins_behind(&self, other: &Self) -> bool {
        (other.source, self.source) == (Source::OlderTag, Source::RecentTag)
    }

    pub(crate) fn keyed(source: Source, key: Parameter<'f>, window: Window) -> Self {
        let terms = match source {
            Source::OlderTag | Source::RecentTag => "t.tag = ? AND t.position > ? AND t.position <= ?",
            Source::EventType => "e.event_type = ? AND e.global_position > ? AND e.global_position <= ?",
            Source::AggregateType => {
                "e.aggregate_type = ? AND e.global_position > ? AND e.global_position <= ?"
            }
            Source::Tenant => "e.tenant_id = ? AND e.global_position > ? AND e.global_position <= ?",
            Source::Log | Source::Stream => return Self::log(window),
        };
        Self::over(source, terms, vec![key], (window.after, window.until))
    }

    fn over(source: Source, terms: &str, mut parameters: Vec<Parameter<'f>>, (from, to): (i64, i64)) -> Self {
        parameters.extend([Parameter::Number(from), Parameter::Number(to)]);
        Self { source, terms: terms.to_owned(), parameters, reads_events: false }
    }

    /// Narrows it by a term over `events AS e`.
    pub(crate) fn and(&mut self, term: &str, parameters: impl IntoIterator<Item = Parameter<'f>>) {
        self.terms.push_str(" AND ");
        self.terms.push_str(term);
        self.parameters.extend(parameters);
        self.reads_events = true;
    }

    /// Narrows it to events that carry a tag.
    pub(crate) fn and_tagged(&mut self, tag: &'f str) {
        let reads_events = self.reads_events;
        self.and(&tagged_term(self.position()), [Parameter::Text(tag.into())]);
        self.reads_events = reads_events;
    }

    /// The column that holds the position.
    pub(crate) fn position(&self) -> &'static str {
        match self.source {
            Source::OlderTag | Source::RecentTag => "t.position",
            _ => "e.global_position",
        }
    }

    /// The statement's text. Its last parameter, behind [`parameters`](Self::parameters), is the limit.
    pub(crate) fn statement(&self, wanted: Wanted, direction: Direction) -> String {
        let (columns, needs_events) = match wanted {
            Wanted::Positions => (self.position(), self.reads_events),
            Wanted::Events => (COLUMNS, true),
        };
        // The index is named, so that no statistics, and none that are missing, can make the plan another.
        let source = match self.source {
            Source::Log => "main.events AS e NOT INDEXED",
            Source::Stream => "main.events AS e INDEXED BY events_by_stream",
            Source::EventType => "main.events AS e INDEXED BY events_by_type",
            Source::AggregateType => "main.events AS e INDEXED BY events_by_aggregate_type",
            Source::Tenant => "main.events AS e INDEXED BY events_by_tenant",
            // CROSS JOIN keeps SQLite from turning the loops round (https://sqlite.org/optoverview.html).
            Source::OlderTag if needs_events => {
                "main.older_tags AS t CROSS JOIN main.events AS e ON e.global_position = t.position"
            }
            Source::OlderTag => "main.older_tags AS t",
            Source::RecentTag if needs_events => {
                "main.recent_tags AS t CROSS JOIN main.events AS e ON e.global_position = t.position"
            }
            Source::RecentTag => "main.recent_tags AS t",
        };
        let order = match self.source {
            Source::Stream => "e.version",
            _ => self.position(),
        };
        let descending = match direction {
            Direction::Forward => "",
            Direction::Backward => " DESC",
        };
        format!("SELECT {columns} FROM {source} WHERE {} ORDER BY {order}{descending} LIMIT ?", self.terms)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Parameter<'f>> {
        self.parameters.iter()
    }
}

/// The term that an event at a position carries a tag.
pub(crate) fn tagged_term(position: &str) -> String {
    format!("EXISTS (SELECT 1 FROM main.event_tags AS x WHERE x.tag = ? AND x.position = {position})")
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => Ok(ToSqlOutput::from(&**text)),
            Self::Id(id) => Ok(ToSqlOutput::from(&id.as_bytes()[..])),
            Self::Number(number) => Ok(ToSqlOutput::from(*number)),
        }
    }
}
