//! What a reader sees that comes again and again while others write.

use std::sync::Arc;

use eventsource_core::{
    Append, EventStore, EventStoreExt, ExpectedVersion, Filter, Position, ReadOptions, RecordedEvent, Result,
};
use tokio::task::JoinSet;

use crate::given::{event, events, log_of, page_after, positions, stream, tag, tagged};
use crate::{CaseResult, Cx};

const WRITERS: usize = 8;
const APPENDS: usize = 40;

/// Writers that append one to three events at a time; every third append is refused.
fn writers(store: &Arc<dyn EventStore>) -> JoinSet<Result<()>> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(store);
        writers.spawn(async move {
            for number in 0..APPENDS {
                let append = Append::events(
                    (0..=number % 3).map(|_| tagged("Written", "writer", &writer.to_string())),
                );
                store.append(append).await?;
                if number % 3 == 0 {
                    let refused = Append::to_stream(stream(), ExpectedVersion::StreamExists, events(2));
                    assert!(store.append(refused).await.is_err());
                }
            }
            Ok(())
        });
    }
    writers
}

/// Waits for the writers and says how many events they wrote.
async fn finish(mut writers: JoinSet<Result<()>>) -> CaseResult<usize> {
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    Ok(WRITERS * (0..APPENDS).map(|number| number % 3 + 1).sum::<usize>())
}

/// Whether a writer is still at it.
async fn at_work(writers: &mut JoinSet<Result<()>>) -> bool {
    // A task that never yields is never told that another one is done.
    tokio::task::yield_now().await;
    while let Some(done) = writers.try_join_next() {
        done.expect("a writer does not panic").expect("a writer is not refused");
    }
    !writers.is_empty()
}

/// Reads on from a cursor as a subscriber would, until the writers are done and nothing is left.
async fn follow(
    store: &dyn EventStore,
    filter: &Filter,
    page: u64,
    writers: &mut JoinSet<Result<()>>,
) -> Result<Vec<RecordedEvent>> {
    let (mut seen, mut cursor) = (Vec::new(), Position::START);
    loop {
        let working = at_work(writers).await;
        let options = ReadOptions::new().after(cursor).limit(page);
        let mut page = store.read_page(filter, &options).await?;
        cursor = page.scanned_to(&options);
        if page.events.is_empty() && !page.more && !working {
            return Ok(seen);
        }
        seen.append(&mut page.events);
    }
}

pub async fn a_resuming_reader_sees_every_event_once_in_order(cx: Cx) -> CaseResult {
    for page in [1, 7, 1_000] {
        let cx = cx.fresh(crate::Setup::default()).await?;
        let mut writers = writers(cx.store());
        let seen = follow(&**cx.store(), &Filter::all(), page, &mut writers).await?;
        let written = finish(writers).await?;
        assert_eq!(seen.len(), written, "pages of {page}");
        assert_eq!(positions(&seen), positions(&log_of(cx.store()).await?));
    }
    Ok(())
}

pub async fn a_filtered_reader_misses_nothing_either(cx: Cx) -> CaseResult {
    let filter = tag("writer", "3");
    let mut writers = writers(cx.store());
    let seen = follow(&**cx.store(), &filter, 5, &mut writers).await?;
    assert_eq!(seen.len(), finish(writers).await? / WRITERS);
    assert_eq!(seen, crate::given::found(cx.store(), filter).await?);
    Ok(())
}

pub async fn what_one_look_showed_every_later_look_begins_with(cx: Cx) -> CaseResult {
    let mut writers = writers(cx.store());
    let mut before: Vec<Position> = Vec::new();
    while at_work(&mut writers).await {
        let now = positions(&log_of(cx.store()).await?);
        assert!(now.starts_with(&before), "something appeared below what had been read");
        before = now;
    }
    Ok(())
}

pub async fn nothing_appears_at_or_below_a_head_that_was_seen(cx: Cx) -> CaseResult {
    let mut writers = writers(cx.store());
    let mut looks = Vec::new();
    while at_work(&mut writers).await {
        let head = cx.store().head().await?;
        let below = ReadOptions::new().until(head);
        looks.push((head, crate::given::read(cx.store(), Filter::all(), below).await?.len()));
    }
    let log = positions(&log_of(cx.store()).await?);
    for (head, count) in looks {
        assert_eq!(log.iter().filter(|position| **position <= head).count(), count, "at head {head}");
    }
    Ok(())
}

pub async fn the_head_never_moves_back(cx: Cx) -> CaseResult {
    let mut writers = writers(cx.store());
    let mut seen = Position::START;
    while at_work(&mut writers).await {
        let head = cx.store().head().await?;
        assert!(head >= seen, "the head moved from {seen} to {head}");
        let page = page_after(&**cx.store(), head, 1).await?;
        assert!(page.head >= head);
        seen = page.head;
    }
    Ok(())
}

pub async fn all_readers_see_one_order(cx: Cx) -> CaseResult {
    let mut writers = writers(cx.store());
    let mut readers = JoinSet::new();
    for page in [1, 3, 50] {
        let store = cx.store().clone();
        readers.spawn(async move {
            let (mut seen, mut cursor) = (Vec::new(), Position::START);
            while seen.len() < WRITERS * APPENDS {
                tokio::task::yield_now().await;
                let events = page_after(&*store, cursor, page).await?.events;
                cursor = events.last().map_or(cursor, RecordedEvent::position);
                seen.extend(events.iter().map(RecordedEvent::id));
            }
            seen.truncate(WRITERS * APPENDS);
            Ok::<_, eventsource_core::Error>(seen)
        });
    }
    let mut orders = Vec::new();
    while let Some(reader) = readers.join_next().await {
        orders.push(reader??);
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
    while at_work(&mut writers).await {
        crate::given::a_while().await;
    }
    Ok(())
}

pub async fn a_reader_goes_on_past_events_that_are_not_its_own(cx: Cx) -> CaseResult {
    let filter = tag("kind", "mine");
    let options = |cursor| ReadOptions::new().after(cursor).limit(10);
    let mut cursor = Position::START;
    for round in 0..5 {
        cx.store().append(Append::events(events(100))).await?;
        let page = cx.store().read_page(&filter, &options(cursor)).await?;
        assert!(page.events.is_empty());
        cursor = page.scanned_to(&options(cursor));
        assert_eq!(cursor, cx.store().head().await?, "round {round}");
        cx.store().append(Append::events([tagged("Mine", "kind", "mine")])).await?;
        let page = cx.store().read_page(&filter, &options(cursor)).await?;
        assert_eq!(page.events.len(), 1, "round {round}");
        cursor = page.scanned_to(&options(cursor));
    }
    Ok(())
}

pub async fn reading_from_a_stored_cursor_goes_on_behind_it(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let stored = cx.store().head().await?.to_raw();
    cx.store().append(Append::events([event("Next")])).await?;
    let page = page_after(&**cx.store(), Position::from_raw(stored), 10).await?;
    assert_eq!(crate::given::names(&page.events), ["Next"]);
    let next = cx.store().last(&Filter::all()).await?.expect("an event");
    assert_eq!(page.events[0], next);
    Ok(())
}
