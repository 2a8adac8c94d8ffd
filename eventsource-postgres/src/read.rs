use eventsource_core::{Direction, Error, Filter, Page, Position, ReadOptions, Result, StreamId, Version};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::{AssertSqlSafe, Row as _, ValueRef as _};
use uuid::Uuid;

use crate::error::reading;
use crate::filter::{Branch, Branches, each_event_at, in_versions};
use crate::log::Log;
use crate::log_state::LogState;
use crate::plan::Plan;
use crate::row::{COLUMNS, Rows};
use crate::values::Bound;

/// How many events a page has where the caller doesn't say.
const PAGE_EVENTS: u64 = 1_000;
/// How many it has at most, whatever the caller says: what a page that stops early leaves unread is few.
const MOST_PAGE_EVENTS: u64 = 10_000;
/// How much payload a page holds before it stops early.
const PAGE_BYTES: usize = 16 << 20;

impl Log {
    /// The next matching events and the head, in one statement and thus in one snapshot.
    pub(crate) async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        options.validate(filter)?;
        let wanted = options.max_events().unwrap_or(PAGE_EVENTS);
        let limit = wanted.min(MOST_PAGE_EVENTS);
        if limit == 0 {
            return Ok(Page { events: Vec::new(), head: self.head().await?, more: true });
        }
        let known = self.flusher.durable.last();
        let mut connection = self.reader().await?;
        let (mut page, snapshot) = self.page_within(&mut connection, filter, options, limit).await?;
        if page.more && (page.events.len() as u64) < limit {
            // Rows are left, which the next one who reads would have to pass over.
            drop(connection);
        } else {
            connection.release().await?;
        }
        self.settle(&snapshot, known).await?;
        page.head = snapshot.head;
        Ok(page)
    }

    /// As many events as that at most, as this connection sees them, and the snapshot that they are from.
    pub(crate) async fn page_within(
        &self,
        connection: &mut PgConnection,
        filter: &Filter,
        options: &ReadOptions,
        limit: u64,
    ) -> Result<(Page, LogState)> {
        let plan = Plan::of(filter);
        let (sql, arguments) = self.page_statement(plan, filter, options, limit)?;
        let mut page = Page { events: Vec::new(), head: Position::START, more: false };
        let mut snapshot = None;
        {
            let mut rows = sqlx::query_with(AssertSqlSafe(sql), arguments)
                .persistent(self.is_preparing() && plan != Plan::ForValues)
                .fetch(&mut *connection);
            let mut decoder = Rows::default();
            let mut bytes = 0;
            while let Some(row) = rows.try_next().await.map_err(reading)? {
                if snapshot.is_none() {
                    snapshot = Some(LogState::decode(&row, 0)?);
                }
                if row.try_get_raw(LogState::COLUMNS).map_err(reading)?.is_null() {
                    // Nothing matched: the row is there for the snapshot.
                    continue;
                }
                let event = decoder.decode(&row, LogState::COLUMNS)?.event;
                bytes += event.payload().as_json().len();
                page.events.push(event);
                page.more = page.events.len() as u64 == limit;
                if bytes > PAGE_BYTES {
                    page.more = true;
                    break;
                }
            }
        }
        let snapshot =
            snapshot.ok_or_else(|| Error::backend("the log's schema lacks the row that names it"))?;
        Ok((page, snapshot))
    }

    pub(crate) async fn head(&self) -> Result<Position> {
        let known = self.flusher.durable.last();
        let mut connection = self.reader().await?;
        let row = sqlx::query(AssertSqlSafe(self.schema.fill_in(LogState::STATEMENT)))
            .persistent(self.is_preparing())
            .fetch_one(&mut *connection)
            .await
            .map_err(reading)?;
        connection.release().await?;
        let snapshot = LogState::decode(&row, 0)?;
        self.settle(&snapshot, known).await?;
        Ok(snapshot.head)
    }

    /// The log's identity, as the database has it now.
    pub(crate) async fn id(&self) -> Result<Uuid> {
        let mut connection = self.reader().await?;
        let id = sqlx::query_scalar(AssertSqlSafe(self.schema.fill_in("SELECT id FROM {schema}.log")))
            .persistent(self.is_preparing())
            .fetch_one(&mut *connection)
            .await
            .map_err(reading)?;
        connection.release().await?;
        Ok(id)
    }

    pub(crate) async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        let known = self.flusher.durable.last();
        let mut connection = self.reader().await?;
        let sql = format!(
            "SELECT snapshot.*, (SELECT e.version FROM {}.events e WHERE {} \
             ORDER BY e.aggregate_id DESC, e.aggregate_type DESC, e.version DESC LIMIT 1) FROM ({}) AS snapshot",
            self.schema,
            in_versions("$1", "$2", "1", &i64::MAX.to_string()),
            self.schema.fill_in(LogState::STATEMENT),
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .persistent(self.is_preparing())
            .bind(stream.aggregate_id())
            .bind(stream.aggregate_type().as_str())
            .fetch_one(&mut *connection)
            .await
            .map_err(reading)?;
        connection.release().await?;
        self.settle(&LogState::decode(&row, 0)?, known).await?;
        let version: Option<i64> = row.try_get(LogState::COLUMNS).map_err(reading)?;
        version.map(Version::try_from).transpose()
    }

    fn page_statement(
        &self,
        plan: Plan,
        filter: &Filter,
        options: &ReadOptions,
        limit: u64,
    ) -> Result<(String, PgArguments)> {
        let mut values = Bound::new(plan);
        let limit = values.add(i64::try_from(limit).unwrap_or(i64::MAX))?;
        let after = values.add(options.after_position().to_i64())?;
        let until = match options.until_position() {
            // No event lies at the very end, and its successor would be no number.
            Some(until) => Some(values.add(until.to_i64().min(i64::MAX - 1))?),
            None => None,
        };
        let mut branches =
            Branches { schema: &self.schema, index: &self.payload_index, values: &mut values }.of(filter)?;
        let is_in_stream = filter.scope().stream().is_some();
        for branch in &mut branches {
            branch.condition = if is_in_stream {
                branch.looked_at_between(&after, until.as_deref())
            } else {
                branch.between(&after, until.as_deref())
            };
        }
        if let Some(stream) = filter.scope().stream() {
            // Paging by position alone would walk a long stream from its beginning for every page. The event that the
            // last page ended with knows its version, and is looked up by its position alone.
            let (id, name) =
                (values.add(stream.aggregate_id())?, values.add(stream.aggregate_type().as_str())?);
            let version_at = |position: &str| {
                format!(
                    "(SELECT v.version FROM {}.events v WHERE v.global_position = {position} \
                     AND (v.aggregate_id = {id} AND v.aggregate_type = {name}) IS TRUE)",
                    self.schema
                )
            };
            let mut from = format!("greatest({} + 1, 1", version_at(&after));
            let mut to = format!("least({}", i64::MAX);
            if let Some(until) = &until {
                to.push_str(&format!(", {} - 1", version_at(&format!("({until} + 1)"))));
            }
            if let Some(first) = options.first_version() {
                from.push_str(&format!(", {}", values.add(first.to_i64())?));
            }
            if let Some(last) = options.last_version() {
                to.push_str(&format!(", {}", values.add(last.to_i64())?));
            }
            let range = format!(" AND {}", in_versions(&id, &name, &(from + ")"), &(to + ")")));
            for branch in &mut branches {
                branch.condition.push_str(&range);
            }
        }
        let direction = match options.direction() {
            Direction::Forward => "ASC",
            Direction::Backward => "DESC",
        };
        // A planner that for want of statistics takes what matches for no more than the page rather sorts all of it: the rest
        // of the log. So where one index serves, it knows the most that a page can have, and takes this one for a tenth of that.
        let limited = |sorted: String| {
            if plan == Plan::ForAnyValues {
                format!("SELECT * FROM ({sorted} LIMIT {MOST_PAGE_EVENTS}) AS sorted LIMIT {limit}")
            } else {
                format!("{sorted} LIMIT {limit}")
            }
        };
        let events = match branches.as_slice() {
            [one] => limited(format!(
                "SELECT {COLUMNS} FROM {}{} WHERE {} ORDER BY {}",
                one.from,
                one.join,
                one.condition,
                one.order_by(direction)
            )),
            several => {
                let union = several
                    .iter()
                    .map(|branch| {
                        let Branch { from, condition, position, .. } = branch;
                        let order = branch.order_by(direction);
                        let sorted = format!(
                            "SELECT {position} AS position FROM {from} WHERE {condition} ORDER BY {order}"
                        );
                        format!("({})", limited(sorted))
                    })
                    .collect::<Vec<_>>()
                    .join(" UNION ALL ");
                format!(
                    "SELECT {COLUMNS} FROM (SELECT DISTINCT position FROM ({union}) AS found \
                     ORDER BY position {direction} LIMIT {limit}) AS page{} ORDER BY page.position {direction}",
                    each_event_at("page.position", &self.schema)
                )
            }
        };
        // The snapshot stands beside every event, and alone where there is none.
        let snapshot = self.schema.fill_in(LogState::STATEMENT);
        let sql =
            format!("SELECT snapshot.*, e.* FROM ({snapshot}) AS snapshot LEFT JOIN ({events}) AS e ON true");
        Ok((sql, values.arguments))
    }
}
