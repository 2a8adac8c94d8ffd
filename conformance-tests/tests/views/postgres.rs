//! The list that the contract's cases keep as a view in a Postgres log's own schema.

use async_trait::async_trait;
use conformance_tests::View;
use eventsource_core::{
    Delivery, DeliveryError, Error, HandlerError, Position, Purpose, RecordedEvent, Result, Sink,
};
use eventsource_postgres::{PostgresProjection, PostgresStore, PostgresView};
use sqlx::{AssertSqlSafe, PgConnection};

/// What makes the view, where `{schema}` stands for the log's.
pub(crate) const TABLES: &str =
    "CREATE TABLE IF NOT EXISTS {schema}.applied (n BIGSERIAL PRIMARY KEY, position BIGINT NOT NULL);
     CREATE TABLE IF NOT EXISTS {schema}.applied_next (n BIGSERIAL PRIMARY KEY, position BIGINT NOT NULL);";

#[derive(Debug)]
pub(crate) struct Applied {
    projection: PostgresProjection,
    store: PostgresStore,
    schema: String,
}

impl Applied {
    pub(crate) fn of(store: &PostgresStore, schema: &str) -> Self {
        let list = List { schema: schema.to_owned() };
        Self { projection: store.project(list), store: store.clone(), schema: schema.to_owned() }
    }

    /// A pooler may send what is parsed and what is executed to two servers, unless it is one transaction.
    async fn in_transaction(&self, sql: String) -> sqlx::Result<Vec<i64>> {
        let mut transaction = self.store.pool().begin().await?;
        let positions = sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false);
        let positions = positions.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(positions)
    }
}

#[async_trait]
impl Sink for Applied {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        self.projection.deliver(delivery).await
    }
}

#[async_trait]
impl View for Applied {
    async fn applied(&self) -> Result<Vec<Position>> {
        let sql = format!("SELECT position FROM {}.applied ORDER BY n", self.schema);
        let positions: Vec<i64> = self
            .in_transaction(sql)
            .await
            .map_err(|error| Error::backend("the view can't be read").with_source(error))?;
        positions.into_iter().map(Position::try_from).collect()
    }
}

/// How an event changes the list.
pub(crate) struct List {
    pub(crate) schema: String,
}

#[async_trait]
impl PostgresView for List {
    async fn apply(
        &self,
        connection: &mut PgConnection,
        event: &RecordedEvent,
        purpose: Purpose,
    ) -> Result<(), HandlerError> {
        let table = match purpose {
            Purpose::Live => "applied",
            Purpose::Rebuild => "applied_next",
        };
        let sql = format!("INSERT INTO {}.{table} (position) VALUES ($1)", self.schema);
        // Unnamed: a pooler may send the next transaction to another server.
        let insert = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        insert.bind(event.position().to_i64()).execute(&mut *connection).await?;
        match event.event_type().as_str() {
            "Poison" => Err("poison".into()),
            "Panic" => panic!("as the event says"),
            // Another one than the log's.
            "Closed" => Err(Error::closed("the handler's own store is closed").into()),
            "Commit" => {
                sqlx::raw_sql("COMMIT").execute(connection).await?;
                Ok(())
            }
            "CommitAndFail" => {
                sqlx::raw_sql("COMMIT").execute(connection).await?;
                Err("it has committed".into())
            }
            "CommitAndPanic" => {
                sqlx::raw_sql("COMMIT").execute(connection).await?;
                panic!("it has committed")
            }
            _ => Ok(()),
        }
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), HandlerError> {
        sqlx::raw_sql(AssertSqlSafe(TABLES.replace("{schema}", &self.schema))).execute(connection).await?;
        Ok(())
    }

    async fn switch(&self, connection: &mut PgConnection) -> Result<(), HandlerError> {
        let Self { schema } = self;
        let sql = format!(
            "DROP TABLE {schema}.applied;
             ALTER TABLE {schema}.applied_next RENAME TO applied;
             CREATE TABLE {schema}.applied_next (n BIGSERIAL PRIMARY KEY, position BIGINT NOT NULL);"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
        Ok(())
    }
}
