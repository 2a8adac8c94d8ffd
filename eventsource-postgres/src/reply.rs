use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{Append, Appended, ChangeSignal, Error, Result};
use tokio::time::{Instant, timeout};

use crate::append::{Answered, Verdict};
use crate::committer::Request;
use crate::durable::Seen;
use crate::log::Log;

/// A committed batch whose callers are yet to be told.
pub(crate) struct Reply {
    log: Arc<Log>,
    changes: ChangeSignal,
    verdicts: Vec<(Request, Verdict)>,
    /// What must be durable before anybody is told.
    awaited: Option<Seen>,
}

impl Reply {
    /// The reply to a batch before which `known` was durable.
    pub(crate) fn new(
        log: Arc<Log>,
        changes: ChangeSignal,
        requests: Vec<Request>,
        answered: Answered,
        known: Option<Seen>,
    ) -> Self {
        let Answered { verdicts, snapshot, is_deferred } = answered;
        let verdicts: Vec<_> = requests.into_iter().zip(verdicts).collect();
        let awaited = match verdicts.iter().rev().find_map(|(request, verdict)| last_event(request, verdict))
        {
            Some(last) if is_deferred => Some(last),
            Some(last) => {
                log.flusher.durable.raise(last);
                None
            }
            // Nothing was written, so nothing was flushed, and the refusals tell what lies in the log.
            None => log.unsettled(&snapshot, known),
        };
        Self { log, changes, verdicts, awaited }
    }

    /// Whether everybody can be told at once.
    pub(crate) fn is_ready(&self) -> bool {
        self.awaited.is_none()
            && !self.verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::IdTaken))
    }

    /// Tells everybody whose verdict is known.
    pub(crate) fn tell(self) {
        self.tell_known();
    }

    /// Waits for what there is to wait for, and tells everybody. Returns how long the flush was waited for.
    pub(crate) async fn settle_and_tell(self) -> Duration {
        let begun = Instant::now();
        if let Some(seen) = self.awaited
            && let Err(failure) = self.log.flusher.flush(Some(seen)).await
        {
            for (request, verdict) in self.verdicts {
                let error = match verdict {
                    Verdict::Appended(_) => failure.after_writing().to_error(),
                    Verdict::Conflict(_) | Verdict::IdTaken => failure.to_error(),
                };
                let _ = request.verdict.send(Err(error));
            }
            return begun.elapsed();
        }
        let flushed = begun.elapsed();
        let log = Arc::clone(&self.log);
        // They take a connection and round trips, for which none of the others waits.
        for request in self.tell_known() {
            let result = judge(&log, &request.append).await;
            let _ = request.verdict.send(result);
        }
        flushed
    }

    /// Tells the verdicts that are known, and returns who repeats an append.
    fn tell_known(self) -> Vec<Request> {
        if self.verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Appended(_))) {
            self.changes.notify();
        }
        let mut repeated = Vec::new();
        for (request, verdict) in self.verdicts {
            let result = match verdict {
                Verdict::Appended(appended) => Ok(appended),
                Verdict::Conflict(conflict) => Err(conflict.into()),
                Verdict::IdTaken => {
                    repeated.push(request);
                    continue;
                }
            };
            // Whoever no longer waits does not want to know.
            let _ = request.verdict.send(result);
        }
        repeated
    }
}

async fn judge(log: &Log, append: &Append) -> Result<Appended> {
    let judging = async {
        let known = log.flusher.durable.last();
        let mut connection = log.reader().await?;
        let judgement = log.judge_repeated(&mut connection, append).await?;
        connection.release().await?;
        log.settle(&judgement.snapshot, known).await?;
        judgement.result
    };
    // A dead connection must not keep the caller for ever. Nothing was written: it may be asked again.
    timeout(log.answer_timeout, judging).await.unwrap_or_else(|_| {
        Err(Error::unavailable("no answer came within the answer timeout to whether an append is stored"))
    })
}

/// The last event of an append, if it was appended.
fn last_event(request: &Request, verdict: &Verdict) -> Option<Seen> {
    let Verdict::Appended(Appended { last, .. }) = verdict else { return None };
    let (_, event) = request.append.each_event().last()?;
    Some(Seen { position: *last, id: event.event_id().as_uuid() })
}
