//! Filters as SQL text. It holds placeholders and never a value, so its text depends on a filter's shape alone and
//! statements stay prepared. The reader and the conditions of an append share it.

use std::fmt::Write as _;
use std::iter;

use eventsource_core::{EventType, Filter, FilterItem, PayloadPredicate, Result, Tag};

use crate::config::PayloadIndex;
use crate::plan::{MOST_TYPE_BRANCHES, Plan, has_payload, has_time};
use crate::schema_name::SchemaName;
use crate::values::{Listed, Values, looked_at};

/// A part of a filter that one index can lead to: a source of rows and what must hold for them. The events that match
/// the filter are those of all its branches; an event may be in several.
pub(crate) struct Branch {
    /// Tables; the events are `e`, if the condition reads them.
    pub(crate) from: String,
    /// What is to be added to them for the events, where it does not.
    pub(crate) join: String,
    /// Beginning with an expression, to which ` AND …` can be added.
    pub(crate) condition: String,
    /// The column that holds the position.
    pub(crate) position: &'static str,
    /// Those of the other tables that are joined by it.
    joined: Vec<String>,
    /// The column that the index begins with which is to be used, and the value that it has in this branch.
    lead: Option<(&'static str, String)>,
    /// The columns that its index is sorted by; in the branch, their order is log order.
    order: Vec<&'static str>,
}

impl Branch {
    /// The columns to sort by, in this direction (`ASC`, `DESC`).
    pub(crate) fn order_by(&self, direction: &str) -> String {
        self.order.iter().map(|column| format!("{column} {direction}")).collect::<Vec<_>>().join(", ")
    }

    /// The condition, and that the position lies behind `after`: for a statement that is planned with its values.
    fn behind(&self, after: &str) -> String {
        let Self { condition, position, lead, .. } = self;
        let leads =
            lead.as_ref().map(|(column, value)| format!("{column} = {value} AND ")).unwrap_or_default();
        format!("{leads}{condition} AND {position} > {after}")
    }

    /// The condition, and that the position lies behind `after` and not behind `until`: for a statement that may have a
    /// plan for any values.
    ///
    /// Where a column leads, row comparisons, because only the index that begins with it can do them: a plan for any
    /// value would otherwise walk through the log in the hope to meet a page of what is rare. Where tables are joined, the
    /// same is said of each: from one that knows no bounds the planner may read what lies before them.
    pub(crate) fn between(&self, after: &str, until: Option<&str>) -> String {
        let Self { condition, position, joined, lead, .. } = self;
        if let Some((column, value)) = lead {
            let (columns, until) = (format!("({column}, {position})"), until.unwrap_or(LAST));
            return format!(
                "{condition} AND {columns} > ({value}, {after}) AND {columns} <= ({value}, {until})"
            );
        }
        let mut between = condition.clone();
        for position in iter::once(*position).chain(joined.iter().map(String::as_str)) {
            let _ = write!(between, " AND {position} > {after}");
            if let Some(until) = until {
                let _ = write!(between, " AND {position} <= {until}");
            }
        }
        between
    }

    /// The same, as no index can look it up: for a branch that is narrow by another. A plan for any value takes a range of
    /// positions for a small one, and would read all of the log that lies in it.
    pub(crate) fn looked_at_between(&self, after: &str, until: Option<&str>) -> String {
        let Self { condition, position, .. } = self;
        let until = until.unwrap_or(LAST);
        looked_at(&format!("{condition} AND {position} > {after} AND {position} <= {until}"))
    }
}

/// No position lies behind it.
const LAST: &str = "9223372036854775807";

/// The events of a stream between two versions.
///
/// Row comparisons, because only the index that begins with aggregate_id can do them: a plan that is made while the log
/// is small may otherwise take the one on aggregate_type, and is kept.
pub(crate) fn in_versions(id: &str, name: &str, from: &str, until: &str) -> String {
    let columns = "(e.aggregate_id, e.aggregate_type, e.version)";
    format!("{columns} >= ({id}, {name}, {from}) AND {columns} <= ({id}, {name}, {until})")
}

/// Joins the events at these positions, each looked up by itself.
///
/// Of positions that may be a large part of the log the planner would rather walk through all events beside them, from the
/// log's beginning: the events know no `after`.
pub(crate) fn each_event_at(position: &str, schema: &SchemaName) -> String {
    format!(
        " JOIN LATERAL (SELECT * FROM {schema}.events e WHERE e.global_position = {position} OFFSET 0) AS e ON true"
    )
}

/// Makes a filter's branches.
pub(crate) struct Branches<'a, V> {
    pub(crate) schema: &'a SchemaName,
    pub(crate) index: &'a PayloadIndex,
    pub(crate) values: &'a mut V,
}

