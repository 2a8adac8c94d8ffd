use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// What happens to a call on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It never reaches the store, and the caller is told so: `Unavailable`.
    BeforeCommit,
    /// The store answers, and the answer is lost: `OutcomeUnknown` for what changes something, `Unavailable` for what asks,
    /// and for snapshots.
    AfterCommit,
    /// It reaches the store late.
    Late(Duration),
    /// Its answer comes late.
    AnsweredLate(Duration),
    /// It is begun and given up after so many polls: the store's future is dropped, as by a caller who goes away. The
    /// answer is as for [`AfterCommit`](Self::AfterCommit), unless it came before.
    Cancelled {
        /// How often the store's future is polled.
        polls: u32,
    },
}

/// Which calls meet which fault: as a script says, or by chance.
///
/// ```
/// use eventsource_testing::{Fault, Faults};
///
/// // The first two, in this order:
/// Faults::in_order([Fault::BeforeCommit, Fault::AfterCommit]);
/// // The third and the tenth:
/// Faults::none().nth(3, Fault::AfterCommit).nth(10, Fault::BeforeCommit);
/// // One in ten never arrives, one in five is not answered; the same ones for the same seed:
/// Faults::random(0x5e1f).percent(10, Fault::BeforeCommit).percent(20, Fault::AfterCommit);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Faults {
    in_order: VecDeque<Fault>,
    nth: HashMap<u64, Fault>,
    chances: Vec<(u8, Fault)>,
    random: fastrand::Rng,
    calls: u64,
}

impl Faults {
    /// None, to add some to.
    pub fn none() -> Self {
        Self::random(0)
    }

    /// One for each call, as long as there are any.
    pub fn in_order(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { in_order: faults.into_iter().collect(), ..Self::none() }
    }

    /// By chance, with [`percent`](Self::percent). A test that draws its seed should print it.
    pub fn random(seed: u64) -> Self {
        Self {
            in_order: VecDeque::new(),
            nth: HashMap::new(),
            chances: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            calls: 0,
        }
    }

    /// Adds one for the `number`-th call, from 1.
    pub fn nth(mut self, number: u64, fault: Fault) -> Self {
        self.nth.insert(number, fault);
        self
    }

    /// Adds one for so many calls of a hundred, which ones is chance. The percentages add up; what is beyond 100 never
    /// comes.
    pub fn percent(mut self, percent: u8, fault: Fault) -> Self {
        self.chances.push((percent, fault));
        self
    }

    /// What the next call meets: what stands in the script for it, or else what chance says.
    pub(crate) fn next_fault(&mut self) -> Fault {
        self.calls += 1;
        // Drawn for each call, so that a script does not change which others are hit.
        let mut drawn = self.random.u8(0..100);
        if let Some(fault) = self.nth.get(&self.calls) {
            return *fault;
        }
        if let Some(fault) = self.in_order.pop_front() {
            return fault;
        }
        for (percent, fault) in &self.chances {
            match drawn.checked_sub(*percent) {
                None => return *fault,
                Some(rest) => drawn = rest,
            }
        }
        Fault::None
    }
}
