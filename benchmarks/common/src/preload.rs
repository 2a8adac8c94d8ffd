use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Event, Failure, System};

/// Whole streams at a time.
const STREAM: u64 = 10;
const CALLERS: u64 = 32;

/// Fills a store by its own appends, a stream at a time.
///
/// # Errors
/// Those of the appends.
pub async fn by_append<S: System>(store: Arc<S>, size: u64) -> Result<(), Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (store, next) = (store.clone(), next.clone());
        callers.spawn(async move {
            loop {
                let first = next.fetch_add(STREAM, Ordering::Relaxed);
                if first >= size {
                    return Ok(());
                }
                let events = (first..size.min(first + STREAM)).map(|number| Event::preloaded(number, size));
                let (streams, events): (Vec<_>, Vec<_>) =
                    events.map(|(stream, _, event)| (stream, event)).unzip();
                store.append(streams[0], 0, events).await?;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.map_err(crate::broken)??;
    }
    Ok(())
}
