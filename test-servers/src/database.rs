use std::collections::HashSet;
use std::env;
use std::sync::{Mutex, PoisonError};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use url::Url;

use crate::Error;

/// PostgreSQL cuts longer names without a word.
const MAX_NAME: usize = 63;

/// Creates an empty database on the server at `url` and returns the database's URL.
///
/// The name is made of the test binary's and the given one, so a server that outlives the tests holds one database per
/// test, replaced at the next run, and not one more with each run.
pub(crate) async fn create(url: &str, name: &str) -> Result<String, Error> {
    let database = database_name(&test_binary(), name)?;
    claim(url, &database)?;
    let failed = |error: sqlx::Error| Error::new(format!("cannot create the database {database}: {error}"));
    let mut connection = PgConnection::connect(url).await.map_err(failed)?;
    // The name holds nothing but letters, digits and underscores.
    let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
    connection.execute(AssertSqlSafe(drop)).await.map_err(failed)?;
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {database}"))).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    let mut url = Url::parse(url).map_err(|error| Error::new(format!("{url}: {error}")))?;
    url.set_path(&database);
    Ok(url.into())
}

/// Two tests with one name would replace each other's database under their feet.
fn claim(url: &str, database: &str) -> Result<(), Error> {
    static CLAIMED: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    if claimed.get_or_insert_default().insert(format!("{url} {database}")) {
        return Ok(());
    }
    Err(Error::new(format!(
        "the database {database} was created before in this process: each test needs a name of its own"
    )))
}

fn test_binary() -> String {
    let path = env::current_exe().unwrap_or_default();
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("test");
    // Cargo adds a hash: `contract-0123456789abcdef`.
    stem.rsplit_once('-').map_or(stem, |(name, _)| name).to_owned()
}

fn database_name(binary: &str, name: &str) -> Result<String, Error> {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
    };
    let database = format!("test_{}_{}", plain(binary), plain(name));
    if database.len() > MAX_NAME {
        return Err(Error::new(format!(
            "the name of the database {database} is longer than {MAX_NAME} bytes"
        )));
    }
    Ok(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_needs_no_quotes() {
        assert_eq!(
            database_name("crash-tests", "Kill \"9\"; --").expect("fits"),
            "test_crash_tests_kill__9_____"
        );
    }

    #[test]
    fn a_database_name_that_would_be_cut_is_refused() {
        assert!(database_name("crash", &"x".repeat(60)).is_err());
    }
}
