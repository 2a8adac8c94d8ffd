//! The function's plans are made once for a connection's life, mostly while the log is empty. In one connection, the
//! work of an append is watched by the server's own counters: how many rows and index entries it touches may not grow
//! with the log, whether that was analysed or not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use eventsource_core::{
    AggregateType, Append, EventStore, EventStoreExt, ExpectedVersion, Filter, FilterItem, Position,
    ReadOptions, StreamId, TenantId,
};
use eventsource_postgres::{PayloadIndex, PostgresStore};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use support::{config, order, run, tagged};
use uuid::Uuid;

/// Enough that a scan of everything shows: one a second, each hundredth of one stream.
const MANY: &str = "
    INSERT INTO events (global_position, event_id, aggregate_id, aggregate_type, event_type, version, timestamp, payload,
                        tags, tenant_id)
    SELECT floor + n, gen_random_uuid(), CASE n % 100 WHEN 0 THEN '00000000-0000-0000-0000-000000000003'
           ELSE gen_random_uuid() END, 'Order', 'Type' || n % 3, CASE n % 100 WHEN 0 THEN n / 100 ELSE 1 END,
           '2026-01-01 00:00:00Z'::timestamptz + n * interval '1 second',
           jsonb_build_object('customer_id', n), ARRAY['bulk:' || n % 7, 'unit:' || n],
           '00000000-0000-0000-0000-000000000001'
    FROM generate_series(1, 200000) n,
         (SELECT greatest((SELECT max(global_position) FROM events), floor) AS floor FROM log) l;
    INSERT INTO event_tags SELECT unnest(tags), global_position FROM events WHERE 'bulk:0' = ANY (tags)
        OR global_position > (SELECT max(global_position) - 200000 FROM events)
    ON CONFLICT DO NOTHING;";

/// Appends with every shape of condition whose cost must not depend on the log's length.
fn appends(number: usize) -> Vec<Append> {
    let unique = format!("{number}");
    let tag = || FilterItem::new().tag("unit", &unique).unwrap();
    let filters = vec![
        Filter::any_of([tag()]).unwrap(),
        // A tag that is everywhere and one that is nowhere.
        Filter::any_of([tag().tag("bulk", "1").unwrap()]).unwrap(),
        Filter::any_of([tag().event_types(["Type0", "Type1"]).unwrap()]).unwrap(),
        Filter::event_types([format!("Nowhere{number}")]).unwrap(),
        // By generated SQL.
        Filter::any_of([tag().all_payload("customer_id", 7).unwrap()]).unwrap(),
        Filter::any_of([tag()]).unwrap().in_stream(order()),
        Filter::any_of([tag()]).unwrap().of_aggregate_type(AggregateType::new("Order").unwrap()),
        // As a tenant's view has them; everything bulky is this tenant's.
        Filter::any_of([tag()]).unwrap().in_tenant(bulky()),
        Filter::any_of([tag().tag("bulk", "1").unwrap()]).unwrap().in_tenant(bulky()),
        Filter::any_of([tag().event_types(["Type0", "Type1"]).unwrap()]).unwrap().in_tenant(bulky()),
        Filter::event_types([format!("Nowhere{number}")]).unwrap().in_tenant(bulky()),
        Filter::all().in_stream(order()).in_tenant(bulky()),
        Filter::any_of([tag()])
            .unwrap()
            .of_aggregate_type(AggregateType::new("Order").unwrap())
            .in_tenant(bulky()),
        Filter::any_of([tag().all_payload("customer_id", 7).unwrap()]).unwrap().in_tenant(bulky()),
        Filter::all().in_tenant(TenantId::new(Uuid::now_v7()).unwrap()),
        Filter::any_of([tag()]).unwrap().occurred_from(second(1)).unwrap(),
    ];
    let append = |events: usize| {
        let event = |_| tagged("Checked", &format!("new-{number}"));
        Append::to_stream(order(), ExpectedVersion::NoStream, (0..events).map(event).collect::<Vec<_>>())
    };
    // One event is another function's business than two.
    let guarded =
        filters.iter().flat_map(|filter| [1, 2].map(|events| append(events).fail_if(filter.clone())));
    let exact = Append::to_stream(order(), ExpectedVersion::Any, [tagged("Checked", "exact")]);
    guarded.chain([append(1), append(2), exact]).collect()
}

