use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventsource_core::{Append, EventStore, ExpectedVersion, Result, StreamId};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use crate::given::events;
use crate::{CaseResult, Cx};

const WRITERS: u128 = 64;
const STREAMS: u128 = 24;
/// How long each of them rests between two appends: long enough for a slow machine to follow.
const PAUSE: Duration = Duration::from_secs(2);

/// Lets 64 write until it is over.
pub(crate) struct Writers(Vec<JoinHandle<Result<()>>>, Arc<AtomicBool>);

impl Writers {
    pub(crate) fn start(cx: &Cx) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let tasks = (0..WRITERS)
            .map(|writer| tokio::spawn(write(writer, cx.store().clone(), over.clone())))
            .collect();
        Self(tasks, over)
    }

    pub(crate) async fn finish(self) -> CaseResult {
        self.1.store(true, Ordering::SeqCst);
        for task in self.0 {
            task.await??;
        }
        Ok(())
    }
}

async fn write(writer: u128, store: Arc<dyn EventStore>, over: Arc<AtomicBool>) -> Result<()> {
    let stream = StreamId::new("Chaos", Uuid::from_u128(1 + writer % STREAMS))?;
    // Not all at once.
    sleep(PAUSE * u32::try_from(writer).unwrap_or(0) / 64).await;
    loop {
        let append = Append::to_stream(stream.clone(), ExpectedVersion::Any, events(1));
        let append = if writer.is_multiple_of(8) { append.and_events(events(1)) } else { append };
        // Whoever holds the log may have been paused.
        while let Err(error) = store.append(append.clone()).await {
            if !error.is_retryable() {
                return Err(error);
            }
            sleep(Duration::from_millis(20)).await;
        }
        if over.load(Ordering::SeqCst) {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}
