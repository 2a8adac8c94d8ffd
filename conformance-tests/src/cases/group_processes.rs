//! Members in several processes, which are killed, paused past their lease, and restarted.

use std::time::Duration;

use proptest::prelude::RngExt;
use tokio::time::{Instant, sleep};

use crate::chaos::{self, Delivery, PAUSE, Watch, Writers, member_process, signal};
use crate::{CaseResult, Cx, random};

pub async fn processes_that_are_paused_and_killed_leave_the_view_exact(cx: Cx) -> CaseResult {
    let (watch, writers) = (Watch::start(&cx), Writers::start(&cx));
    let mut members = (0..4).map(|_| member_process(&cx)).collect::<CaseResult<Vec<_>>>()?;
    let mut random = random::numbers(&cx, 71);
    let end = Instant::now() + chaos::duration(Duration::from_secs(9));
    let mut blows = 0;
    while Instant::now() < end || blows < 2 {
        sleep(Duration::from_millis(random.random_range(50..900))).await;
        let victim = random.random_range(0..members.len());
        if blows % 2 == 0 {
            signal(&members[victim], "STOP").await?;
            sleep(PAUSE).await;
            signal(&members[victim], "CONT").await?;
        } else {
            members[victim].kill().await?;
            members[victim] = member_process(&cx)?;
        }
        blows += 1;
    }
    writers.finish().await?;
    chaos::until_done(&cx, async || Ok(cx.view().applied().await?)).await?;
    for mut member in members {
        drop(member.stdin.take());
        let status = member.wait().await?;
        assert!(status.success(), "a member failed: {status}");
    }
    assert!(watch.finish().await? > 10, "the group did not work");
    chaos::judge(&cx, &cx.view().applied().await?, Delivery::ExactlyOnce).await
}