fn bulky() -> TenantId {
    TenantId::new(Uuid::from_u128(1)).unwrap()
}

fn long() -> StreamId {
    StreamId::new(AggregateType::new("Order").unwrap(), Uuid::from_u128(3)).unwrap()
}

/// The time of that many of the many.
fn second(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_secs(1_767_225_600 + number).unwrap()
}

/// Counts what an append reads, statistics aside: `most` index entries, and nothing by a scan of a table.
async fn watch(store: &PostgresStore, number: usize, when: &str, most: i64) {
    for (shape, append) in appends(number).into_iter().enumerate() {
        let mut transaction = store.pool().begin().await.unwrap();
        let before = work(&mut transaction).await;
        store.append_in(&mut transaction, append).await.unwrap();
        let after = work(&mut transaction).await;
        assert_eq!(after.0 - before.0, 0, "{when}, shape {shape}: a table is scanned");
        let entries = after.1 - before.1;
        assert!(entries <= most, "{when}, shape {shape}: {entries} index entries are read");
        transaction.commit().await.unwrap();
    }
}

/// What this connection has read and not yet reported: rows by scans of tables, and index entries.
async fn work(connection: &mut PgConnection) -> (i64, i64) {
    let counters = sqlx::query(
        "SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(c.oid)) FILTER (WHERE c.relkind = 'r'), 0)::bigint,
                coalesce(sum(pg_stat_get_xact_tuples_returned(c.oid)) FILTER (WHERE c.relkind = 'i'), 0)::bigint
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relname <> 'log'",
    )
    .fetch_one(connection)
    .await
    .unwrap();
    (counters.get(0), counters.get(1))
}

