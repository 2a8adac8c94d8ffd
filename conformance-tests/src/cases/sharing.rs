//! Several processes on one log.

use eventsource_core::{Append, EventStoreExt};

use crate::given::{event, found, log_of, names, tag, tagged};
use crate::{CaseResult, Cx, child};

pub async fn what_another_process_appends_is_read(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("Here")])).await?;
    let child = child::spawn(&cx, "append", "There")?.wait_with_output().await?;
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert_eq!(names(&log_of(cx.store()).await?), ["Here", "There"]);
    Ok(())
}

pub async fn of_two_processes_on_one_boundary_one_wins(cx: Cx) -> CaseResult {
    let children = [child::spawn(&cx, "claim", "30")?, child::spawn(&cx, "claim", "30")?];
    claim(&cx, 30).await?;
    for child in children {
        let output = child.wait_with_output().await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    for round in 0..30 {
        let claims = found(cx.store(), tag("round", &round.to_string())).await?;
        assert_eq!(claims.len(), 1, "round {round}");
    }
    Ok(())
}

pub async fn no_decision_is_lost_between_processes(cx: Cx) -> CaseResult {
    let children = [child::spawn(&cx, "count", "15")?, child::spawn(&cx, "count", "15")?];
    count(&cx, 15).await?;
    for child in children {
        let output = child.wait_with_output().await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let visits = found(cx.store(), tag("counter", "visits")).await?;
    assert_eq!(names(&visits), (1..=45).map(|visit| format!("Visit{visit}")).collect::<Vec<_>>());
    Ok(())
}

/// A child's program: appends one event of the type that it is told.
pub(crate) async fn append_in_child(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event(&child::arguments())])).await?;
    Ok(())
}

/// A child's program: tries to claim each of so many boundaries, which others claim as well.
pub(crate) async fn claim_in_child(cx: Cx) -> CaseResult {
    claim(&cx, child::arguments().parse()?).await
}

/// A child's program: increments a counter so many times, which others increment as well.
pub(crate) async fn count_in_child(cx: Cx) -> CaseResult {
    count(&cx, child::arguments().parse()?).await
}

async fn claim(cx: &Cx, rounds: usize) -> CaseResult {
    for round in 0..rounds {
        let round = round.to_string();
        let append = Append::events([tagged("Claimed", "round", &round)]).fail_if(tag("round", &round));
        match cx.store().append(append).await {
            Err(error) if !error.is_conflict() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

async fn count(cx: &Cx, increments: usize) -> CaseResult {
    let boundary = tag("counter", "visits");
    let mut done = 0;
    while done < increments {
        let seen = cx.store().query(&boundary).await?;
        let visit = tagged(&format!("Visit{}", seen.events.len() + 1), "counter", "visits");
        let append = Append::events([visit]).fail_if(boundary.clone()).after(seen.head);
        match cx.store().append(append).await {
            Ok(_) => done += 1,
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
