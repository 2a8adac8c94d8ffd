//! Decisions over boundaries, on a real log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventsource_core::{
    Append, Boundary, Conflict, Decision, DecisionMaker, DomainEvent, EventStore, ExecuteError, Filter,
    NewEvent, RecordedEvent, Result, RetryPolicy, SnapshotPolicy, Snapshots, Tag, View, Views, decision,
};
use eventsource_testing::{Fault, Faults, Faulty};
use futures_util::future::join_all;
use proptest::prelude::RngExt;
use serde::{Deserialize, Serialize};

use crate::given::{event, events, log_of, stream, tagged, tenant};
use crate::{CaseResult, Cx, Failure, random};

const ACCOUNTS: u64 = 4;

/// Money that moves between accounts, and who asked for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Moved {
    Opened { account: u64, cents: u64 },
    Transferred { from: u64, to: u64, cents: u64, number: u64 },
}

use Moved::{Opened, Transferred};

impl DomainEvent for Moved {
    fn tags(&self) -> Result<Vec<Tag>> {
        match self {
            Opened { account, .. } => Ok(vec![Tag::new("account", account)?]),
            Transferred { from, to, .. } => Ok(vec![Tag::new("account", from)?, Tag::new("account", to)?]),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Refused {
    TooLow,
    TooMany,
}

fn balance(account: u64) -> impl View<State = u64> {
    Boundary::of_tag("account", account)
        .fold(0, move |cents, event| match event {
            Opened { cents, .. } => cents,
            // Nobody overdraws, and if somebody does, that is for the case to say.
            Transferred { from, cents: moved, .. } if from == account => cents.saturating_sub(moved),
            Transferred { cents: moved, .. } => cents + moved,
        })
        .snapshot("balance", 1)
}

/// How often money went from the one account to the other.
fn transfers(from: u64, to: u64) -> impl View<State = u64> {
    Boundary::of_types(["Transferred"]).tagged("account", from).tagged("account", to).count()
}

/// Moves a part of what an account has, which depends on everything that was known.
fn transfer(number: u64, from: u64, to: u64) -> impl Decision<Event = Moved, Rejection = Refused> {
    decision((balance(from), balance(to), transfers(from, to)), move |(have, other, count)| {
        let cents = (have + 2 * other + 3 * count) % 17 + 1;
        if count >= 40 {
            return Err(Refused::TooMany);
        }
        if cents > have {
            return Err(Refused::TooLow);
        }
        Ok(vec![Transferred { from, to, cents, number }])
    })
}

async fn open_accounts(cx: &Cx) -> CaseResult {
    let opened = (0..ACCOUNTS).map(|account| Opened { account, cents: 100 }.encode());
    cx.store().append(Append::events(opened.collect::<Result<Vec<_>>>()?)).await?;
    Ok(())
}

fn persistent() -> RetryPolicy {
    RetryPolicy::default().attempts(1_000)
}

/// What a decision knows of these events, without any store.
fn alone<D: Decision>(
    decision: &D,
    log: &[RecordedEvent],
) -> Result<std::result::Result<Vec<D::Event>, D::Rejection>> {
    Ok(decision.decide(decision.views().known_from(log)?))
}

pub async fn concurrent_decisions_equal_the_same_decisions_alone(cx: Cx) -> CaseResult {
    open_accounts(&cx).await?;
    let made = Arc::new(AtomicU64::new(0));
    let deciders = (0..8).map(|decider| {
        let (store, made, mut numbers) = (cx.store().clone(), made.clone(), random::numbers(&cx, decider));
        tokio::spawn(async move {
            let decisions = DecisionMaker::new(store).retry(persistent());
            let mut asked = BTreeMap::new();
            for turn in 0..12 {
                let number = decider * 1_000 + turn;
                let from = numbers.random_range(0..ACCOUNTS);
                let to = (from + numbers.random_range(1..ACCOUNTS)) % ACCOUNTS;
                let before = decisions.known(&balance(from)).await?.head;
                match decisions.make(&transfer(number, from, to)).await {
                    Ok(_) => made.fetch_add(1, Ordering::Relaxed),
                    Err(ExecuteError::Rejected(_)) => {
                        let after = decisions.known(&balance(from)).await?.head;
                        asked.insert(number, (from, to, before, after));
                        0
                    }
                    Err(ExecuteError::Store(error)) => return Err(error.into()),
                };
            }
            Ok::<_, Failure>(asked)
        })
    });
    let log_before = log_of(cx.store()).await?.len();
    let mut rejected = BTreeMap::new();
    for decider in deciders.collect::<Vec<_>>() {
        rejected.append(&mut decider.await??);
    }
    let log = log_of(cx.store()).await?;
    assert_eq!((log.len() - log_before) as u64, made.load(Ordering::Relaxed), "each decision is stored once");
    for (index, recorded) in log.iter().enumerate() {
        let event = Moved::decode(recorded)?;
        if let Transferred { from, to, number, .. } = event {
            let same = alone(&transfer(number, from, to), &log[..index])?;
            assert_eq!(same, Ok(vec![event]), "at position {}", recorded.position());
        }
    }
    for (number, (from, to, before, after)) in rejected {
        // At some place between the two looks at the log, it is rejected alone as well.
        let first = log.partition_point(|event| event.position() <= before);
        let last = log.partition_point(|event| event.position() <= after);
        let mut explained = false;
        for end in first..=last {
            explained |= alone(&transfer(number, from, to), &log[..end])?.is_err();
        }
        assert!(explained, "the rejection of {number} has no place in the log");
    }
    Ok(())
}

pub async fn each_event_reaches_the_views_whose_filter_it_matches(cx: Cx) -> CaseResult {
    for (event_type, key, value) in
        [("A", "k", "1"), ("A", "k", "2"), ("B", "k", "1"), ("B", "j", "1"), ("C", "k", "1")]
    {
        cx.store().append(Append::events([tagged(event_type, key, value)])).await?;
    }
    let decisions = DecisionMaker::new(cx.store().clone());
    let views = (
        Boundary::of_types(["A"]).count(),
        Boundary::of_tag("k", "1").count(),
        Boundary::of_types(["B", "C"]).tagged("k", "1").count(),
        Boundary::of_types(["A"]).tagged("k", "2").or(Boundary::of_tag("j", "1")).count(),
        vec![Boundary::of(Filter::all()).count(), Boundary::of_types(["D"]).count()],
    );
    let known = decisions.known(&views).await?;
    assert_eq!(known.state, (2, 3, 2, 2, vec![5, 0]));
    assert_eq!(known.head, cx.store().head().await?);
    Ok(())
}

pub async fn long_boundaries_are_folded_page_by_page(cx: Cx) -> CaseResult {
    for _ in 0..3 {
        let some = (0..500).map(|number| tagged("Numbered", "parity", &(number % 2).to_string()));
        cx.store().append(Append::events(some)).await?;
    }
    let decisions = DecisionMaker::new(cx.store().clone());
    let of = |parity: u64| Boundary::of_tag("parity", parity).count();
    assert_eq!(decisions.known(&(of(0), of(1), of(2))).await?.state, (750, 750, 0));
    Ok(())
}

pub async fn views_of_different_scopes_know_one_head(cx: Cx) -> CaseResult {
    let (order, ours) = (stream(), tenant());
    let append = Append::to_stream(order.clone(), eventsource_core::ExpectedVersion::Any, events(3))
        .and_events([event("Tenants").tenant(ours), event("Nobodys")]);
    cx.store().append(append).await?;
    let views = (
        Boundary::of(Filter::all().in_stream(order.clone())).count(),
        Boundary::of(Filter::all().in_tenant(ours)).count(),
        Boundary::of_types(["Nobodys"]).count(),
    );
    let decisions = DecisionMaker::new(cx.store().clone());
    let known = decisions.known(&views).await?;
    assert_eq!(known.state, (3, 1, 1));
    // Each of them guards.
    for meanwhile in [
        Append::to_stream(order, eventsource_core::ExpectedVersion::Any, events(1)),
        Append::events([event("Tenants").tenant(ours)]),
        Append::events([event("Nobodys")]),
    ] {
        let known = decisions.known(&views).await?;
        cx.store().append(meanwhile).await?;
        crate::given::conflict(cx.store().append(known.guard(Append::events(events(1)))).await)?;
    }
    Ok(())
}

pub async fn a_conflict_says_which_event_came_between(cx: Cx) -> CaseResult {
    open_accounts(&cx).await?;
    let once = DecisionMaker::new(cx.store().clone()).retry(RetryPolicy::never());
    let known = once.known(&(balance(0), balance(1))).await?;
    let between = cx.store().append(Append::events([tagged("Frozen", "account", "1")])).await?;
    let refused = cx.store().append(known.guard(Append::events(events(1)))).await;
    let named = Conflict::Condition { position: between.first, event_type: "Frozen".try_into()? };
    assert_eq!(crate::given::conflict(refused)?, named);
    Ok(())
}

pub async fn what_guards_may_differ_from_what_is_read(cx: Cx) -> CaseResult {
    let decisions = DecisionMaker::new(cx.store().clone());
    let price = || Boundary::of_tag("product", "p1").count();
    let stock = || Boundary::of_types(["StockTaken"]).tagged("product", "p1");
    for (views, meanwhile, holds) in [
        (price(), "PriceChanged", false),
        (price().unguarded(), "PriceChanged", true),
        (price().guarded_by(stock()), "PriceChanged", true),
        (price().guarded_by(stock()), "StockTaken", false),
    ] {
        let known = decisions.known(&views).await?;
        cx.store().append(Append::events([tagged(meanwhile, "product", "p1")])).await?;
        let outcome = cx.store().append(known.guard(Append::events(events(1)))).await;
        assert_eq!(outcome.is_ok(), holds, "{views:?} {meanwhile}: {outcome:?}");
    }
    Ok(())
}

pub async fn the_newest_event_alone_can_be_read(cx: Cx) -> CaseResult {
    let decisions = DecisionMaker::new(cx.store().clone());
    let last = || Boundary::of_types(["Opened"]).last::<Moved>();
    assert_eq!(decisions.known(&last()).await?.state, None);
    open_accounts(&cx).await?;
    cx.store().append(Append::events(events(2))).await?;
    let known = decisions.known(&(last(), Boundary::of_types(["Opened"]).count())).await?;
    assert_eq!(known.state, (Some(Opened { account: ACCOUNTS - 1, cents: 100 }), ACCOUNTS));
    assert_eq!(known.head, cx.store().head().await?);
    Ok(())
}

pub async fn a_decision_whose_answer_is_lost_is_carried_out_once(cx: Cx) -> CaseResult {
    open_accounts(&cx).await?;
    let faults = [Fault::AfterCommit, Fault::AfterCommit, Fault::BeforeCommit, Fault::AfterCommit];
    let decisions = DecisionMaker::new(Faulty::new(cx.store().clone()).on_append(Faults::in_order(faults)));
    let decided =
        decisions.make(&transfer(1, 0, 1)).await.map_err(|error| Failure::new(format!("{error:?}")))?;
    assert!(decided.appended.is_some_and(|appended| appended.replayed));
    assert_eq!(log_of(cx.store()).await?.len() as u64, ACCOUNTS + 1);
    Ok(())
}

pub async fn contending_decisions_are_all_made(cx: Cx) -> CaseResult {
    let draw = || {
        let drawn = Boundary::of_types(["Drawn"]).count();
        decision(drawn, |drawn| Ok::<_, Failure>(vec![Drawn::Drawn { number: drawn + 1 }]))
    };
    let decisions = DecisionMaker::new(cx.store().clone()).retry(persistent());
    for outcome in join_all((0..16).map(|_| async { decisions.make(&draw()).await.map(drop) })).await {
        outcome.map_err(|error| Failure::new(format!("{error:?}")))?;
    }
    let numbers: Result<Vec<_>> = log_of(cx.store()).await?.iter().map(Drawn::decode).collect();
    assert_eq!(numbers?, (1..=16).map(|number| Drawn::Drawn { number }).collect::<Vec<_>>());
    Ok(())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Drawn {
    Drawn { number: u64 },
}

impl DomainEvent for Drawn {}

pub async fn a_rejection_appends_nothing_and_is_no_conflict(cx: Cx) -> CaseResult {
    let decisions = DecisionMaker::new(cx.store().clone());
    let rejected = decisions.make(&transfer(1, 0, 1)).await.err();
    let rejected = rejected.ok_or_else(|| Failure::new("nobody has anything"))?;
    assert_eq!((rejected.rejection(), rejected.conflict()), (Some(&Refused::TooLow), None));
    let nothing = decisions.decide(balance(0), |_| Ok::<Vec<Moved>, Refused>(Vec::new())).await;
    assert!(nothing.is_ok_and(|decided| decided.appended.is_none()));
    assert!(log_of(cx.store()).await?.is_empty());
    Ok(())
}

/// The views say the same with snapshots as without, and with snapshots that the log does not bear out.
pub async fn views_know_the_same_with_snapshots_and_without(cx: Cx) -> CaseResult {
    open_accounts(&cx).await?;
    let kept = Arc::new(crate::model::ModelSnapshots::default());
    let snapshots = Snapshots::new(kept.clone(), SnapshotPolicy::never().events(5));
    let with = DecisionMaker::new(cx.store().clone()).snapshots(snapshots.clone());
    let without = DecisionMaker::new(cx.store().clone());
    let mut numbers = random::numbers(&cx, 0);
    for number in 0..60 {
        let from = numbers.random_range(0..ACCOUNTS);
        let to = (from + 1) % ACCOUNTS;
        let outcome = with.make(&transfer(number, from, to)).await;
        if let Err(ExecuteError::Store(error)) = outcome {
            return Err(error.into());
        }
        let views = (balance(from), balance(to));
        assert_eq!(with.known(&views).await?.state, without.known(&views).await?.state);
    }
    let counted = snapshots.statistics();
    assert!(counted.used > 0 && counted.saved > 0, "{counted:?}");
    assert_eq!((counted.ahead, counted.unreadable, counted.other_schema, counted.failed), (0, 0, 0, 0));
    // Another log, which the snapshots run ahead of.
    let other = cx.fresh(crate::Setup::default()).await?;
    open_accounts(&other).await?;
    let restored = DecisionMaker::new(other.store().clone()).snapshots(snapshots.clone());
    assert_eq!(restored.known(&(balance(0), balance(1))).await?.state, (100, 100));
    let counted = snapshots.statistics();
    assert!(counted.ahead > 0, "{counted:?}");
    let unmoved =
        NewEvent::new("Opened", &serde_json::json!({ "account": 0, "cents": 7 }))?.tag("account", 0)?;
    other.store().append(Append::events([unmoved])).await?;
    assert_eq!(restored.known(&balance(0)).await?.state, 7);
    other.store().close().await?;
    Ok(())
}