impl<V: Values> Branches<'_, V> {
    pub(crate) fn of(&mut self, filter: &Filter) -> Result<Vec<Branch>> {
        let Some(items) = filter.items() else {
            return Ok(vec![self.branch(filter, None, &[])?]);
        };
        if filter.scope().stream().is_some() {
            return Ok(vec![self.in_stream(filter)?]);
        }
        let mut branches = Vec::new();
        for item in items {
            let types: Vec<&EventType> = item.event_type_set().iter().collect();
            if item.tag_set().is_empty() && types.len() <= MOST_TYPE_BRANCHES {
                for one in types.chunks(1) {
                    branches.push(self.branch(filter, Some(item), one)?);
                }
                if !types.is_empty() {
                    continue;
                }
            }
            branches.push(self.branch(filter, Some(item), &types)?);
        }
        Ok(branches)
    }

    fn branch(&mut self, filter: &Filter, item: Option<&FilterItem>, types: &[&EventType]) -> Result<Branch> {
        if filter.scope().stream().is_some() {
            return self.in_stream(filter);
        }
        let schema = self.schema;
        let mut from = String::new();
        let mut conditions = Vec::new();
        let mut position = "e.global_position";
        let mut joined = Vec::new();
        for (number, tag) in item.into_iter().flat_map(FilterItem::tag_set).enumerate() {
            let value = self.values.text(tag.as_str())?;
            if number == 0 {
                let _ = write!(from, "{schema}.event_tags t0");
                position = "t0.position";
            } else {
                let _ =
                    write!(from, " JOIN {schema}.event_tags t{number} ON t{number}.position = t0.position");
                joined.push(format!("t{number}.position"));
            }
            conditions.push(format!("t{number}.tag = {value}"));
        }
        // A tag leads by itself: its table has one index.
        let is_led_by_tag = !from.is_empty();
        let mut join = String::new();
        if is_led_by_tag {
            join = each_event_at("t0.position", schema);
            if !types.is_empty() || item.is_some_and(has_payload) || !is_everywhere(filter) {
                if self.values.plan() != Plan::ForAnyValues {
                    join = format!(" JOIN {schema}.events e ON e.global_position = t0.position");
                    joined.push("e.global_position".to_owned());
                }
                from.push_str(&std::mem::take(&mut join));
            }
        } else {
            let _ = write!(from, "{schema}.events e");
        }
        let needs_none = is_led_by_tag || item.is_some_and(has_payload);
        let lead = if needs_none { None } else { self.lead(filter, types)? };
        let leads = lead.as_ref().map(|(column, _)| *column);
        if let Some(column) = leads {
            // Said aloud: some of these indexes hold no NULLs, and the planner can't tell it from a row comparison.
            conditions.push(format!("{column} IS NOT NULL"));
        }
        let scope = self.scope(filter, leads)?;
        if (leads.is_some() || is_led_by_tag) && !scope.is_empty() {
            conditions.push(looked_at(&all_of(&scope)));
        } else {
            conditions.extend(scope);
        }
        if leads != Some(EVENT_TYPE) {
            let one_of = self.event_types(types)?;
            conditions.extend(if leads.is_some() { one_of.as_deref().map(looked_at) } else { one_of });
        }
        if let Some(item) = item {
            self.payload(item, &mut conditions)?;
        }
        let order = leads.into_iter().chain([position]).collect();
        Ok(Branch { from, join, condition: all_of(&conditions), position, joined, lead, order })
    }

    /// The one column that narrows a branch without tags and payload. Where there are several, or times, only statistics know
    /// which one does: [`Plan::ForValues`].
    fn lead(&mut self, filter: &Filter, types: &[&EventType]) -> Result<Option<(&'static str, String)>> {
        let scope = filter.scope();
        if has_time(filter) {
            return Ok(None);
        }
        Ok(match (scope.tenant(), types, scope.aggregate_type()) {
            (Some(tenant), [], _) => Some((TENANT, self.values.uuid(tenant.as_uuid())?)),
            // An event type is a part of what its aggregate type has.
            (None, [one], _) => Some((EVENT_TYPE, self.values.text(one.as_str())?)),
            // More types than get a branch each.
            (None, [] | [_, _, ..], Some(name)) => Some((AGGREGATE_TYPE, self.values.text(name.as_str())?)),
            _ => None,
        })
    }

    /// A stream is narrow enough: everything else is looked at event by event, in the order of its versions. Which ones
    /// is the caller's to add ([`in_versions`]).
    fn in_stream(&mut self, filter: &Filter) -> Result<Branch> {
        let scope = self.scope(filter, None)?;
        let mut conditions = Vec::new();
        if !scope.is_empty() {
            conditions.push(looked_at(&all_of(&scope)));
        }
        if let Some(items) = filter.items() {
            let mut any = Vec::new();
            for item in items {
                let types: Vec<&EventType> = item.event_type_set().iter().collect();
                let mut all = Vec::from_iter(self.event_types(&types)?);
                let tags =
                    item.tag_set().iter().map(|tag| self.tag(tag)).collect::<Result<Vec<_>>>()?.join(", ");
                if !tags.is_empty() {
                    all.push(format!("e.tags @> ARRAY[{tags}]"));
                }
                self.payload(item, &mut all)?;
                any.push(format!("({})", all_of(&all)));
            }
            conditions.push(format!("({})", any.join(" OR ")));
        }
        Ok(Branch {
            from: format!("{}.events e", self.schema),
            join: String::new(),
            condition: all_of(&conditions),
            position: "e.global_position",
            joined: Vec::new(),
            lead: None,
            order: vec!["e.aggregate_id", "e.aggregate_type", "e.version"],
        })
    }

    fn tag(&mut self, tag: &Tag) -> Result<String> {
        Ok(self.values.text(tag.as_str())? + "::text")
    }

    /// All of the scope but what leads.
    fn scope(&mut self, filter: &Filter, leads: Option<&str>) -> Result<Vec<String>> {
        let scope = filter.scope();
        let mut conditions = Vec::new();
        if let Some(tenant) = scope.tenant().filter(|_| leads != Some(TENANT)) {
            conditions.push(format!("{TENANT} = {}", self.values.uuid(tenant.as_uuid())?));
        }
        if let Some(aggregate_type) = scope.aggregate_type().filter(|_| leads != Some(AGGREGATE_TYPE)) {
            conditions.push(format!("{AGGREGATE_TYPE} = {}", self.values.text(aggregate_type.as_str())?));
        }
        if let Some(from) = scope.occurred_from() {
            conditions.push(format!("e.timestamp >= {}", self.values.time(from)?));
        }
        if let Some(until) = scope.occurred_until() {
            conditions.push(format!("e.timestamp <= {}", self.values.time(until)?));
        }
        Ok(conditions)
    }

    fn event_types(&mut self, types: &[&EventType]) -> Result<Option<String>> {
        Ok(match types {
            [] => None,
            [one] => Some(format!("{EVENT_TYPE} = {}", self.values.text(one.as_str())?)),
            several => {
                let names: Vec<&str> = several.iter().map(|each| each.as_str()).collect();
                Some(self.values.one_of(EVENT_TYPE, &names)?)
            }
        })
    }

    fn payload(&mut self, item: &FilterItem, conditions: &mut Vec<String>) -> Result<()> {
        for predicate in item.all_of_payload() {
            conditions.push(self.predicate(predicate)?);
        }
        if !item.any_of_payload().is_empty() {
            let any = item
                .any_of_payload()
                .iter()
                .map(|predicate| self.predicate(predicate))
                .collect::<Result<Vec<_>>>()?
                .join(" OR ");
            conditions.push(format!("({any})"));
        }
        Ok(())
    }

    fn predicate(&mut self, predicate: &PayloadPredicate) -> Result<String> {
        let contains = format!("e.payload @> {}", self.values.json(predicate.to_document())?);
        match predicate.path().keys() {
            // The index on this key: the key is the configuration's and a plain identifier.
            [key] if self.index.has_key(key) => {
                let value = self.values.json(predicate.value().to_json())?;
                Ok(format!(
                    "(jsonb_hash_extended(e.payload -> '{key}', 0) = jsonb_hash_extended({value}, 0) AND {contains})"
                ))
            }
            _ => Ok(contains),
        }
    }
}

