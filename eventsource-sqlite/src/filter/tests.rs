//! Which index each filter walks: on an empty database, and on one with statistics that mislead.

use eventsource_core::{Direction, Filter, FilterItem, ReadOptions, StreamId, TenantId};
use rusqlite::Connection;
use uuid::Uuid;

use super::*;

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(include_str!("../sql/migration_1.sql")).unwrap();
    connection.execute_batch(include_str!("../sql/recent_tags.sql")).unwrap();
    payload::register(&connection).unwrap();
    connection
}

fn plans(connection: &Connection, filter: &Filter, wanted: Wanted, direction: Direction) -> Vec<String> {
    let window = Window { after: 10, until: 1_000_000, tags_moved: 900_000 };
    let searches = searches(connection, filter, window, &ReadOptions::new()).unwrap();
    let mut plans = Vec::new();
    for search in &searches {
        let explain = format!("EXPLAIN QUERY PLAN {}", search.statement(wanted, direction));
        let mut statement = connection.prepare(&explain).unwrap();
        let limit = Parameter::Number(1);
        let parameters = rusqlite::params_from_iter(search.parameters().chain([&limit]));
        let steps = statement.query_map(parameters, |row| row.get::<_, String>(3)).unwrap();
        plans.push(steps.map(Result::unwrap).collect::<Vec<_>>().join("; "));
    }
    plans
}

#[test]
fn every_search_walks_one_index_in_order() {
    let item = FilterItem::new;
    let tenant = TenantId::new(Uuid::from_u128(1)).unwrap();
    let stream = StreamId::new("Order", Uuid::from_u128(1)).unwrap();
    let by_type = "events_by_type (event_type=? AND rowid>? AND rowid<?)";
    let by_tag = "PRIMARY KEY (tag=? AND position>? AND position<?)";
    let by_position = "INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
    let cases = [
        (Filter::all(), by_position, 1),
        (Filter::event_types(["A"]).unwrap(), by_type, 1),
        (Filter::event_types(["A", "B"]).unwrap(), by_type, 2),
        (Filter::tagged("a", 1).unwrap(), by_tag, 2),
        (Filter::any_of([item().tag("a", 1).unwrap().tag("b", 1).unwrap()]).unwrap(), by_tag, 2),
        (Filter::any_of([item().tag("a", 1).unwrap().event_type("A").unwrap()]).unwrap(), by_tag, 2),
        (Filter::any_of([item().all_payload("n", 1).unwrap()]).unwrap(), by_position, 1),
        (Filter::any_of([item().all_payload("n", 1).unwrap().event_type("A").unwrap()]).unwrap(), by_type, 1),
        (Filter::all().in_tenant(tenant), "events_by_tenant (tenant_id=? AND rowid>? AND rowid<?)", 1),
        (
            Filter::all().of_aggregate_type("Order".try_into().unwrap()),
            "events_by_aggregate_type (aggregate_type=? AND rowid>? AND rowid<?)",
            1,
        ),
        (
            Filter::all().in_stream(stream),
            "events_by_stream (aggregate_id=? AND aggregate_type=? AND version>? AND version<?)",
            1,
        ),
    ];
    let (empty, misled) = (database(), database());
    misled
        .execute_batch(
            "ANALYZE; INSERT INTO sqlite_stat1 VALUES
             ('events', 'events_by_type', '1000000 1000000'), ('events', 'events_by_tenant', '1000000 1000000'),
             ('events', 'events_by_aggregate_type', '1000000 1000000'),
             ('events', 'events_by_stream', '1000000 1000000 1000000 1000000'),
             ('older_tags', 'older_tags', '1000000 1000000 1'),
             ('recent_tags', 'recent_tags', '1000000 1000000 1'); ANALYZE sqlite_schema",
        )
        .unwrap();
    for connection in [empty, misled] {
        for wanted in [Wanted::Positions, Wanted::Events] {
            for direction in [Direction::Forward, Direction::Backward] {
                for (filter, index, count) in &cases {
                    let plans = plans(&connection, filter, wanted, direction);
                    assert_eq!(plans.len(), *count, "{filter:?}: {plans:?}");
                    for plan in plans {
                        assert!(plan.contains(index), "{filter:?}: {plan}");
                        assert!(
                            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
                            "{filter:?}: {plan}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_statement_depends_on_the_shape_alone() {
    let connection = database();
    let statement = |value: &str| {
        let item = FilterItem::new().tag("k", value).unwrap().event_type(value).unwrap();
        let filter = Filter::any_of([item.all_payload("n", value).unwrap()]).unwrap();
        let window = Window { after: 0, until: 1_000, tags_moved: 500 };
        let searches = searches(&connection, &filter, window, &ReadOptions::new()).unwrap();
        searches[0].statement(Wanted::Events, Direction::Forward)
    };
    assert_eq!(statement("x"), statement("'; DROP TABLE events; --"));
}
