use std::fmt;

use eventsource_core::{Decision, DomainEvent, NewEvent, RecordedEvent, Views, WithCauses, known_of};

use crate::story::{Story, encoded, is_same};
use crate::{Then, recorded_log};

/// Begins a test of a decision over a boundary, or of views: the log holds these events. Then say `when` and `then`.
///
/// ```
/// use eventsource_core::{Boundary, Decision, DomainEvent, decision};
/// use eventsource_testing::given_log;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(tag = "type", content = "data")]
/// enum InvoiceEvent {
///     InvoiceCreated { number: u64 },
/// }
/// impl DomainEvent for InvoiceEvent {}
/// use InvoiceEvent::InvoiceCreated;
///
/// fn draw_invoice() -> impl Decision<Event = InvoiceEvent, Rejection = String> {
///     let drawn = Boundary::of_types(["InvoiceCreated"]).count();
///     decision(drawn, |drawn| Ok(vec![InvoiceCreated { number: drawn + 1 }]))
/// }
///
/// given_log([InvoiceCreated { number: 1 }])
///     .when("an invoice is drawn", draw_invoice())
///     .then([InvoiceCreated { number: 2 }]);
///
/// let drawn = given_log([InvoiceCreated { number: 1 }]).known(&Boundary::of_types(["InvoiceCreated"]).count());
/// assert_eq!(drawn, 1);
/// ```
///
/// # Panics
/// If an event can't be stored.
#[track_caller]
pub fn given_log<E: DomainEvent>(events: impl IntoIterator<Item = E>) -> GivenLog {
    GivenLog { events: Vec::new() }.and(events)
}

/// A log in which something has happened; see [`given_log`].
pub struct GivenLog {
    events: Vec<NewEvent>,
}

impl GivenLog {
    /// Behind that, the log holds these events, which may be of another type.
    ///
    /// # Panics
    /// If an event can't be stored.
    #[must_use]
    #[track_caller]
    pub fn and<E: DomainEvent>(mut self, events: impl IntoIterator<Item = E>) -> Self {
        let events: Vec<E> = events.into_iter().collect();
        self.events.extend(encoded(&events));
        self
    }

    /// Behind that, the log holds these events, as they are stored.
    #[must_use]
    pub fn and_stored(mut self, events: impl IntoIterator<Item = NewEvent>) -> Self {
        self.events.extend(events);
        self
    }

    /// Makes this decision, which a failure calls `name`. It is made twice: it is pure, so both outcomes are the same.
    ///
    /// # Panics
    /// If they are not, or if what it must know can't be read.
    #[must_use = "`then` says what is expected"]
    #[track_caller]
    pub fn when<D: Decision>(self, name: &str, decision: D) -> Then<D::Event, D::Rejection>
    where
        D::Rejection: fmt::Debug,
    {
        let log = self.into_log();
        let story = Story::new(&log, name.to_owned());
        let known = || folded(&decision.views(), &log);
        let (outcome, again) = (decision.decide(known()), decision.decide(known()));
        if !is_same(&outcome, &again) {
            story.fail("made again, the decision comes to something else: `decide` is not pure", "");
        }
        Then::new(story, outcome, ())
    }

    /// What views know of this log.
    ///
    /// # Panics
    /// If an event does not come back, or a view's filter makes no sense.
    #[must_use]
    #[track_caller]
    pub fn known<V: Views>(self, views: &V) -> V::State {
        folded(views, &self.into_log())
    }

    /// The log: events at positions 1, 2, 3, …
    #[must_use]
    pub fn into_log(self) -> Vec<RecordedEvent> {
        recorded_log(self.events)
    }
}

#[track_caller]
fn folded<V: Views>(views: &V, log: &[RecordedEvent]) -> V::State {
    match known_of(views, log) {
        Ok(state) => state,
        Err(error) => panic!("what is to be known can't be read: {}", WithCauses(&error)),
    }
}

impl fmt::Debug for GivenLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenLog").field("events", &self.events.len()).finish()
    }
}
