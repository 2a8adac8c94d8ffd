//! What one page of a read says, and what pages come to.

use eventsource_core::{Append, Filter, Position, ReadOptions};

use crate::given::{event, events, log_of, names, page_after, still_running, tag, tagged};
use crate::{CaseResult, Cx};

pub async fn a_page_that_reached_its_limit_says_more(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(5))).await?;
    let page = page_after(&**cx.store(), Position::START, 3).await?;
    assert_eq!((page.events.len(), page.more), (3, true));
    assert_eq!(page.scanned_to(&ReadOptions::new().limit(3)), page.events[2].position());
    let none = page_after(&**cx.store(), Position::START, 0).await?;
    assert_eq!((none.events.len(), none.more), (0, true));
    Ok(())
}

pub async fn a_page_that_reached_the_end_says_so(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(5))).await?;
    let head = cx.store().head().await?;
    let page = page_after(&**cx.store(), Position::START, 6).await?;
    assert_eq!((page.events.len(), page.more, page.head), (5, false, head));
    let beyond = page_after(&**cx.store(), head, 6).await?;
    assert_eq!((beyond.events.len(), beyond.more, beyond.head), (0, false, head));
    Ok(())
}

pub async fn pages_join_without_gap_or_overlap(cx: Cx) -> CaseResult {
    for number in 0..53 {
        let even = tagged(&format!("E{number}"), "even", &(number % 2 == 0).to_string());
        cx.store().append(Append::events([even])).await?;
    }
    for filter in [Filter::all(), tag("even", "true")] {
        let expected = crate::given::found(cx.store(), filter.clone()).await?;
        for size in [1, 2, 7, 52, 53, 54] {
            let (mut options, mut joined) = (ReadOptions::new().limit(size), Vec::new());
            loop {
                let mut page = cx.store().read_page(&filter, &options).await?;
                joined.append(&mut page.events.clone());
                assert!(page.events.len() as u64 <= size);
                let Some(last) = page.events.pop().filter(|_| page.more) else { break };
                options = options.after(last.position());
            }
            assert_eq!(joined, expected, "pages of {size}");
        }
    }
    Ok(())
}

pub async fn pages_join_backward_as_well(cx: Cx) -> CaseResult {
    cx.store().append(Append::events((0..20).map(|number| event(&format!("E{number}"))))).await?;
    let mut expected = log_of(cx.store()).await?;
    expected.reverse();
    for size in [1, 3, 20] {
        let (mut options, mut joined) = (ReadOptions::new().backward().limit(size), Vec::new());
        loop {
            let mut page = cx.store().read_page(&Filter::all(), &options).await?;
            joined.append(&mut page.events.clone());
            let Some(last) = page.events.pop().filter(|_| page.more) else { break };
            options = options.until(Position::from_raw(last.position().to_raw() - 1));
        }
        assert_eq!(joined, expected, "pages of {size}");
    }
    Ok(())
}

pub async fn a_page_without_a_limit_is_bounded_and_goes_on(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(10_000))).await?;
    cx.store().append(Append::events(events(10_000))).await?;
    let (mut options, mut count) = (ReadOptions::new(), 0);
    loop {
        let page = cx.store().read_page(&Filter::all(), &options).await?;
        assert!(page.events.len() <= 10_000, "a page holds {} events", page.events.len());
        count += page.events.len();
        if !page.more {
            break;
        }
        options =
            options.after(page.events.last().expect("a page that stopped early has an event").position());
    }
    assert_eq!(count, 20_000);
    Ok(())
}

pub async fn a_page_without_matches_moves_the_cursor_to_the_head(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(300))).await?;
    let options = ReadOptions::new().limit(10);
    let page = cx.store().read_page(&tag("no", "such"), &options).await?;
    assert_eq!((page.events.len(), page.more), (0, false));
    assert_eq!(page.scanned_to(&options), cx.store().head().await?);
    Ok(())
}

pub async fn a_page_up_to_a_position_moves_the_cursor_there(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let middle = log_of(cx.store()).await?[1].position();
    cx.store().append(Append::events([tagged("Late", "kind", "x")])).await?;
    let options = ReadOptions::new().until(middle).limit(10);
    let page = cx.store().read_page(&tag("kind", "x"), &options).await?;
    assert_eq!((page.events.len(), page.scanned_to(&options)), (0, middle));
    Ok(())
}

pub async fn a_cursor_never_moves_back(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let options = ReadOptions::new().after(Position::MAX).limit(10);
    let page = cx.store().read_page(&Filter::all(), &options).await?;
    assert_eq!((page.events.len(), page.scanned_to(&options)), (0, Position::MAX));
    Ok(())
}

pub async fn a_pages_head_covers_its_events(cx: Cx) -> CaseResult {
    let writer = tokio::spawn({
        let store = cx.store().clone();
        async move {
            for _ in 0..200 {
                store.append(Append::events(events(2))).await?;
            }
            Ok::<_, eventsource_core::Error>(())
        }
    });
    let mut cursor = Position::START;
    while still_running(&writer).await {
        let page = page_after(&**cx.store(), cursor, 50).await?;
        assert!(page.events.last().is_none_or(|last| last.position() <= page.head));
        assert_eq!(page.events.len() % 2, 0, "an append is seen in part");
        assert!(page.head >= cursor);
        cursor = page.events.last().map_or(cursor, eventsource_core::RecordedEvent::position);
    }
    writer.await??;
    assert_eq!(names(&page_after(&**cx.store(), cursor, 1_000).await?.events).len() % 2, 0);
    Ok(())
}
