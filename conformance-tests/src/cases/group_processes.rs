//! Members in several processes, which are killed, paused past their lease, and restarted.

use std::time::Duration;

use crate::chaos::{self, Crew, Scribe, Watch, Writers};
use crate::witness::{Consumption, Delivery};
use crate::{CaseResult, Cx};

pub async fn processes_that_are_paused_and_killed_leave_the_view_exact(cx: Cx) -> CaseResult {
    let duration = cx.trouble(Duration::from_secs(9));
    let (scribe, watch, writers) = (Scribe::default(), Watch::start(&cx), Writers::start(&cx));
    let mut members = Crew::start(&cx, 71, 4, |_| chaos::member_process(&cx, &scribe))?;
    let blows = members.suffer(duration).await?;
    writers.finish().await?;
    chaos::until_handled(&cx, async || Ok(cx.view().applied().await?)).await?;
    members.stop().await?;
    let consumption = Consumption {
        handled: cx.view().applied().await?,
        delivery: Delivery::ExactlyOnce,
        saves: scribe.saves(),
        checkpoints: watch.finish().await?,
    };
    chaos::judge(&cx, &consumption, scribe.fenced(), blows).await
}
