use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventsource_core::{Checkpoint, CheckpointStore};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::{CaseResult, Cx};

/// Looks at the checkpoints again and again.
pub(crate) struct Watch(JoinHandle<CaseResult<Vec<Checkpoint>>>, Arc<AtomicBool>);

impl Watch {
    pub(crate) fn start(cx: &Cx) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        Self(tokio::spawn(watch(cx.checkpoints().clone(), over.clone())), over)
    }

    /// What it saw, each time that a checkpoint was not as before.
    pub(crate) async fn finish(self) -> CaseResult<Vec<Checkpoint>> {
        self.1.store(true, Ordering::SeqCst);
        self.0.await?
    }
}

async fn watch(checkpoints: Arc<dyn CheckpointStore>, over: Arc<AtomicBool>) -> CaseResult<Vec<Checkpoint>> {
    let (mut newest, mut seen) = (HashMap::new(), Vec::new());
    // Once more when it is over: the last state counts as well.
    let mut last_look = false;
    while !last_look {
        last_look = over.load(Ordering::SeqCst);
        match checkpoints.checkpoints().await {
            Err(error) if error.is_retryable() => last_look = false,
            Err(error) => return Err(error.into()),
            Ok(found) => {
                for now in found {
                    if newest.insert(now.consumer.clone(), now.clone()).as_ref() != Some(&now) {
                        seen.push(now);
                    }
                }
            }
        }
        sleep(Duration::from_millis(15)).await;
    }
    Ok(seen)
}
