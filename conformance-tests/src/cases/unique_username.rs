//! <https://dcb.events/examples/unique-username/>: a rule over all accounts, with time in it.

use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    Append, Boundary, Decision, DomainEvent, Error, EventStore, NewEvent, Result, Tag, View, decision,
};
use serde::{Deserialize, Serialize};

use crate::given::{decided, event, race, tagged, time};
use crate::{CaseResult, Cx};

/// How long a name that was given up stays reserved.
const RETENTION: TimeDelta = TimeDelta::days(3);

fn now() -> DateTime<Utc> {
    time("2024-06-10T12:00:00Z")
}

fn days_ago(days: i64) -> DateTime<Utc> {
    now() - TimeDelta::days(days)
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum AccountEvent {
    AccountRegistered {
        #[serde(default)]
        username: String,
    },
    AccountClosed {},
    UsernameChanged {
        new: String,
    },
}

use AccountEvent::{AccountRegistered, UsernameChanged};

impl DomainEvent for AccountEvent {
    fn tags(&self) -> Result<Vec<Tag>> {
        match self {
            AccountRegistered { username } => Ok(vec![Tag::new("username", username)?]),
            _ => Err(Error::invalid_input("no decision of these makes it")),
        }
    }
}

fn is_claimed(name: &str) -> impl View<State = bool> {
    Boundary::of_tag("username", name).fold_recorded(false, move |_, event, recorded| match event {
        AccountRegistered { .. } => true,
        UsernameChanged { new } if new == name => true,
        _ => now() - recorded.occurred_at() <= RETENTION,
    })
}

fn registration(name: &str) -> impl Decision<Event = AccountEvent, Rejection = &'static str> {
    decision(is_claimed(name), move |is_claimed| match is_claimed {
        true => Err("the name is claimed"),
        false => Ok(vec![AccountRegistered { username: name.into() }]),
    })
}

/// Registers the name, unless it is claimed.
async fn register(store: &dyn EventStore, name: &str) -> CaseResult<Option<Append>> {
    Ok(decided(store, registration(name)).await?.ok())
}

/// A change of name, which concerns both names; its payload says the new one.
fn renamed(old: &str, new: &str) -> Result<NewEvent> {
    NewEvent::new("UsernameChanged", &serde_json::json!({ "new": new }))?
        .tag("username", old)?
        .tag("username", new)
}

/// Whether the name can be registered after these events.
async fn free_after(cx: &Cx, events: Vec<NewEvent>, name: &str) -> CaseResult<bool> {
    cx.store().append(Append::events(events)).await?;
    match register(&**cx.store(), name).await? {
        None => Ok(false),
        Some(append) => {
            cx.store().append(append).await?;
            Ok(true)
        }
    }
}

pub async fn a_name_is_claimed_once(cx: Cx) -> CaseResult {
    let registered = || tagged("AccountRegistered", "username", "u1");
    assert!(free_after(&cx, vec![event("Other")], "u1").await?);
    assert!(!free_after(&cx, vec![registered().occurred_at(days_ago(100))?], "u1").await?);
    assert!(free_after(&cx, vec![registered()], "u2").await?);
    Ok(())
}

pub async fn closing_an_account_releases_its_name(cx: Cx) -> CaseResult {
    let events = vec![
        tagged("AccountRegistered", "username", "u1").occurred_at(days_ago(9))?,
        tagged("AccountClosed", "username", "u1").occurred_at(days_ago(4))?,
    ];
    assert!(free_after(&cx, events, "u1").await?);
    Ok(())
}

pub async fn a_released_name_stays_reserved_for_three_days(cx: Cx) -> CaseResult {
    for (days, free) in [(2, false), (3, false), (4, true)] {
        let name = format!("closed{days}");
        let closed = tagged("AccountClosed", "username", &name).occurred_at(days_ago(days))?;
        let events = vec![tagged("AccountRegistered", "username", &name).occurred_at(days_ago(9))?, closed];
        assert_eq!(free_after(&cx, events, &name).await?, free, "{days} days");
        let name = format!("renamed{days}");
        let changed = renamed(&name, &format!("new{days}"))?.occurred_at(days_ago(days))?;
        let events = vec![tagged("AccountRegistered", "username", &name).occurred_at(days_ago(9))?, changed];
        assert_eq!(free_after(&cx, events, &name).await?, free, "{days} days");
    }
    Ok(())
}

pub async fn a_new_name_is_claimed_by_whoever_changed_to_it(cx: Cx) -> CaseResult {
    let registered = tagged("AccountRegistered", "username", "u1").occurred_at(days_ago(9))?;
    let changed = renamed("u1", "u2")?.occurred_at(days_ago(8))?;
    assert!(!free_after(&cx, vec![registered, changed], "u2").await?);
    assert!(free_after(&cx, vec![event("Other")], "u1").await?);
    Ok(())
}

pub async fn of_two_who_want_a_released_name_one_gets_it(cx: Cx) -> CaseResult {
    let closed = tagged("AccountClosed", "username", "u1").occurred_at(days_ago(4))?;
    cx.store().append(Append::events([tagged("AccountRegistered", "username", "u1"), closed])).await?;
    let mut decided = Vec::new();
    for _ in 0..8 {
        decided.push(register(&**cx.store(), "u1").await?.expect("the name is free"));
    }
    let results = race(cx.store(), decided).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    Ok(())
}
