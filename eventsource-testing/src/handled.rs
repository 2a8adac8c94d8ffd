use std::fmt;

use eventsource_consumers::{Context, EventHandler};
use eventsource_core::{Purpose, RecordedEvent};

use crate::GivenLog;
use crate::story::{Story, diff_of_lines};

impl GivenLog {
    /// Delivers the log to a projection's handler, event by event. Then say [`then`](Handled::then).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::sync::Mutex;
    ///
    /// use async_trait::async_trait;
    /// use eventsource_consumers::{Context, EventHandler};
    /// use eventsource_core::{DomainEvent, HandlerError, RecordedEvent};
    /// use eventsource_testing::given_log;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// #[serde(tag = "type", content = "data")]
    /// enum OrderEvent {
    ///     OrderPlaced { number: u32 },
    /// }
    /// impl DomainEvent for OrderEvent {}
    /// use OrderEvent::OrderPlaced;
    ///
    /// /// The numbers of all orders, each once however often its event comes.
    /// #[derive(Default)]
    /// struct Orders(Mutex<Vec<u32>>);
    ///
    /// #[async_trait]
    /// impl EventHandler for Orders {
    ///     async fn handle(&self, event: &RecordedEvent, _: &Context) -> Result<(), HandlerError> {
    ///         let OrderPlaced { number } = OrderEvent::decode(event)?;
    ///         let mut numbers = self.0.lock().unwrap();
    ///         if !numbers.contains(&number) {
    ///             numbers.push(number);
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let orders = Orders::default();
    /// given_log([OrderPlaced { number: 1 }, OrderPlaced { number: 2 }])
    ///     .when_redelivered_to(&orders)
    ///     .await
    ///     .then(vec![1, 2], orders.0.lock().unwrap().clone());
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the handler fails; the message shows the log and the event.
    pub async fn when_delivered_to(self, handler: &impl EventHandler) -> Handled {
        let log = self.into_log();
        let story = Story::new(&log, "it is delivered".to_owned());
        deliver(&story, handler, &log).await;
        Handled { story }
    }

    /// Delivers the log, and then all of it again, as after a crash before anything was recorded: a handler that is called at
    /// least once must come to the same.
    ///
    /// # Panics
    /// If the handler fails; the message shows the log and the event.
    pub async fn when_redelivered_to(self, handler: &impl EventHandler) -> Handled {
        let log = self.into_log();
        let story = Story::new(&log, "it is delivered twice".to_owned());
        deliver(&story, handler, &log).await;
        deliver(&story, handler, &log).await;
        Handled { story }
    }
}

/// A log that a handler has handled.
pub struct Handled {
    story: Story,
}

impl Handled {
    /// The view, which the test has looked up, is what is expected.
    ///
    /// # Panics
    /// If not; the message shows in what they differ.
    #[track_caller]
    pub fn then<T: fmt::Debug + PartialEq>(self, expected: T, view: T) -> Self {
        if expected != view {
            let lines = diff_of_lines(&format!("{expected:#?}\n"), &format!("{view:#?}\n"));
            self.story.fail("the view is another", &format!("then (- expected, + found)\n{lines}"));
        }
        self
    }
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handled").finish_non_exhaustive()
    }
}

async fn deliver(story: &Story, handler: &impl EventHandler, log: &[RecordedEvent]) {
    let context = Context::new(Purpose::Live);
    for event in log {
        if let Err(error) = handler.handle(event, &context).await {
            let position = event.position();
            story.fail(&format!("the handler failed on the event at position {position}: {error}"), "");
        }
    }
}
