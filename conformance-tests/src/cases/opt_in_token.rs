//! <https://dcb.events/examples/opt-in-token/>: a token that is good once, for its address, for an hour.

use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{Append, EventStore, EventStoreExt, Filter, FilterItem, NewEvent, Result};

use crate::given::{event, race, time};
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

/// Confirms a sign-up, unless the rules forbid it.
async fn confirm(
    store: &dyn EventStore,
    address: &str,
    token: &str,
) -> CaseResult<Result<Append, &'static str>> {
    let boundary = Filter::any_of([FilterItem::new().tag("email", address)?.tag("otp", token)?])?;
    let seen = store.query(&boundary).await?;
    let Some(initiated) = seen.events.iter().find(|event| event.event_type() == "SignUpInitiated") else {
        return Ok(Err("no pending sign-up"));
    };
    if seen.events.iter().any(|event| event.event_type() == "SignUpConfirmed") {
        return Ok(Err("the token was used"));
    }
    if now() - initiated.occurred_at() > TimeDelta::minutes(60) {
        return Ok(Err("the token has expired"));
    }
    let confirmed = sign_up("SignUpConfirmed", address, token)?;
    Ok(Ok(Append::events([confirmed]).fail_if(boundary).after(seen.head)))
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
