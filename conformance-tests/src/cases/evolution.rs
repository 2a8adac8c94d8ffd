//! Events outlive the program that wrote them: what an older one stored, today's reads as its own.

use eventsource_core::{
    Append, Decoded, Decoder, DomainEvent, ErrorKind, EventRegistry, EventStore, EventStoreExt,
    ExpectedVersion, Filter, Kept, NewEvent, PlainDecoder, ReadOptions, RecordedEvent, RegistryDecoder,
    Result,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::given::{found, log_of, names, refused, stream, tag, tenant, time};
use crate::{CaseResult, Cx};

/// Orders, as today's program has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
enum OrderEvent {
    #[event(name = "order-placed", version = 3)]
    Placed {
        #[event(tag = "customer")]
        customer_id: String,
        total_cents: u64,
        currency: String,
    },
    #[event(name = "item-added")]
    ItemAdded {
        #[event(tag = "item")]
        sku: String,
    },
    #[event(name = "order-cancelled")]
    Cancelled,
}

/// Invoices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "invoice-drawn")]
struct InvoiceDrawn {
    total_cents: u64,
}

/// What today's program knows of older ones.
fn registry() -> Result<EventRegistry> {
    let registry = EventRegistry::builder()
        .event::<OrderEvent>()
        .event::<InvoiceDrawn>()
        .rename(("OrderCreated", 1), ("order-placed", 1))
        .upcast(("order-placed", 1), ("order-placed", 2), |mut order, _| {
            order["total_cents"] = order["total"].take();
            Ok(order)
        })
        .upcast(("order-placed", 2), ("order-placed", 3), |mut order, _| {
            order["currency"] = json!("EUR");
            Ok(order)
        })
        .merge([("OrderRevoked", 1), ("OrderRejected", 1)], ("order-cancelled", 1), |_, _| Ok(json!(null)))
        .split(("OrderFilled", 1), [("item-added", 1), ("invoice-drawn", 1)], |filled, _| {
            let skus = filled["skus"].as_array().cloned().unwrap_or_default();
            let mut parts: Vec<_> =
                skus.into_iter().map(|sku| ("item-added", json!({ "sku": sku }))).collect();
            parts.push(("invoice-drawn", json!({"total_cents": filled["total"]})));
            Ok(parts)
        })
        .drop_event(("CartLookedAt", 1))
        .build()?;
    Ok(registry)
}

fn decoder() -> Result<RegistryDecoder<OrderEvent>> {
    registry()?.decoder()
}

fn stored(name: &str, version: u32, payload: &serde_json::Value) -> Result<NewEvent> {
    Ok(NewEvent::new(name, payload)?.schema_version(version))
}

fn placed(total_cents: u64) -> OrderEvent {
    OrderEvent::Placed { customer_id: "c1".into(), total_cents, currency: "EUR".into() }
}

fn added(sku: &str) -> OrderEvent {
    OrderEvent::ItemAdded { sku: sku.into() }
}

/// The order-placed of each schema that ever was, all saying the same.
fn placed_in_every_schema(total_cents: u64) -> Result<Vec<NewEvent>> {
    Ok(vec![
        stored("OrderCreated", 1, &json!({"customer_id": "c1", "total": total_cents}))?,
        stored("order-placed", 1, &json!({"customer_id": "c1", "total": total_cents}))?,
        stored("order-placed", 2, &json!({"customer_id": "c1", "total_cents": total_cents}))?,
        placed(total_cents).encode()?,
    ])
}

/// A log of old and new, with what it says of orders today.
fn an_old_log() -> Result<(Vec<NewEvent>, Vec<OrderEvent>)> {
    let log = vec![
        stored("OrderCreated", 1, &json!({"customer_id": "c1", "total": 1}))?,
        stored("OrderFilled", 1, &json!({"skus": ["b", "a"], "total": 1}))?,
        stored("CartLookedAt", 1, &json!({}))?,
        stored("order-placed", 2, &json!({"customer_id": "c1", "total_cents": 2}))?,
        stored("OrderFilled", 1, &json!({"skus": ["d", "c"], "total": 2}))?,
        stored("OrderRevoked", 1, &json!({"why": "too late"}))?,
        placed(3).encode()?,
        added("e").encode()?,
        stored("OrderRejected", 1, &json!({}))?,
    ];
    let cancelled = || OrderEvent::Cancelled;
    let says = vec![
        placed(1),
        added("b"),
        added("a"),
        placed(2),
        added("d"),
        added("c"),
        cancelled(),
        placed(3),
        added("e"),
        cancelled(),
    ];
    Ok((log, says))
}

fn decode_all<E>(decoder: &impl Decoder<E>, events: &[RecordedEvent]) -> Result<Vec<E>> {
    let mut decoded = Vec::new();
    for event in events {
        decoded.extend(decoder.decode(event)?);
    }
    Ok(decoded)
}

pub async fn a_typed_event_comes_back_as_it_was_encoded(cx: Cx) -> CaseResult {
    let events = [placed(u64::MAX), added("b"), OrderEvent::Cancelled];
    let encoded = events.iter().map(DomainEvent::encode).collect::<Result<Vec<_>>>()?;
    cx.store().append(Append::events(encoded)).await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(names(&log), ["order-placed", "item-added", "order-cancelled"]);
    assert_eq!(log.iter().map(RecordedEvent::schema_version).collect::<Vec<_>>(), [3, 1, 1]);
    assert_eq!(decode_all::<OrderEvent>(&PlainDecoder, &log)?, events);
    assert_eq!(decode_all(&decoder()?, &log)?, events);
    Ok(())
}

pub async fn a_typed_event_is_found_by_the_tags_of_its_fields(cx: Cx) -> CaseResult {
    let events = [placed(1), added("b"), added("c")];
    let encoded = events.iter().map(DomainEvent::encode).collect::<Result<Vec<_>>>()?;
    cx.store().append(Append::events(encoded)).await?;
    let of_customer = found(cx.store(), tag("customer", "c1")).await?;
    assert_eq!(decode_all(&decoder()?, &of_customer)?, [placed(1)]);
    assert_eq!(decode_all(&decoder()?, &found(cx.store(), tag("item", "c")).await?)?, [added("c")]);
    Ok(())
}

pub async fn an_old_name_and_version_reads_as_the_new_type(cx: Cx) -> CaseResult {
    let in_every_schema = placed_in_every_schema(7)?;
    let count = in_every_schema.len();
    cx.store().append(Append::to_stream(stream(), ExpectedVersion::NoStream, in_every_schema)).await?;
    assert_eq!(decode_all(&decoder()?, &log_of(cx.store()).await?)?, vec![placed(7); count]);
    Ok(())
}

pub async fn a_version_that_is_not_the_types_is_an_error_without_an_upcaster(cx: Cx) -> CaseResult {
    for event in placed_in_every_schema(7)?.into_iter().skip(1).take(2) {
        cx.store().append(Append::events([event])).await?;
    }
    for event in log_of(cx.store()).await? {
        refused(ErrorKind::Corrupt, OrderEvent::decode(&event))?;
    }
    Ok(())
}

pub async fn a_split_keeps_its_place_and_its_order(cx: Cx) -> CaseResult {
    let (log, says) = an_old_log()?;
    cx.store().append(Append::to_stream(stream(), ExpectedVersion::NoStream, log)).await?;
    let events = found(cx.store(), Filter::event_types(decoder()?.event_types()?)?).await?;
    assert_eq!(decode_all(&decoder()?, &events)?, says);
    Ok(())
}

pub async fn what_is_read_page_by_page_says_the_same(cx: Cx) -> CaseResult {
    let (log, says) = an_old_log()?;
    for event in log {
        cx.store().append(Append::events([event])).await?;
    }
    let (decoder, mut decoded) = (decoder()?, Vec::new());
    let filter = Filter::event_types(decoder.event_types()?)?;
    let mut options = ReadOptions::new().limit(2);
    loop {
        let page = cx.store().read_page(&filter, &options).await?;
        decoded.extend(decode_all(&decoder, &page.events)?);
        let (Some(last), true) = (page.events.last(), page.more) else { break };
        options = options.after(last.position());
    }
    assert_eq!(decoded, says);
    Ok(())
}

pub async fn a_reader_that_asks_for_its_types_misses_no_old_name(cx: Cx) -> CaseResult {
    let (log, _) = an_old_log()?;
    cx.store().append(Append::events(log)).await?;
    cx.store().append(Append::events([NewEvent::new("Burnt", &())?])).await?;
    let invoices = registry()?.decoder::<InvoiceDrawn>()?;
    let of_invoices = found(cx.store(), Filter::event_types(invoices.event_types()?)?).await?;
    assert_eq!(names(&of_invoices), ["OrderFilled", "OrderFilled"]);
    let drawn = [1, 2].map(|total_cents| InvoiceDrawn { total_cents });
    assert_eq!(decode_all(&invoices, &of_invoices)?, drawn);
    let asked_for = found(cx.store(), Filter::event_types(decoder()?.event_types()?)?).await?;
    let left_out: Vec<_> =
        log_of(cx.store()).await?.into_iter().filter(|event| !asked_for.contains(event)).collect();
    assert_eq!(names(&left_out), ["CartLookedAt", "Burnt"]);
    Ok(())
}

pub async fn an_unknown_type_is_an_error_unless_asked_otherwise(cx: Cx) -> CaseResult {
    let encoded = [placed(1).encode()?, NewEvent::new("Burnt", &7)?, added("b").encode()?];
    cx.store().append(Append::events(encoded)).await?;
    let log = log_of(cx.store()).await?;
    refused(ErrorKind::Corrupt, decode_all(&decoder()?, &log))?;
    refused(ErrorKind::Corrupt, decode_all::<OrderEvent>(&PlainDecoder, &log))?;
    assert_eq!(decode_all(&decoder()?.skip_unknown(), &log)?, [placed(1), added("b")]);
    let kept = decode_all(&decoder()?.keep_unknown(), &log)?;
    assert_eq!(kept, [Kept::Known(placed(1)), Kept::Unknown(log[1].clone()), Kept::Known(added("b"))]);
    Ok(())
}

pub async fn a_version_from_the_future_is_never_passed_over(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([stored("order-placed", 4, &json!({}))?])).await?;
    let log = log_of(cx.store()).await?;
    refused(ErrorKind::Corrupt, decode_all(&decoder()?, &log))?;
    refused(ErrorKind::Corrupt, decode_all(&decoder()?.skip_unknown(), &log))?;
    assert_eq!(decode_all(&decoder()?.keep_unknown(), &log)?, [Kept::Unknown(log[0].clone())]);
    Ok(())
}

