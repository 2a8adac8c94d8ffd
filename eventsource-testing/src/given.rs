use std::fmt;
use std::marker::PhantomData;

use eventsource_core::{Aggregate, DomainEvent, RecordedEvent, WithCauses};

use crate::story::{Story, encoded, is_same};
use crate::{Then, recorded_log};

/// Begins a test of an aggregate: these events have happened. Then say `when` and `then`.
///
/// The events go the way that they go in a store, through JSON and back: an event that does not come back fails the
/// test, too.
///
/// ```
/// use eventsource_core::{Aggregate, DomainEvent};
/// use eventsource_testing::given;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(tag = "type", content = "data")]
/// enum AccountEvent {
///     Deposited { cents: u64 },
///     Withdrawn { cents: u64 },
/// }
/// impl DomainEvent for AccountEvent {}
///
/// #[derive(Debug)]
/// enum AccountCommand {
///     Withdraw { cents: u64 },
/// }
///
/// #[derive(Debug, PartialEq)]
/// struct Overdrawn;
/// # impl std::fmt::Display for Overdrawn {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("overdrawn") }
/// # }
/// impl std::error::Error for Overdrawn {}
///
/// #[derive(Default)]
/// struct Account {
///     cents: u64,
/// }
///
/// impl Aggregate for Account {
///     const TYPE: &'static str = "Account";
///     type Command = AccountCommand;
///     type Event = AccountEvent;
///     type Rejection = Overdrawn;
///
///     fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Overdrawn> {
///         match *command {
///             AccountCommand::Withdraw { cents: 0 } => Ok(vec![]),
///             AccountCommand::Withdraw { cents } if cents <= self.cents => Ok(vec![AccountEvent::Withdrawn { cents }]),
///             AccountCommand::Withdraw { .. } => Err(Overdrawn),
///         }
///     }
///
///     fn apply(&mut self, event: &AccountEvent) {
///         match event {
///             AccountEvent::Deposited { cents } => self.cents += cents,
///             AccountEvent::Withdrawn { cents } => self.cents -= cents,
///         }
///     }
/// }
///
/// use AccountCommand::Withdraw;
/// use AccountEvent::{Deposited, Withdrawn};
///
/// given::<Account>([Deposited { cents: 500 }])
///     .when(Withdraw { cents: 200 })
///     .then([Withdrawn { cents: 200 }])
///     .then_state(|account| assert_eq!(account.cents, 300));
///
/// given::<Account>([Deposited { cents: 500 }, Withdrawn { cents: 400 }])
///     .when(Withdraw { cents: 200 })
///     .then_rejected(Overdrawn);
///
/// given::<Account>([]).when(Withdraw { cents: 0 }).then_nothing();
/// ```
///
/// # Panics
/// If an event can't be stored, or does not come back.
#[track_caller]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let events: Vec<A::Event> = events.into_iter().collect();
    Given { history: recorded_log(encoded(&events)), aggregate: PhantomData }
}

/// An aggregate to which something has happened; see [`given`].
pub struct Given<A: Aggregate> {
    history: Vec<RecordedEvent>,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Given<A> {
    /// Asks the aggregate this. It is asked twice: a decision is pure, so both answers are the same.
    ///
    /// # Panics
    /// If they are not.
    #[must_use = "`then` says what is expected"]
    #[track_caller]
    pub fn when(self, command: A::Command) -> Then<A::Event, A::Rejection, A>
    where
        A::Command: fmt::Debug,
    {
        let story = Story::new(&self.history, format!("{command:#?}"));
        let mut state = self.state();
        let (outcome, again) = (state.decide(&command), state.decide(&command));
        if !is_same(&outcome, &again) {
            story.fail("asked again, the aggregate decides otherwise: `decide` is not pure", "");
        }
        for event in outcome.iter().flatten() {
            state.apply(event);
        }
        Then::new(story, outcome, state)
    }

    /// Looks at the state that the events lead to.
    #[track_caller]
    pub fn then_state(self, look: impl FnOnce(&A)) -> Self {
        look(&self.state());
        self
    }

    #[track_caller]
    fn state(&self) -> A {
        let mut state = A::default();
        for recorded in &self.history {
            match A::Event::decode(recorded) {
                Ok(event) => state.apply(&event),
                Err(error) => panic!("a given event does not come back: {}", WithCauses(&error)),
            }
        }
        state
    }
}

impl<A: Aggregate> fmt::Debug for Given<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("events", &self.history.len()).finish()
    }
}
