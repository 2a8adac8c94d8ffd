//! Relays in several processes, which are killed, paused past their lease, and restarted.

use crate::{CaseResult, Cx, chaos};

pub async fn processes_that_are_paused_and_killed_publish_everything_in_order(cx: Cx) -> CaseResult {
    chaos::publish_over_pipes(&cx).await
}
