//! <https://dcb.events/examples/invoice-number/>: a sequence without gaps.

use eventsource_core::{Append, EventStore, EventStoreExt, NewEvent, Position, Result};
use tokio::task::JoinSet;

use crate::given::{conflict, found, types};
use crate::{CaseResult, Cx};

#[derive(serde::Serialize, serde::Deserialize)]
struct InvoiceCreated {
    number: u64,
}

/// The next invoice, decided on all invoices that were read.
async fn next_of_all(store: &dyn EventStore) -> Result<Append> {
    let seen = store.query(&types(["InvoiceCreated"])).await?;
    invoice(seen.events.len() as u64 + 1, seen.head)
}

/// The next invoice, decided on the newest one alone.
async fn next_of_last(store: &dyn EventStore) -> Result<Append> {
    let Some(last) = store.last(&types(["InvoiceCreated"])).await? else {
        return invoice(1, Position::START);
    };
    invoice(last.payload().deserialize::<InvoiceCreated>()?.number + 1, last.position())
}

fn invoice(number: u64, after: Position) -> Result<Append> {
    let created = NewEvent::new("InvoiceCreated", &InvoiceCreated { number })?.tag("invoice", number)?;
    Ok(Append::events([created]).fail_if(types(["InvoiceCreated"])).after(after))
}

async fn numbers(store: &dyn EventStore) -> Result<Vec<u64>> {
    let invoices = found(store, types(["InvoiceCreated"])).await?;
    invoices.iter().map(|event| Ok(event.payload().deserialize::<InvoiceCreated>()?.number)).collect()
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
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
    }
    for clerk in clerks.join_all().await {
        clerk?;
    }
    assert_eq!(numbers(&**cx.store()).await?, (1..=30).collect::<Vec<_>>());
    Ok(())
}
