//! Handlers that remember what they were given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventsource_consumers::{Backoff, Consumer, FailurePolicy, IntoSink, each_event};
use eventsource_core::{HandlerError, Position, RecordedEvent};

use crate::{CaseResult, Cx};

/// What a handler was given, in order, and what it is to fail on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    handled: Vec<RecordedEvent>,
    tried: HashMap<Position, u32>,
    /// Until when events of type `Poison` fail: their so-manieth try.
    healed: bool,
}

impl Diary {
    /// A handler that writes here, and fails on events of type `Poison` as long as they are not healed.
    pub(crate) fn handler(&self) -> impl IntoSink + use<> {
        let diary = self.clone();
        each_event(move |event, _| {
            let answer = diary.handle(&event);
            async move { answer }
        })
    }

    /// What was handled, in order.
    pub(crate) fn handled(&self) -> Vec<Position> {
        self.lock().handled.iter().map(RecordedEvent::position).collect()
    }

    /// How often it was tried.
    pub(crate) fn tries(&self, position: Position) -> u32 {
        self.lock().tried.get(&position).copied().unwrap_or(0)
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        self.lock().healed = true;
    }

    /// Handles an event as its handler does.
    pub(crate) fn handle(&self, event: &RecordedEvent) -> Result<(), HandlerError> {
        let mut state = self.lock();
        *state.tried.entry(event.position()).or_default() += 1;
        if event.event_type().as_str() == "Poison" && !state.healed {
            return Err("poison".into());
        }
        state.handled.push(event.clone());
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A consumer that loses no time.
pub(crate) fn consumer(cx: &Cx, name: &str) -> CaseResult<Consumer> {
    Ok(Consumer::new(name, cx.consumer_store())?
        .poll_interval(Duration::from_millis(100))
        .idle_save(Duration::from_millis(5)))
}

/// Tries without waiting long.
pub(crate) fn quick(policy: FailurePolicy) -> FailurePolicy {
    policy.backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(2)))
}
