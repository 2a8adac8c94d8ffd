use eventsource_core::{Error, FilterItem, PayloadPredicate, Result, Scalar};
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, ffi};
use serde_json::value::RawValue;

/// The name of the SQL function `(payload, predicates) -> boolean`.
pub(crate) const FUNCTION: &str = "eventsource_payload_matches";

/// Makes the function known to a connection. It calls the one definition of matching.
pub(crate) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(FUNCTION, 2, flags, |context| {
        // SQLite keeps what was parsed for as long as the statement runs.
        let predicates = context.get_or_create_aux(1, |value| -> std::result::Result<_, BoxError> {
            Predicates::parse(value.as_str()?)
        })?;
        let payload = context.get_raw(0).as_str().map_err(|error| user_error(error.into()))?;
        // Without a message: SQLite would take one for an error of another kind.
        let corrupt = |_| rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None);
        predicates.hold_for(payload).map_err(corrupt)
    })
}

/// Makes the function known to a connection that is not the store's, unless it is.
pub(crate) fn register_once(connection: &Connection) -> rusqlite::Result<()> {
    let known = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM pragma_function_list WHERE name = ?1)")?
        .query_row([FUNCTION], |row| row.get(0))?;
    if known { Ok(()) } else { register(connection) }
}

/// An item's predicates as the function takes them; none, if it has none.
pub(crate) fn encode(item: &FilterItem) -> Option<String> {
    if item.all_of_payload().is_empty() && item.any_of_payload().is_empty() {
        return None;
    }
    let mut json = String::from("[[");
    let mut separator = "";
    for predicate in item.all_of_payload() {
        json.push_str(separator);
        push(&mut json, predicate);
        separator = ",";
    }
    json.push_str("],[");
    separator = "";
    for predicate in item.any_of_payload() {
        json.push_str(separator);
        push(&mut json, predicate);
        separator = ",";
    }
    json.push_str("]]");
    Some(json)
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

struct Predicates {
    all: Vec<PayloadPredicate>,
    any: Vec<PayloadPredicate>,
}

impl Predicates {
    fn parse(json: &str) -> std::result::Result<Self, BoxError> {
        type Spelt<'j> = Vec<(Vec<String>, &'j RawValue)>;
        let (all, any): (Spelt<'_>, Spelt<'_>) = serde_json::from_str(json)?;
        let parse = |spelt: Spelt<'_>| {
            let each = spelt.into_iter().map(|(keys, value)| predicate(keys, value));
            each.collect::<std::result::Result<Vec<_>, _>>()
        };
        Ok(Self { all: parse(all)?, any: parse(any)? })
    }

    fn hold_for(&self, payload: &str) -> Result<bool> {
        for predicate in &self.all {
            if !predicate.matches_json(payload)? {
                return Ok(false);
            }
        }
        for predicate in &self.any {
            if predicate.matches_json(payload)? {
                return Ok(true);
            }
        }
        Ok(self.any.is_empty())
    }
}

fn push(json: &mut String, predicate: &PayloadPredicate) {
    let keys = serde_json::Value::from(predicate.path().keys());
    json.push_str(&format!("[{keys},{}]", predicate.value().to_json()));
}

fn predicate(keys: Vec<String>, value: &RawValue) -> std::result::Result<PayloadPredicate, BoxError> {
    let path = eventsource_core::PayloadPath::new(keys)?;
    Ok(PayloadPredicate::new(path, scalar(value.get())?)?)
}

/// Numbers are taken by their text: they are exact decimals, which no float is.
fn scalar(json: &str) -> Result<Scalar> {
    if json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Scalar::number(json);
    }
    let value: serde_json::Value = serde_json::from_str(json)
        .map_err(|error| Error::invalid_input("a predicate's value is not JSON").with_source(error))?;
    Scalar::try_from(&value)
}

fn user_error(error: BoxError) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(error)
}