const TENANT: &str = "e.tenant_id";
const EVENT_TYPE: &str = "e.event_type";
const AGGREGATE_TYPE: &str = "e.aggregate_type";
/// Whether its scope leaves out nothing.
fn is_everywhere(filter: &Filter) -> bool {
    let scope = filter.scope();
    let has_key = scope.tenant().is_some() || scope.aggregate_type().is_some() || scope.stream().is_some();
    !has_key && !has_time(filter)
}

fn all_of(conditions: &[String]) -> String {
    if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
}

/// The lowest position behind `$2` of an event that matches, with the values that `$1` lists.
///
/// `min` over a fenced query, not `ORDER BY … LIMIT 1`: the planner would bet on an early match in position order, and a
/// condition that holds is the case in which there is none.
pub(crate) fn first_match(
    schema: &SchemaName,
    index: &PayloadIndex,
    filter: &Filter,
) -> Result<(String, Vec<String>)> {
    let mut values = Listed::default();
    if let Some(query) = first_match_in_tenant(schema, filter, &mut values)? {
        return Ok((query, values.0));
    }
    let mut branches = Branches { schema, index, values: &mut values }.of(filter)?;
    if let Some(stream) = filter.scope().stream() {
        let id = values.uuid(stream.aggregate_id())?;
        let name = values.text(stream.aggregate_type().as_str())?;
        let range = in_versions(&id, &name, "1", &i64::MAX.to_string());
        branches.iter_mut().for_each(|branch| branch.condition.push_str(&format!(" AND {range}")));
    }
    let union = branches
        .iter()
        .map(|branch| {
            let Branch { from, position, .. } = branch;
            format!("SELECT {position} AS position FROM {from} WHERE {}", branch.behind("$2"))
        })
        .collect::<Vec<_>>()
        .join(" UNION ALL ");
    Ok((format!("SELECT min(position) FROM ({union} OFFSET 0) AS matching"), values.0))
}

