//! Members of groups and relays that are killed, paused past their lease and restarted while many write.
//!
//! The cases that do so are part of the contract, for some seconds. [`judge_for`](crate::judge_for) lets them go on for
//! longer, and [`publish_in_processes`] is for relays whose other end a test brings.

mod crew;
mod member;
mod relay;
mod scribe;
mod watch;
mod worker;
mod writers;

use std::future::Future;
use std::time::Duration;

use eventsource_core::Position;
use tokio::time::{Instant, sleep};

pub use relay::{publish_in_processes, run_relay};

pub(crate) use crew::{Blows, Crew};
pub(crate) use member::{Deeds, member, member_process, member_task, run_member};
pub(crate) use relay::{publish_in_tasks, publish_over_pipes, run_piped_relay};
pub(crate) use scribe::Scribe;
pub(crate) use watch::Watch;
pub(crate) use worker::Worker;
pub(crate) use writers::Writers;

use crate::given::log_of;
use crate::witness::{Consumption, Witness};
use crate::{CaseResult, Cx, Failure};

/// How long a lease holds: a member's of its partition, a relay's of what it has claimed.
pub(crate) const LEASE: Duration = Duration::from_millis(900);
/// How long a pause takes: others have taken over before it ends.
pub(crate) const PAUSE: Duration = Duration::from_millis(2_200);
/// How long nothing may happen at all before nothing ever will. The case's own time limit comes later, so that a failure says
/// what was waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// For how long the environment asks for trouble, in place of the case's own; not at all if nothing.
pub(crate) fn asked_for() -> Duration {
    let seconds = std::env::var("CONTRACT_WITNESS_SECONDS")
        .map_or(0, |text| text.parse().expect("CONTRACT_WITNESS_SECONDS is a number of seconds"));
    Duration::from_secs(seconds)
}

/// Judges what a group did, and tells what it went through, for whoever reads the test's output.
pub(crate) async fn judge(cx: &Cx, consumption: &Consumption, fenced: usize, blows: Blows) -> CaseResult {
    let (saves, seen) = (consumption.saves.len(), consumption.checkpoints.len());
    println!(
        "[{}] {}: {blows:?}, {} events handled, {saves} saves, {seen} checkpoints seen, {fenced} times fenced off",
        cx.backend(),
        cx.case(),
        consumption.handled.len(),
    );
    // What nobody has seen can't be judged.
    if saves == 0 || seen <= 10 {
        return Err(Failure::new("the group did not work, or nobody watched it"));
    }
    let log = log_of(&**cx.store()).await?;
    Ok(Witness::of(&log).judge_consumption(consumption)?)
}

/// Waits until so much is done as there is. It may take as long as it likes, as long as it goes on.
pub(crate) async fn until_done<F>(goal: usize, done: impl Fn() -> F) -> CaseResult
where
    F: Future<Output = CaseResult<usize>>,
{
    let (mut most, mut since) = (0, Instant::now());
    loop {
        let now = done().await?;
        if now >= goal {
            return Ok(());
        }
        if now > most {
            (most, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            return Err(Failure::new(format!("{now} of {goal} are done, and no more for {PATIENCE:?}")));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until every event of the log was handled at least once.
pub(crate) async fn until_handled<F>(cx: &Cx, handled: impl Fn() -> F) -> CaseResult
where
    F: Future<Output = CaseResult<Vec<Position>>>,
{
    let goal = log_of(&**cx.store()).await?.len();
    until_done(goal, || {
        let handled = handled();
        async {
            let mut handled = handled.await?;
            handled.sort_unstable();
            handled.dedup();
            Ok(handled.len())
        }
    })
    .await
}
