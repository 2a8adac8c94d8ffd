//! What a store says of itself.

use eventsource_core::{Append, Capability};

use crate::given::with_json;
use crate::{CaseResult, Cx};

pub async fn a_store_has_every_capability_that_its_harness_does_not_lack(cx: Cx) -> CaseResult {
    for &capability in Capability::ALL {
        let lacking = cx.lacks().iter().find(|(lacking, _)| *lacking == capability);
        assert_eq!(cx.store().capabilities().has(capability), lacking.is_none(), "{capability}: {lacking:?}");
        assert!(
            lacking.is_none_or(|(_, reason)| !reason.is_empty()),
            "{capability} is lacking for no reason"
        );
    }
    Ok(())
}

pub async fn capabilities_never_change(cx: Cx) -> CaseResult {
    let before = cx.store().capabilities();
    cx.store().append(Append::events(crate::given::events(1))).await?;
    assert_eq!(cx.store().capabilities(), before);
    cx.store().close().await?;
    assert_eq!(cx.store().capabilities(), before);
    Ok(())
}

pub async fn nothing_that_is_shown_for_debugging_holds_payloads(cx: Cx) -> CaseResult {
    let secret = with_json("Secret", r#"{"card":"4111111111111111"}"#);
    let append = Append::events([secret]);
    let shown = format!("{append:?}");
    cx.store().append(append).await?;
    let recorded = crate::given::log_of(cx.store()).await?;
    let shown = format!("{shown} {recorded:?} {:?}", cx.store());
    assert!(!shown.contains("4111111111111111"), "{shown}");
    Ok(())
}
