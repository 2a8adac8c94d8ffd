use chrono::{DateTime, SecondsFormat, Utc};
use eventsource_core::{Error, Result};
use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use crate::plan::Plan;

/// Where the values of a statement go: each method takes one and says what stands for it in the text.
pub(crate) trait Values {
    /// What the planner is to know of them.
    fn plan(&self) -> Plan;
    fn text(&mut self, value: &str) -> Result<String>;
    fn json(&mut self, value: String) -> Result<String>;
    fn uuid(&mut self, value: Uuid) -> Result<String>;
    fn time(&mut self, value: DateTime<Utc>) -> Result<String>;
    /// That a column has one of these values.
    fn one_of(&mut self, column: &str, values: &[&str]) -> Result<String>;
}

/// Values bound to a statement of their own: `$1`, `$2`, …, or `(SELECT $1)`, `(SELECT $2)`, …, which no planner knows.
pub(crate) struct Bound {
    pub(crate) arguments: PgArguments,
    plan: Plan,
}

impl Bound {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { arguments: PgArguments::default(), plan }
    }

    pub(crate) fn add<'v, T>(&mut self, value: T) -> Result<String>
    where
        T: sqlx::Encode<'v, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.add_cast(value, "")
    }

    fn add_cast<'v, T>(&mut self, value: T, cast: &str) -> Result<String>
    where
        T: sqlx::Encode<'v, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.arguments.add(value).map_err(|error| {
            Error::invalid_input("a value can't be sent to the database").with_source(error)
        })?;
        let number = self.arguments.len();
        Ok(match self.plan {
            Plan::ForAnyValues => format!("(SELECT ${number}{cast})"),
            Plan::ForValues | Plan::ServersChoice => format!("${number}{cast}"),
        })
    }
}

impl Values for Bound {
    fn plan(&self) -> Plan {
        self.plan
    }

    fn text(&mut self, value: &str) -> Result<String> {
        self.add(value)
    }

    fn json(&mut self, value: String) -> Result<String> {
        self.add_cast(value, "::jsonb")
    }

    fn uuid(&mut self, value: Uuid) -> Result<String> {
        self.add(value)
    }

    fn time(&mut self, value: DateTime<Utc>) -> Result<String> {
        self.add(value)
    }

    fn one_of(&mut self, column: &str, values: &[&str]) -> Result<String> {
        let list = self.add_cast(values, "::text[]")?;
        Ok(match self.plan {
            // Hashed once. A list that the planner does not know would be compared value by value with each event's.
            Plan::ForAnyValues => looked_at(&format!("{column} IN (SELECT unnest({list}))")),
            Plan::ForValues | Plan::ServersChoice => format!("{column} = ANY ({list})"),
        })
    }
}

/// Values that are handed on as one list of texts: `($1)[1]`, `($1)[2]`, …
#[derive(Default)]
pub(crate) struct Listed(pub(crate) Vec<String>);

impl Listed {
    fn add(&mut self, value: String, cast: &str) -> Result<String> {
        self.0.push(value);
        Ok(format!("($1)[{}]{cast}", self.0.len()))
    }
}

impl Values for Listed {
    /// A condition is planned each time that it is looked at.
    fn plan(&self) -> Plan {
        Plan::ForValues
    }

    fn text(&mut self, value: &str) -> Result<String> {
        self.add(value.to_owned(), "")
    }

    fn json(&mut self, value: String) -> Result<String> {
        self.add(value, "::jsonb")
    }

    fn uuid(&mut self, value: Uuid) -> Result<String> {
        self.add(value.to_string(), "::uuid")
    }

    fn time(&mut self, value: DateTime<Utc>) -> Result<String> {
        self.add(value.to_rfc3339_opts(SecondsFormat::Micros, true), "::timestamptz")
    }

    fn one_of(&mut self, column: &str, values: &[&str]) -> Result<String> {
        let values = values.iter().map(|value| self.text(value)).collect::<Result<Vec<_>>>()?.join(", ");
        Ok(format!("{column} IN ({values})"))
    }
}

/// What no index can look up. Whatever it is, the planner expects it to hold for half of the events: where it expected next to
/// none, it would rather read all of them and sort than walk along an index for a page.
pub(crate) fn looked_at(condition: &str) -> String {
    format!("coalesce({condition}, false)")
}
