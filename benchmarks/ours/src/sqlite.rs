use std::path::Path;

use eventsource_core::Result;
use eventsource_sqlite::{SqliteConfig, SqliteStore};

use crate::log::Backend;

/// As it is: `synchronous=FULL`.
pub(crate) struct Sqlite;

impl Backend for Sqlite {
    type Store = SqliteStore;

    async fn open(place: &str) -> Result<SqliteStore> {
        SqliteStore::open(SqliteConfig::file(Path::new(place).join("events.db"))).await
    }
}
