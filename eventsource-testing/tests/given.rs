//! What a failing given/when/then says, and that it fails when it should.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use eventsource_core::{Aggregate, Boundary, Decision, DomainEvent, NewEvent, Result, Tag, decision};
use eventsource_testing::{Given, given, given_log};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum AccountEvent {
    Deposited {
        cents: u64,
    },
    Withdrawn {
        cents: u64,
        at: String,
    },
    /// Serialises, and does not come back.
    Broken(Unreadable),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Unreadable {
    #[serde(skip_serializing)]
    #[expect(dead_code, reason = "it is there to be missed")]
    gone: u64,
}

impl DomainEvent for AccountEvent {
    fn tags(&self) -> Result<Vec<Tag>> {
        match self {
            Self::Withdrawn { at, .. } => Ok(vec![Tag::new("cash", at)?]),
            _ => Ok(Vec::new()),
        }
    }
}

use AccountEvent::{Broken, Deposited, Withdrawn};

#[derive(Debug)]
enum AccountCommand {
    Withdraw { cents: u64 },
    Nothing,
    Whim,
}

use AccountCommand::{Nothing, Whim, Withdraw};

#[derive(Debug, PartialEq)]
enum No {
    Overdrawn { missing: u64 },
    Closed,
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

impl std::error::Error for No {}

#[derive(Default)]
struct Account(u64);

/// What no aggregate may have: a state of its own beside the events.
static WHIM: AtomicU64 = AtomicU64::new(0);

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Rejection = No;

    fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, No> {
        match *command {
            Withdraw { cents } if cents > self.0 => Err(No::Overdrawn { missing: cents - self.0 }),
            Withdraw { cents } => Ok(vec![Withdrawn { cents, at: "north".to_owned() }]),
            Nothing => Ok(vec![]),
            Whim => Ok(vec![Deposited { cents: WHIM.fetch_add(1, Ordering::SeqCst) }]),
        }
    }

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            Deposited { cents } => self.0 += cents,
            Withdrawn { cents, .. } => self.0 -= cents,
            Broken(_) => {}
        }
    }
}

fn five() -> Given<Account> {
    given([Deposited { cents: 5 }])
}

fn north(cents: u64) -> AccountEvent {
    Withdrawn { cents, at: "north".to_owned() }
}

#[track_caller]
fn failure<T>(test: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(test)) {
        Ok(_) => panic!("the test does not fail"),
        Err(panic) => *panic.downcast::<String>().expect("a message"),
    }
}

#[test]
fn what_is_as_expected_passes() {
    five().when(Withdraw { cents: 2 }).then([north(2)]).then_state(|account| assert_eq!(account.0, 3));
    five().then_state(|account| assert_eq!(account.0, 5));
    five().when(Nothing).then_nothing();
    five().when(Withdraw { cents: 7 }).then_rejected(No::Overdrawn { missing: 2 });
    five()
        .when(Withdraw { cents: 7 })
        .then_rejected_if(|no| matches!(no, No::Overdrawn { .. }))
        .then_state(|account| assert_eq!(account.0, 5));
}

