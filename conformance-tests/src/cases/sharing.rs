//! Several processes on one log.

use eventsource_core::{Append, EventStore};

use crate::given::{event, log_of, names};
use crate::{CaseResult, Cx, child};

pub async fn what_another_process_appends_is_read(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("Here")])).await?;
    let child = child::spawn(&cx, "append", "There")?.wait_with_output().await?;
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert_eq!(names(&log_of(cx.store()).await?), ["Here", "There"]);
    Ok(())
}

/// A child's program: appends one event of the type that it is told.
pub(crate) async fn append_in_child(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event(&child::arguments())])).await?;
    Ok(())
}