pub async fn an_upcast_event_is_still_the_one_that_was_stored(cx: Cx) -> CaseResult {
    let old = stored("OrderCreated", 1, &json!({"customer_id": "c1", "total": 7}))?
        .tag("order", "o1")?
        .actor("ann")?
        .tenant(tenant())
        .occurred_at(time("2019-03-10T02:30:00Z"))?;
    cx.store().append(Append::to_stream(stream(), ExpectedVersion::NoStream, [old])).await?;
    let stored = log_of(cx.store()).await?.remove(0);
    let today = registry()?.upcast(&stored)?.remove(0);
    assert_eq!((today.event_type().as_str(), today.schema_version()), ("order-placed", 3));
    assert_eq!((today.id(), today.position()), (stored.id(), stored.position()));
    assert_eq!((today.stream(), today.version()), (stored.stream(), stored.version()));
    assert_eq!((today.tags(), today.metadata()), (stored.tags(), stored.metadata()));
    assert_eq!((today.occurred_at(), today.recorded_at()), (stored.occurred_at(), stored.recorded_at()));
    Ok(())
}

pub async fn upcasting_loses_no_digit(cx: Cx) -> CaseResult {
    let old = json!({"customer_id": "c1", "total": u64::MAX, "rate": 0.1, "low": i64::MIN});
    cx.store().append(Append::events([stored("order-placed", 1, &old)?])).await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(decoder()?.decode(&log[0])?, Decoded::One(placed(u64::MAX)));
    let today: serde_json::Value = registry()?.upcast(&log[0])?[0].payload().deserialize()?;
    assert_eq!((&today["rate"], &today["low"]), (&json!(0.1), &json!(i64::MIN)));
    Ok(())
}

pub async fn nothing_in_the_log_is_changed_by_reading_it_as_new(cx: Cx) -> CaseResult {
    let (log, _) = an_old_log()?;
    cx.store().append(Append::events(log.clone())).await?;
    let before = log_of(cx.store()).await?;
    decode_all(&decoder()?, &before)?;
    let after = log_of(cx.store()).await?;
    assert!(after.iter().zip(&log).all(|(recorded, event)| recorded.records(event, None)));
    assert_eq!(before, after);
    // A retry of what an older program appended is still known as one.
    assert!(cx.store().append(Append::events(log)).await?.replayed);
    assert_eq!(cx.store().query(&Filter::all()).await?.events, after);
    Ok(())
}
