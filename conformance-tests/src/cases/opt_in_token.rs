//! <https://dcb.events/examples/opt-in-token/>: a token that is good once, for its address, for an hour.

use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    Append, Boundary, Decision, DomainEvent, EventStore, NewEvent, Result, Tag, decision,
};
use serde::{Deserialize, Serialize};

use crate::given::{decided, event, race, time};
use crate::{CaseResult, Cx};

fn now() -> DateTime<Utc> {
    time("2024-06-10T12:00:00Z")
}

fn sign_up(event_type: &str, address: &str, token: &str) -> Result<NewEvent> {
    event(event_type).tag("email", address)?.tag("otp", token)
}

async fn initiate(cx: &Cx, minutes_ago: i64) -> CaseResult {
    let initiated = sign_up("SignUpInitiated", "ann@example.org", "1111")?
        .occurred_at(now() - TimeDelta::minutes(minutes_ago))?;
    cx.store().append(Append::events([initiated])).await?;
    Ok(())
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum SignUpEvent {
    SignUpInitiated {},
    SignUpConfirmed { address: String, token: String },
}

use SignUpEvent::{SignUpConfirmed, SignUpInitiated};

impl DomainEvent for SignUpEvent {
    fn tags(&self) -> Result<Vec<Tag>> {
        match self {
            SignUpInitiated {} => Ok(Vec::new()),
            SignUpConfirmed { address, token } => {
                Ok(vec![Tag::new("email", address)?, Tag::new("otp", token)?])
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Pending {
    No,
    Since(DateTime<Utc>),
    Used,
}

fn confirmation(address: &str, token: &str) -> impl Decision<Event = SignUpEvent, Rejection = &'static str> {
    let pending = Boundary::of_tag("email", address).tagged("otp", token).fold_recorded(
        Pending::No,
        |_, event, recorded| match event {
            SignUpInitiated {} => Pending::Since(recorded.occurred_at()),
            SignUpConfirmed { .. } => Pending::Used,
        },
    );
    decision(pending, move |pending| match pending {
        Pending::No => Err("no pending sign-up"),
        Pending::Used => Err("the token was used"),
        Pending::Since(time) if now() - time > TimeDelta::minutes(60) => Err("the token has expired"),
        Pending::Since(_) => Ok(vec![SignUpConfirmed { address: address.into(), token: token.into() }]),
    })
}

/// Confirms a sign-up, unless the rules forbid it.
async fn confirm(
    store: &dyn EventStore,
    address: &str,
    token: &str,
) -> CaseResult<Result<Append, &'static str>> {
    decided(store, confirmation(address, token)).await
}

pub async fn a_token_that_was_never_given_confirms_nothing(cx: Cx) -> CaseResult {
    initiate(&cx, 1).await?;
    assert_eq!(confirm(&**cx.store(), "ann@example.org", "2222").await?.err(), Some("no pending sign-up"));
    Ok(())
}

pub async fn a_token_is_good_for_its_own_address_only(cx: Cx) -> CaseResult {
    initiate(&cx, 1).await?;
    assert_eq!(confirm(&**cx.store(), "bob@example.org", "1111").await?.err(), Some("no pending sign-up"));
    Ok(())
}

pub async fn a_token_is_good_once(cx: Cx) -> CaseResult {
    initiate(&cx, 1).await?;
    let append = confirm(&**cx.store(), "ann@example.org", "1111").await?.expect("it is good");
    cx.store().append(append).await?;
    assert_eq!(confirm(&**cx.store(), "ann@example.org", "1111").await?.err(), Some("the token was used"));
    Ok(())
}

pub async fn a_token_is_good_for_an_hour(cx: Cx) -> CaseResult {
    for (minutes, verdict) in [(59, None), (60, None), (61, Some("the token has expired"))] {
        let cx = cx.fresh(crate::Setup::default()).await?;
        initiate(&cx, minutes).await?;
        assert_eq!(
            confirm(&**cx.store(), "ann@example.org", "1111").await?.err(),
            verdict,
            "{minutes} minutes"
        );
    }
    Ok(())
}

pub async fn of_two_who_use_a_token_at_once_one_succeeds(cx: Cx) -> CaseResult {
    initiate(&cx, 1).await?;
    let mut decided = Vec::new();
    for _ in 0..8 {
        decided.push(confirm(&**cx.store(), "ann@example.org", "1111").await?.expect("it is good"));
    }
    let results = race(cx.store(), decided).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    Ok(())
}
