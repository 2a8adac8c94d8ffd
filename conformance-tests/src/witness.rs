//! A witness of what happened, and a judge of it: was the log true to its promises?
//!
//! While tasks append and read, a [`Recorder`] keeps a [`History`]: every append with what it came to, and everything
//! that readers saw, in order. Afterwards a [`Witness`] compares it with the final log, which proves or disproves each
//! [`Property`] without knowing how the store works. So it does with what a group of consumers did ([`Consumption`]) and
//! with what relays published ([`Publication`]).

mod appends;
mod consumption;
mod history;
mod ledger;
mod log;
mod note;
mod publication;
mod readers;
mod real_time;
mod recorder;
mod refusals;
mod verdict;
mod wire;

use eventsource_core::{Position, RecordedEvent};

pub use consumption::{Consumption, Delivery, Save};
pub use history::{Attempt, HeadSeen, History, Look, Outcome, Reader, Span};
pub use publication::{OutboxLook, Publication};
pub use recorder::{Pending, Recorder, Tail};
pub use verdict::{Property, Summary, Verdict, Violation};

use ledger::Ledger;
use log::Log;

/// A judge of a final log.
///
/// ```
/// use conformance_tests::witness::{History, Witness};
///
/// // Nothing was done, and nothing lies in the log: that is in order.
/// let summary = Witness::of(&[]).judge(&[History::default()])?;
/// assert_eq!(summary.events, 0);
/// # Ok::<(), conformance_tests::witness::Verdict>(())
/// ```
#[derive(Debug)]
pub struct Witness<'a> {
    log: &'a [RecordedEvent],
    since: Position,
}

impl<'a> Witness<'a> {
    /// A judge of `log`: all events, as they are read forward when everything is over.
    #[must_use]
    pub fn of(log: &'a [RecordedEvent]) -> Self {
        Self { log, since: Position::START }
    }

    /// Takes what lies up to `position` for granted: it was appended before the histories began.
    #[must_use]
    pub fn since(mut self, position: Position) -> Self {
        self.since = position;
        self
    }

    /// Compares what each process says with the log.
    ///
    /// # Errors
    /// Everything that the log, or an answer that somebody was given, does not keep of what was promised.
    pub fn judge(&self, histories: &[History]) -> Result<Summary, Verdict> {
        let log = Log::new(self.log);
        let attempts: Vec<&Attempt> = histories.iter().flat_map(|history| &history.attempts).collect();
        let mut verdict = Verdict::default();
        log.judge(&mut verdict);
        let ledger = Ledger::of(&log, &attempts, self.since, &mut verdict);
        appends::judge(&log, &ledger, &attempts, &mut verdict);
        refusals::judge(&log, &ledger, &attempts, &mut verdict);
        for history in histories {
            readers::judge(&log, &ledger, history, &mut verdict);
            real_time::judge(history, &mut verdict);
        }
        verdict.into_result(Summary::of(self.log, &attempts, &ledger, histories))
    }

    /// Compares what a group of consumers did with the log.
    ///
    /// # Errors
    /// Everything that does not keep what a group is promised.
    pub fn judge_consumption(&self, consumption: &Consumption) -> Result<(), Verdict> {
        consumption::judge(self.log, consumption)
    }

    /// Compares what relays published with the log, all of whose events were to be published.
    ///
    /// # Errors
    /// Everything that does not keep what relays are promised.
    pub fn judge_publication(&self, publication: &Publication) -> Result<(), Verdict> {
        publication::judge(self.log, publication)
    }
}

#[cfg(test)]
mod tests;
