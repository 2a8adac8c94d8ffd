//! What one transaction knows of the events that it has not inserted yet.

use eventsource_core::{Filter, NewEvent};

use super::*;

fn tagged(key: &str, values: std::ops::Range<u32>) -> NewEvent {
    values.fold(NewEvent::new("A", &1).unwrap(), |event, value| event.tag(key, value).unwrap())
}

/// The tags that are known fill up between an event and a condition on it; the event waits for being inserted.
#[test]
fn a_condition_sees_what_waits_when_the_known_tags_are_forgotten() {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(include_str!("../sql/migration_1.sql")).unwrap();
    connection.execute_batch(include_str!("../sql/recent_tags.sql")).unwrap();
    connection.execute("INSERT INTO log VALUES (1, zeroblob(16), 0, 0, 0)", []).unwrap();
    let mut appender = Appender::new(&connection, None).unwrap();
    let transaction = connection.unchecked_transaction().unwrap();
    let appends = [
        // All but few of the tags that can be known.
        Append::events((0..1_638).map(|number| tagged("full", number * 10..number * 10 + 10))),
        Append::events([tagged("waiting", 0..1)]),
        Append::events([tagged("over", 0..10)]),
    ];
    let refused = Append::events([tagged("new", 0..1)]).fail_if(Filter::tagged("waiting", 0).unwrap());
    let mut pending = appender.begin().unwrap();
    let now = DateTime::UNIX_EPOCH;
    for append in &appends {
        appender.append(append, &mut pending, now, Retries::NoticedLate).unwrap();
    }
    assert!(pending.events().len() >= 2, "they wait");
    let refusal = appender.append(&refused, &mut pending, now, Retries::NoticedLate).unwrap_err();
    assert!(matches!(refusal, Refusal::Judged(error) if error.is_conflict()));
    transaction.commit().unwrap();
}