/// The same for a filter of tags and types that is narrowed to a tenant and to nothing else, as a tenant's view has them.
fn first_match_in_tenant(
    schema: &SchemaName,
    filter: &Filter,
    values: &mut Listed,
) -> Result<Option<String>> {
    let scope = filter.scope();
    let Some(tenant) = scope.tenant() else { return Ok(None) };
    if scope.stream().is_some()
        || scope.aggregate_type().is_some()
        || has_time(filter)
        || filter.items().is_some_and(|items| items.iter().any(has_payload))
    {
        return Ok(None);
    }
    let tenant = values.uuid(tenant.as_uuid())?;
    let mut matches = Vec::new();
    let mut add = |tags: Vec<String>, types: Vec<String>| {
        let (tags, types) = (tags.join(", "), types.join(", "));
        matches.push(format!(
            "{schema}.first_match_in_tenant(ARRAY[{tags}]::text[], ARRAY[{types}]::text[], {tenant}, $2)"
        ));
    };
    match filter.items() {
        None => add(Vec::new(), Vec::new()),
        Some(items) => {
            for item in items {
                let tags = item.tag_set().iter().map(|tag| values.text(tag.as_str()));
                let tags = tags.collect::<Result<_>>()?;
                let types = item.event_type_set().iter().map(|each| values.text(each.as_str()));
                add(tags, types.collect::<Result<_>>()?);
            }
        }
    }
    Ok(Some(format!("SELECT min(position) FROM (VALUES ({})) AS matching (position)", matches.join("), ("))))
}
