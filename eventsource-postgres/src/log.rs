use eventsource_core::{Clock, OutboxFilter, Result};
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

use crate::config::{CommitMode, PayloadIndex, PostgresConfig, Statements, WakeUp};
use crate::flusher::Flusher;
use crate::inline::InlineViews;
use crate::readers::Readers;
use crate::schema_name::SchemaName;

/// One log in one database: what every part of the store needs to ask for something.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) pool: PgPool,
    pub(crate) readers: Readers,
    pub(crate) schema: SchemaName,
    pub(crate) payload_index: PayloadIndex,
    pub(crate) statements: Statements,
    pub(crate) commit: CommitMode,
    pub(crate) answer_timeout: Duration,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    /// In milliseconds, as PostgreSQL reads it.
    pub(crate) lock_timeout: String,
    /// Where writers notify listeners, if they do.
    pub(crate) channel: Option<String>,
    /// What goes into the outbox; nothing, where it is off.
    pub(crate) outbox: Option<OutboxFilter>,
    /// What is kept within the appends; nothing, where there is none.
    pub(crate) inline: InlineViews,
    /// The statement that appends.
    pub(crate) append_statement: Arc<str>,
    /// The one that appends one event without a condition.
    pub(crate) append_event_statement: Arc<str>,
    pub(crate) flusher: Flusher,
}

impl Log {
    /// It starts a task, so a runtime must be there.
    pub(crate) fn new(pool: PgPool, config: &PostgresConfig, id: Uuid) -> Result<Self> {
        let outbox = config.outbox.clone().map(OutboxFilter::new).transpose()?;
        let flusher =
            Flusher::start(pool.connect_options(), &config.schema, config.statements, config.answer_timeout);
        Ok(Self {
            readers: Readers::start(&pool),
            pool,
            flusher,
            commit: config.commit,
            schema: config.schema.clone(),
            payload_index: config.payload_index.clone(),
            statements: config.statements,
            answer_timeout: config.answer_timeout,
            clock: config.clock.clone(),
            // 0 would wait for ever.
            lock_timeout: format!("{}ms", config.lock_timeout.as_millis().clamp(1, 2_147_483_647)),
            channel: (config.wake_up == WakeUp::ListenAndPoll)
                .then(|| format!("eventsource_{}", id.simple())),
            outbox,
            inline: config.inline.clone(),
            append_statement: crate::append::statement(&config.schema).into(),
            append_event_statement: crate::append_event::statement(&config.schema).into(),
        })
    }

    /// Whether statements are prepared once and kept.
    pub(crate) fn is_preparing(&self) -> bool {
        self.statements == Statements::Prepared
    }

    /// A statement on this schema.
    pub(crate) fn statement(&self, sql: &str) -> Statement {
        sqlx::query(AssertSqlSafe(self.schema.fill_in(sql))).persistent(self.is_preparing())
    }
}

/// A statement without its values.
pub(crate) type Statement = Query<'static, Postgres, PgArguments>;
