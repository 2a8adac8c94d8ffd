//! Several workers at one outbox.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_core::{Append, EventStore, ExpectedVersion::Any, OutboxEntry, Position, StreamId};
use tokio::time::sleep;

use crate::cases::outbox::{claim, given, ids_of, publish};
use crate::given::{events, log_of, stream};
use crate::{CaseResult, Cx};

pub async fn workers_that_claim_at_once_take_each_entry_once_and_in_order(cx: Cx) -> CaseResult {
    let (cx, outbox, _) = given(&cx).await?;
    let streams: Vec<_> = (0..5).map(|_| stream()).collect();
    for round in 0..8 {
        let append = Append::events(events(1 + round % 2));
        let append =
            streams.iter().fold(append, |append, stream| append.and_stream(stream.clone(), Any, events(2)));
        cx.store().append(append).await?;
    }
    let taken: Arc<Mutex<Vec<OutboxEntry>>> = Arc::default();
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let (outbox, taken) = (outbox.clone(), taken.clone());
            tokio::spawn(async move {
                while outbox.statistics().await?.pending > 0 {
                    let claim = claim(&*outbox, 3).await?;
                    // Each takes its time: what the others are given meanwhile comes out before.
                    sleep(Duration::from_millis(number)).await;
                    taken.lock().expect("nothing panics under it").extend(claim.entries.iter().cloned());
                    publish(&*outbox, &claim).await?;
                }
                CaseResult::Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    let taken = taken.lock().expect("nothing panics under it").clone();
    let log = log_of(cx.store()).await?;
    assert_eq!(ids_of(&taken).into_iter().collect::<BTreeSet<_>>().len(), taken.len(), "one was taken twice");
    assert_eq!(taken.len(), log.len());
    let mut last: BTreeMap<StreamId, Position> = BTreeMap::new();
    for entry in &taken {
        let Some(stream) = entry.event.stream() else { continue };
        let before = last.insert(stream.clone(), entry.event.position());
        assert!(before < Some(entry.event.position()), "{stream} was taken out of order");
    }
    Ok(())
}
