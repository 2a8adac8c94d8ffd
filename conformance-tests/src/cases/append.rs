//! What an append does.

use eventsource_core::{Append, EventStore};

use crate::given::{event, log_of};
use crate::{CaseResult, Cx};

pub async fn an_appended_event_is_read_back(cx: Cx) -> CaseResult {
    let happened = event("Happened");
    cx.store().append(Append::events([happened.clone()])).await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(log.len(), 1);
    assert!(log[0].records(&happened, None));
    Ok(())
}
