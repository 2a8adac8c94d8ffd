//! Random histories, on the store and on a model that is too simple to be wrong.

use eventsource_core::{Append, EventStore, Filter, ReadOptions, RecordedEvent};
use futures_util::future::BoxFuture;

use crate::explore::explore;
use crate::model::{Model, Pair};
use crate::operations::{self, Draft, Operation, Reading};
use crate::{CaseResult, Cx, Failure};

pub async fn random_operations_agree_with_the_model(cx: Cx) -> CaseResult {
    explore(&cx, 24, operations::operations(10..60), |cx, operations| Box::pin(perform(cx, operations))).await
}

pub async fn random_filters_agree_with_matches(cx: Cx) -> CaseResult {
    let histories = (operations::appends(30), operations::filters(60));
    explore(&cx, 5, histories, |cx, (appends, filters)| Box::pin(look_for(cx, appends, filters))).await
}

pub async fn random_pages_join_into_the_whole(cx: Cx) -> CaseResult {
    let histories = (operations::appends(20), operations::filters(12), 1..4_u64);
    explore(&cx, 4, histories, |cx, (appends, filters, size)| {
        Box::pin(leaf_through(cx, appends, filters, size))
    })
    .await
}

pub async fn random_retries_store_nothing_twice(cx: Cx) -> CaseResult {
    explore(&cx, 5, operations::appends(20), |cx, appends| Box::pin(repeat(cx, appends))).await
}

/// Does everything on both, and compares them after each step.
pub(crate) fn perform(cx: Cx, operations: Vec<Operation>) -> BoxFuture<'static, CaseResult> {
    Box::pin(async move {
        let mut pair = Pair::new(cx.store().clone());
        let mut asked: Vec<Append> = Vec::new();
        for operation in operations {
            let earlier = |which: &proptest::sample::Index| (!asked.is_empty()).then(|| which.get(&asked));
            match operation {
                Operation::Append(draft) => {
                    let append = draft.append(&pair.model);
                    asked.push(append.clone());
                    pair.append(append).await?;
                }
                Operation::Again(which) => {
                    if let Some(append) = earlier(&which) {
                        pair.append(append.clone()).await?;
                    }
                }
                Operation::TailOf(which, from) => {
                    if let Some(append) = earlier(&which).filter(|append| append.event_count() > 0) {
                        pair.append(operations::tail_of(append, &from)).await?;
                    }
                }
                Operation::MoreThan(which, more) => {
                    if let Some(append) = earlier(&which) {
                        let more = more.append(&pair.model);
                        pair.append(operations::more_than(append, &more)).await?;
                    }
                }
                Operation::Read(filter, reading) => read(&pair, &filter, &reading).await?,
                Operation::Head => pair.head().await?,
                Operation::StreamVersion(stream) => pair.stream_version(&stream).await?,
                Operation::Reopen => reopen(&cx, &mut pair).await?,
            }
        }
        pair.whole(&operations::streams()).await?;
        reopen(&cx, &mut pair).await?;
        pair.whole(&operations::streams()).await?;
        pair.store.close().await?;
        Ok(())
    })
}

async fn read(pair: &Pair, filter: &Filter, reading: &Reading) -> CaseResult {
    pair.read(filter, &reading.options(&pair.model, filter)).await
}

/// Where a log outlives its store.
async fn reopen(cx: &Cx, pair: &mut Pair) -> CaseResult {
    if pair.store.capabilities().has(eventsource_core::Capability::Durable) {
        pair.store.close().await?;
        pair.store = cx.open().await?;
    }
    Ok(())
}

async fn look_for(cx: Cx, appends: Vec<Draft>, filters: Vec<Filter>) -> CaseResult {
    let mut pair = Pair::new(cx.store().clone());
    for draft in appends {
        let append = draft.append(&pair.model);
        pair.append(append).await?;
    }
    for filter in filters {
        pair.read(&filter, &ReadOptions::new()).await?;
        pair.read(&filter, &ReadOptions::new().backward().limit(1)).await?;
        // As a condition, it names the same first event.
        let event = crate::given::event("Checked");
        pair.append(Append::events([event]).fail_if(filter)).await?;
    }
    Ok(())
}

async fn leaf_through(cx: Cx, appends: Vec<Draft>, filters: Vec<Filter>, size: u64) -> CaseResult {
    let mut model = Model::default();
    for draft in appends {
        // The positions that the draft asks for don't matter here.
        let _refused_or_not = cx.store().append(draft.append(&model)).await;
    }
    model.adopt(crate::given::log_of(cx.store()).await?);
    for filter in filters {
        for backward in [false, true] {
            let whole = if backward { ReadOptions::new().backward() } else { ReadOptions::new() };
            let found = leaves(&cx, &filter, whole.clone(), size).await?;
            if found != model.read(&filter, &whole)?.events {
                let positions: Vec<_> = found.iter().map(RecordedEvent::position).collect();
                return Err(Failure::new(format!("pages of {size} of {filter:?} join into {positions:?}")));
            }
        }
    }
    Ok(())
}

/// Page by page, as a reader without memory would.
async fn leaves(cx: &Cx, filter: &Filter, whole: ReadOptions, size: u64) -> CaseResult<Vec<RecordedEvent>> {
    let mut found: Vec<RecordedEvent> = Vec::new();
    let mut options = whole.limit(size);
    loop {
        let page = cx.store().read_page(filter, &options).await?;
        let last = page.events.last().map(RecordedEvent::position);
        found.extend(page.events);
        match last {
            Some(last) if page.more && options.direction() == eventsource_core::Direction::Forward => {
                options = options.after(last);
            }
            Some(last) if page.more && last.to_raw() > 0 => {
                options = options.until(eventsource_core::Position::from_raw(last.to_raw() - 1));
            }
            _ => return Ok(found),
        }
    }
}

async fn repeat(cx: Cx, appends: Vec<Draft>) -> CaseResult {
    let mut pair = Pair::new(cx.store().clone());
    let mut asked = Vec::new();
    for draft in appends {
        let append = draft.append(&pair.model);
        asked.push(append.clone());
        pair.append(append).await?;
    }
    for append in asked {
        pair.append(append).await?;
    }
    pair.whole(&operations::streams()).await
}
