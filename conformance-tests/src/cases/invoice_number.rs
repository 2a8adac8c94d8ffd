//! <https://dcb.events/examples/invoice-number/>: a sequence without gaps.

use std::convert::Infallible;

use eventsource_core::{Append, Boundary, Decision, DomainEvent, EventStore, Result, Tag, decision};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::given::{conflict, decided, found, types};
use crate::{CaseResult, Cx};

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum InvoiceEvent {
    InvoiceCreated { number: u64 },
}

use InvoiceEvent::InvoiceCreated;

impl DomainEvent for InvoiceEvent {
    fn tags(&self) -> Result<Vec<Tag>> {
        let InvoiceCreated { number } = self;
        Ok(vec![Tag::new("invoice", number)?])
    }
}

fn invoices() -> Boundary {
    Boundary::of_types(["InvoiceCreated"])
}

/// The next invoice, decided on all invoices.
fn behind_all() -> impl Decision<Event = InvoiceEvent, Rejection = Infallible> {
    decision(invoices().count(), |drawn| Ok(vec![InvoiceCreated { number: drawn + 1 }]))
}

/// The next invoice, decided on the newest one alone.
fn behind_last() -> impl Decision<Event = InvoiceEvent, Rejection = Infallible> {
    decision(invoices().last(), |last| {
        let newest = last.map_or(0, |InvoiceCreated { number }| number);
        Ok(vec![InvoiceCreated { number: newest + 1 }])
    })
}

async fn next_of_all(store: &dyn EventStore) -> CaseResult<Append> {
    Ok(decided(store, behind_all()).await??)
}

async fn next_of_last(store: &dyn EventStore) -> CaseResult<Append> {
    Ok(decided(store, behind_last()).await??)
}

async fn numbers(store: &dyn EventStore) -> Result<Vec<u64>> {
    let invoices = found(store, types(["InvoiceCreated"])).await?;
    invoices.iter().map(|event| InvoiceEvent::decode(event).map(|InvoiceCreated { number }| number)).collect()
}

pub async fn numbers_begin_at_one_and_have_no_gaps(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    for round in 0..6 {
        store.append(Append::events(crate::given::events(1))).await?;
        let append = if round % 2 == 0 { next_of_all(store).await? } else { next_of_last(store).await? };
        store.append(append).await?;
    }
    assert_eq!(numbers(store).await?, [1, 2, 3, 4, 5, 6]);
    Ok(())
}

pub async fn a_number_that_is_taken_meanwhile_is_refused(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    store.append(next_of_last(store).await?).await?;
    let (one, other) = (next_of_last(store).await?, next_of_all(store).await?);
    store.append(one).await?;
    conflict(store.append(other).await)?;
    assert_eq!(numbers(store).await?, [1, 2]);
    Ok(())
}

pub async fn clerks_who_work_at_once_leave_no_gap(cx: Cx) -> CaseResult {
    let mut clerks = JoinSet::new();
    for _ in 0..6 {
        let store = cx.store().clone();
        clerks.spawn(async move {
            let mut drawn = 0;
            while drawn < 5 {
                match store.append(next_of_last(&*store).await?).await {
                    Ok(_) => drawn += 1,
                    Err(error) if error.is_conflict() => tokio::task::yield_now().await,
                    Err(error) => return Err(error.into()),
                }
            }
            Ok::<_, crate::Failure>(())
        });
    }
    for clerk in clerks.join_all().await {
        clerk?;
    }
    assert_eq!(numbers(&**cx.store()).await?, (1..=30).collect::<Vec<_>>());
    Ok(())
}