#[tokio::test]
async fn an_append_is_a_few_index_look_ups_whenever_its_plans_were_made() {
    let config = config("plans").await.max_connections(1).max_lifetime(None).idle_timeout(None);
    let mut stores = Vec::new();
    let mut filled = 0;
    for level in [0, 1, 20, 150, 600, 3_000] {
        let store = PostgresStore::connect(config.clone()).await.unwrap();
        if level == 0 {
            run(store.pool(), "ALTER TABLE events SET (autovacuum_enabled = off)").await;
            run(store.pool(), "ALTER TABLE event_tags SET (autovacuum_enabled = off)").await;
        }
        while filled < level {
            let events: Vec<_> =
                (0..10.min(level - filled)).map(|n| tagged("Fill", &format!("{filled}/{n}"))).collect();
            filled += events.len();
            store.append(Append::to_stream(order(), ExpectedVersion::NoStream, events)).await.unwrap();
        }
        // In a connection that has planned nothing yet. It holds little, and reading that is no mistake.
        let planning = PostgresStore::connect(config.clone()).await.unwrap();
        for number in 0..3 {
            watch(&planning, filled * 10 + number, "small", i64::MAX).await;
        }
        stores.push(planning);
        store.close().await.unwrap();
    }
    run(stores[0].pool(), MANY).await;
    for (number, store) in stores.iter().enumerate() {
        watch(store, 1_000_000 + number, "grown and never analysed", 60).await;
    }
    let began = Instant::now();
    for number in 2_000_000..2_000_050 {
        for append in appends(number) {
            stores[0].append(append).await.unwrap();
        }
    }
    assert!(began.elapsed() < Duration::from_secs(60), "the appends took {:?}", began.elapsed());
    run(stores[0].pool(), "VACUUM ANALYZE events").await;
    run(stores[0].pool(), "VACUUM ANALYZE event_tags").await;
    for (number, store) in stores.iter().enumerate() {
        watch(store, 3_000_000 + number, "analysed", 60).await;
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_page_is_read_by_index_whatever_the_filter() {
    let config = config("read_plans").await.max_connections(1);
    let store = PostgresStore::connect(config.clone()).await.unwrap();
    let stream = order();
    let elsewhere = TenantId::new(Uuid::from_u128(2)).unwrap();
    // Where several columns could lead, statistics choose.
    let by_statistics = [
        Filter::any_of([FilterItem::new().tag("unit", "5").unwrap().tag("bulk", "5").unwrap()]).unwrap(),
        Filter::event_types(["Type1"]).unwrap().in_tenant(bulky()),
        Filter::event_types(["Nowhere"]).unwrap().in_tenant(bulky()),
        Filter::event_types(["Nowhere"]).unwrap().in_tenant(elsewhere),
        Filter::event_types((0..9).map(|number| format!("Nowhere{number}"))).unwrap(),
        Filter::event_types((0..9).map(|number| format!("Type{number}"))).unwrap(),
    ];
    // So do they with times, of which their index knows in what blocks they are.
    let by_time = [
        Filter::all().occurred_from(second(100_000)),
        Filter::all().in_tenant(bulky()).occurred_from(second(100_000)),
        Filter::all().of_aggregate_type(AggregateType::new("Order").unwrap()).occurred_from(second(100_000)),
        Filter::event_types(["Nowhere", "Nothing"]).unwrap().occurred_from(second(1)),
        Filter::tagged("unit", "9").unwrap().occurred_from(second(1)),
    ]
    .map(|filter| filter.unwrap().occurred_until(second(100_100)).unwrap());
    let by_structure = [
        Filter::all(),
        Filter::tagged("unit", "100000").unwrap(),
        Filter::event_types(["Type1", "Type2", "Nowhere"]).unwrap(),
        Filter::event_types(["Nowhere"]).unwrap(),
        Filter::tagged("unit", "9").unwrap().in_tenant(bulky()),
        Filter::tagged("unit", "9").unwrap().of_aggregate_type(AggregateType::new("Order").unwrap()),
        Filter::tagged("bulk", "1").unwrap().in_tenant(bulky()),
        Filter::tagged("bulk", "1").unwrap().of_aggregate_type(AggregateType::new("Order").unwrap()),
        Filter::any_of([FilterItem::new()
            .tag("bulk", "1")
            .unwrap()
            .event_types(["Type1", "Type2"])
            .unwrap()])
        .unwrap(),
        Filter::event_types(["Type2"]).unwrap().of_aggregate_type(AggregateType::new("Order").unwrap()),
        Filter::event_types((0..9).map(|number| format!("Nowhere{number}")))
            .unwrap()
            .of_aggregate_type(AggregateType::new("Elsewhere").unwrap()),
        Filter::event_types(["Type2"]).unwrap(),
        Filter::all().in_tenant(bulky()),
        Filter::all().of_aggregate_type(AggregateType::new("Order").unwrap()),
        Filter::all().in_tenant(elsewhere),
        Filter::all().of_aggregate_type(AggregateType::new("Elsewhere").unwrap()),
        Filter::all().in_stream(stream.clone()),
        Filter::all().in_stream(long()),
        Filter::all().in_stream(long()).in_tenant(bulky()),
        Filter::all().in_stream(long()).occurred_from(second(100)).unwrap(),
        Filter::event_types(["Type1", "Type2"]).unwrap().in_stream(long()),
        Filter::tagged("bulk", "1").unwrap().in_stream(long()),
        Filter::any_of([
            FilterItem::new().tag("unit", "7").unwrap(),
            FilterItem::new().event_type("Nowhere").unwrap(),
        ])
        .unwrap(),
    ];
    let pages_of = async |size: u64, store: &PostgresStore, filters: &[Filter], when: &str, most: i64| {
        for filter in filters {
            let everywhere = ReadOptions::new().limit(size);
            // As the second page of a read has it, which ends at the head that the first one saw.
            let between =
                everywhere.clone().after(Position::from_raw(50_000)).until(Position::from_raw(190_000));
            for options in [everywhere.clone().backward(), everywhere, between.clone().backward(), between] {
                let before = read_so_far(store).await;
                store.read_page(filter, &options).await.unwrap();
                let read = read_so_far(store).await - before;
                assert!(
                    read <= most,
                    "{when}: {filter:?}, {options:?}: {read} rows and index entries are read"
                );
            }
        }
    };
    let pages = async |store: &PostgresStore, filters: &[Filter], when: &str, most: i64| {
        pages_of(10, store, filters, when, most).await;
    };
    run(store.pool(), "ALTER TABLE events SET (autovacuum_enabled = off)").await;
    let all_pages = async |when: &str, most: i64| {
        pages(&store, &by_statistics, when, most).await;
        pages(&store, &by_structure, when, most).await;
    };
    // So often that the server may make plans for any value.
    for _ in 0..12 {
        all_pages("empty", i64::MAX).await;
    }
    run(store.pool(), MANY).await;
    // The autovacuum daemon is what keeps plans fresh, and its work is done here.
    run(store.pool(), "ANALYZE events; ANALYZE event_tags").await;
    for _ in 0..12 {
        all_pages("analysed", 200).await;
    }
    // So is this: blocks that no vacuum has summarised are read whatever their times.
    run(store.pool(), "VACUUM events").await;
    for _ in 0..12 {
        pages_of(1_000, &store, &by_time, "vacuumed", 4_000).await;
    }
    let beginning = PostgresStore::connect(config.clone()).await.unwrap();
    for _ in 0..12 {
        pages(&beginning, &by_structure, "in a new connection", 200).await;
        beginning.stream_version(&long()).await.unwrap();
    }
    assert_planned_once(&beginning, 2 * by_structure.len()).await;
    beginning.close().await.unwrap();
    // Whether it does depends on what it guesses of the page's size.
    run(store.pool(), "SET plan_cache_mode = force_generic_plan").await;
    pages(&store, &by_structure, "planned for any value", 200).await;
    // As of a log that is much larger than memory: what lies all over it looks dear.
    run(store.pool(), "SET effective_cache_size = '8kB'; SET plan_cache_mode = force_custom_plan").await;
    pages(&store, &by_structure, "as if nothing were cached", 200).await;
    assert!(!store.exists(&stream).await.unwrap());
    store.close().await.unwrap();
}

/// A planner without statistics takes the rest of the log for shorter than a page, and would sort it.
#[tokio::test]
async fn a_large_page_of_a_log_that_was_never_analysed_reads_no_more_than_itself() {
    let store = PostgresStore::connect(config("large_pages").await.max_connections(1)).await.unwrap();
    run(store.pool(), "ALTER TABLE events SET (autovacuum_enabled = off)").await;
    run(store.pool(), "ALTER TABLE event_tags SET (autovacuum_enabled = off)").await;
    run(store.pool(), MANY).await;
    for (filter, size) in [
        (Filter::all(), 2_000),
        (Filter::tagged("bulk", "1").unwrap(), 2_000),
        (Filter::event_types(["Type2"]).unwrap(), 2_000),
        (Filter::event_types(["Type1", "Type2"]).unwrap(), 2_000),
        (Filter::all().in_tenant(bulky()), 2_000),
        (Filter::all().of_aggregate_type(AggregateType::new("Order").unwrap()), 2_000),
        // There are 1,800 of it in between.
        (Filter::all().in_stream(long()), 1_500),
    ] {
        let most = 4 * i64::try_from(size).unwrap();
        let first = ReadOptions::new().limit(size);
        let second = first.clone().after(Position::from_raw(10_000)).until(Position::from_raw(190_000));
        // As often as the server may plan for the values, and then more.
        for options in [first.clone(), second.clone(), second.clone().backward()].iter().cycle().take(21) {
            let before = read_so_far(&store).await;
            let page = store.read_page(&filter, options).await.unwrap();
            assert_eq!(page.events.len() as u64, size);
            let read = read_so_far(&store).await - before;
            assert!(read <= most, "{filter:?}, {options:?}: {read} rows and index entries are read");
        }
    }
    store.close().await.unwrap();
}

/// Where tags are few, each of them is known to have much of the log: to the planner it is no detour to read the rest as well,
/// the less so the shorter the log is.
#[tokio::test]
async fn a_page_of_a_popular_tag_begins_where_the_last_one_ended() {
    for size in [20_000, 200_000] {
        let config = config(&format!("popular_tags_{size}")).await.max_connections(1);
        let store = PostgresStore::connect(config).await.unwrap();
        let of_few_tags =
            MANY.replace("'unit:' || n]", "'unit:' || n % 7]").replace("200000", &size.to_string());
        sqlx::raw_sql(AssertSqlSafe(of_few_tags)).execute(store.pool()).await.unwrap();
        run(store.pool(), "VACUUM ANALYZE events").await;
        run(store.pool(), "VACUUM ANALYZE event_tags").await;
        let tagged = || FilterItem::new().tag("bulk", "1").unwrap();
        let late = ReadOptions::new().limit(10).after(Position::from_raw(size - 1_000));
        let later = late.clone().until(Position::from_raw(size - 100));
        let early = ReadOptions::new().limit(10).until(Position::from_raw(1_000)).backward();
        for filter in [
            Filter::any_of([tagged()]).unwrap(),
            Filter::any_of([tagged().event_type("Type1").unwrap()]).unwrap(),
            Filter::any_of([tagged().event_types(["Type1", "Type2"]).unwrap()]).unwrap(),
            Filter::any_of([tagged()]).unwrap().in_tenant(bulky()),
            Filter::any_of([tagged()]).unwrap().of_aggregate_type(AggregateType::new("Order").unwrap()),
            Filter::any_of([tagged()]).unwrap().occurred_from(second(1)).unwrap(),
            Filter::any_of([tagged().tag("unit", "1").unwrap()]).unwrap(),
            Filter::any_of([tagged().tag("unit", "1").unwrap().event_type("Type1").unwrap()]).unwrap(),
            Filter::any_of([tagged().event_type("Type1").unwrap()]).unwrap().in_tenant(bulky()),
            Filter::any_of([tagged(), FilterItem::new().tag("unit", "2").unwrap()]).unwrap(),
            Filter::any_of([tagged(), FilterItem::new().event_type("Type2").unwrap()]).unwrap(),
        ] {
            for options in [&late, &later, &early].into_iter().cycle().take(24) {
                let before = read_so_far(&store).await;
                let page = store.read_page(&filter, options).await.unwrap();
                assert_eq!(page.events.len(), 10);
                let read = read_so_far(&store).await - before;
                assert!(
                    read <= 200,
                    "of {size}: {filter:?}, {options:?}: {read} rows and index entries are read"
                );
            }
        }
        store.close().await.unwrap();
    }
}

/// Also where the type sorts last, so that a range that begins with it looks empty to the planner.
#[tokio::test]
async fn the_index_of_a_payloads_key_leads_where_a_type_is_asked_for_too() {
    let config = config("payload_plans").await.max_connections(1);
    let index = PayloadIndex::Keys(vec!["customer_id".to_owned()]);
    let store = PostgresStore::connect(config.payload_index(index).unwrap()).await.unwrap();
    run(store.pool(), MANY).await;
    run(store.pool(), "VACUUM ANALYZE events").await;
    let item = FilterItem::new().event_type("Type2").unwrap().all_payload("customer_id", 7).unwrap();
    let one = Filter::any_of([item]).unwrap();
    let of_any_type = FilterItem::new().all_payload("customer_id", 0).unwrap();
    let of_any_type = Filter::any_of([of_any_type]).unwrap();
    let first = ReadOptions::new().limit(10);
    let second = first.clone().after(Position::from_raw(50_000)).until(Position::from_raw(190_000));
    for filter in [one.clone(), one.in_tenant(bulky()), of_any_type] {
        for options in [first.clone(), second.clone()].iter().cycle().take(24) {
            let before = read_so_far(&store).await;
            store.read_page(&filter, options).await.unwrap();
            let read = read_so_far(&store).await - before;
            assert!(read <= 200, "{filter:?}, {options:?}: {read} rows and index entries are read");
        }
        let mut transaction = store.pool().begin().await.unwrap();
        let before = work(&mut transaction).await;
        let append = Append::events([tagged("Checked", "x")]).fail_if(filter.clone());
        store.append_in(&mut transaction, append).await.unwrap();
        let after = work(&mut transaction).await;
        let read = (after.0 - before.0) + (after.1 - before.1);
        assert!(read <= 200, "{filter:?}: an append reads {read} rows and index entries");
        transaction.rollback().await.unwrap();
    }
    store.close().await.unwrap();
}

/// That at least so many statements read the events on this store's connection, and that the server has planned none of them more
/// often than it does before it keeps a plan.
async fn assert_planned_once(store: &PostgresStore, at_least: usize) {
    let mut connection = store.pool().acquire().await.unwrap();
    let statements = sqlx::query(
        "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%.events e%'",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    assert!(statements.len() >= at_least, "only {} statements are kept", statements.len());
    for statement in statements {
        let (sql, once, anew): (String, i64, i64) = (statement.get(0), statement.get(1), statement.get(2));
        assert!(once > 0 && anew <= 5, "with one plan {once} times, planned anew {anew} times: {sql}");
    }
}

/// What this database's connections have read of tables and their indexes; the store has one only.
async fn read_so_far(store: &PostgresStore) -> i64 {
    let mut connection = store.pool().acquire().await.unwrap();
    sqlx::query("SELECT pg_stat_force_next_flush()").execute(&mut *connection).await.unwrap();
    sqlx::query_scalar(
        "SELECT ((SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables)
               + (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes))::bigint",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap()
}