#[test]
fn a_difference_is_shown_where_it_is() {
    let text = failure(|| five().when(Withdraw { cents: 2 }).then([north(3)]));
    assert_eq!(
        text,
        "decided otherwise than expected

given
  1. Deposited {\"cents\":5}
when
  Withdraw {
      cents: 2,
  }
then (- expected, + decided)
  Withdrawn [cash:north]
    {
      \"at\": \"north\",
-     \"cents\": 3
+     \"cents\": 2
    }
"
    );
}

#[test]
fn events_too_many_or_too_few_are_shown() {
    let text = failure(|| five().when(Withdraw { cents: 2 }).then([north(2), Deposited { cents: 1 }]));
    assert!(text.contains("\n- Deposited\n-   {\n-     \"cents\": 1\n-   }\n"), "{text}");
    let text = failure(|| five().when(Withdraw { cents: 2 }).then_nothing());
    assert!(text.starts_with("decided, where nothing was expected\n"), "{text}");
    assert!(text.contains("\n+ Withdrawn [cash:north]\n"), "{text}");
    let text = failure(|| given::<Account>([]).when(Nothing).then([north(2)]));
    assert!(
        text.starts_with("nothing was decided, where events were expected\n\ngiven\n  nothing\n"),
        "{text}"
    );
    assert!(text.contains("\n- Withdrawn [cash:north]\n"), "{text}");
}

#[test]
fn tags_are_compared() {
    let south = Withdrawn { cents: 2, at: "south".to_owned() };
    let text = failure(|| five().when(Withdraw { cents: 2 }).then([south]));
    assert!(text.contains("\n- Withdrawn [cash:south]\n+ Withdrawn [cash:north]\n"), "{text}");
}

#[test]
fn a_rejection_that_nobody_expected_is_told() {
    let text = failure(|| five().when(Withdraw { cents: 7 }).then([north(7)]));
    assert!(text.starts_with("rejected, where events were expected\n"), "{text}");
    assert!(text.ends_with(
        "then (expected)\n  Withdrawn [cash:north] {\"cents\":7,\"at\":\"north\"}\nbut it was rejected\n  Overdrawn {\n      missing: 2,\n  }\n"
    ), "{text}");
}

#[test]
fn a_rejection_that_does_not_come_is_missed() {
    let text = failure(|| five().when(Withdraw { cents: 2 }).then_rejected(No::Closed));
    assert!(text.starts_with("decided, where a rejection was expected\n"), "{text}");
    assert!(text.contains("then (expected)\n  Closed\nbut it decided\n  Withdrawn [cash:north] {"), "{text}");
    let text = failure(|| five().when(Nothing).then_rejected_if(|_| true));
    assert!(text.ends_with("but it decided\n  nothing\n"), "{text}");
}

#[test]
fn another_rejection_is_told() {
    let text = failure(|| five().when(Withdraw { cents: 7 }).then_rejected(No::Closed));
    assert!(text.starts_with("rejected, and not for the expected reason\n"), "{text}");
    assert!(text.contains("- Closed\n+ Overdrawn {\n+     missing: 2,\n+ }\n"), "{text}");
    let text = failure(|| five().when(Withdraw { cents: 7 }).then_rejected_if(|no| *no == No::Closed));
    assert!(text.contains("then rejected with what does not fit\n  Overdrawn {\n"), "{text}");
}

#[test]
fn an_event_that_does_not_come_back_is_found() {
    let text = failure(|| given::<Account>([Broken(Unreadable { gone: 1 })]).when(Nothing));
    assert!(text.starts_with("a given event does not come back: the event Broken at position 1"), "{text}");
}

#[test]
fn an_aggregate_that_is_not_pure_is_found() {
    let text = failure(|| five().when(Whim));
    assert!(
        text.starts_with("asked again, the aggregate decides otherwise: `decide` is not pure\n"),
        "{text}"
    );
}

/// Draws what was paid in the north, and counts.
fn draw_north(limit: u64) -> impl Decision<Event = AccountEvent, Rejection = No> {
    let withdrawn = Boundary::of_types(["Withdrawn"]).tagged("cash", "north").count();
    let newest = Boundary::of_types(["Deposited"]).last::<AccountEvent>();
    decision((withdrawn, newest), move |(withdrawn, newest)| match newest {
        None => Err(No::Closed),
        Some(_) if withdrawn >= limit => Err(No::Overdrawn { missing: withdrawn }),
        Some(_) => Ok(vec![north(withdrawn)]),
    })
}

#[test]
fn a_decision_knows_what_its_views_match() {
    let south = || Withdrawn { cents: 9, at: "south".to_owned() };
    let log = || given_log([Deposited { cents: 5 }, north(1), south()]).and([north(2)]);
    log().when("north is drawn", draw_north(3)).then([north(2)]);
    log().when("north is drawn", draw_north(2)).then_rejected(No::Overdrawn { missing: 2 });
    given_log([north(1)]).when("north is drawn", draw_north(9)).then_rejected(No::Closed);
    let stored = NewEvent::new("Withdrawn", &()).unwrap().tag("cash", "north").unwrap();
    let count = Boundary::of_types(["Withdrawn"]).tagged("cash", "north").count();
    assert_eq!(log().and_stored([stored]).known(&count), 3);
    assert_eq!(log().into_log().len(), 4);
}

#[test]
fn a_decision_that_differs_is_shown_with_its_log() {
    let text = failure(|| {
        given_log([Deposited { cents: 5 }, north(1)]).when("north is drawn", draw_north(3)).then([north(2)])
    });
    assert_eq!(
        text,
        "decided otherwise than expected

given
  1. Deposited {\"cents\":5}
  2. Withdrawn {\"cents\":1,\"at\":\"north\"}
when
  north is drawn
then (- expected, + decided)
  Withdrawn [cash:north]
    {
      \"at\": \"north\",
-     \"cents\": 2
+     \"cents\": 1
    }
"
    );
}

#[test]
fn a_decision_that_is_not_pure_is_found() {
    let drawn = AtomicU64::new(0);
    let whim = decision(Boundary::of_types(["Withdrawn"]).count(), |_| {
        Ok::<_, No>(vec![north(drawn.fetch_add(1, Ordering::SeqCst))])
    });
    let text = failure(|| given_log([north(1)]).when("on a whim", &whim));
    assert!(
        text.starts_with("made again, the decision comes to something else: `decide` is not pure\n"),
        "{text}"
    );
}

#[test]
fn what_can_not_be_known_is_told() {
    let broken = Boundary::of_types(["Deposited"]).fold(0, |sum, event| match event {
        Deposited { cents } => sum + cents,
        _ => sum,
    });
    let stored = NewEvent::new("Deposited", "nonsense").unwrap();
    let text = failure(|| given_log([north(1)]).and_stored([stored]).known(&broken));
    assert!(
        text.starts_with("what is to be known can't be read: the event Deposited at position 2"),
        "{text}"
    );
}
