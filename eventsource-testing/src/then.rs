use std::fmt;

use eventsource_core::{DomainEvent, NewEvent};

use crate::story::{Story, diff, encoded, indented, list, say_the_same};

/// What was decided, to be compared with what is expected.
///
/// Events are compared as they are stored: type, schema version, payload and tags. They need not implement `PartialEq`.
pub struct Then<E, R, S = ()> {
    story: Story,
    outcome: Result<Vec<E>, R>,
    state: S,
}

impl<E: DomainEvent, R: fmt::Debug, S> Then<E, R, S> {
    pub(crate) fn new(story: Story, outcome: Result<Vec<E>, R>, state: S) -> Self {
        Self { story, outcome, state }
    }

    /// These events were decided, in this order, and no others.
    ///
    /// # Panics
    /// If not; the message shows in what they differ.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = E>) -> Self {
        let expected: Vec<E> = expected.into_iter().collect();
        let expected = encoded(&expected);
        match &self.outcome {
            Ok(events) => self.compare(&expected, &encoded(events)),
            Err(rejection) => {
                let then = format!(
                    "then (expected)\n{}but it was rejected\n{}",
                    list(&expected),
                    indented(&format!("{rejection:#?}"))
                );
                self.story.fail("rejected, where events were expected", &then);
            }
        }
        self
    }

    /// Nothing was decided: there was nothing to do.
    ///
    /// # Panics
    /// If there was.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then([])
    }

    /// It was rejected, with this.
    ///
    /// # Panics
    /// If it was not, or with something else.
    #[track_caller]
    pub fn then_rejected(self, expected: R) -> Self
    where
        R: PartialEq,
    {
        let rejection = self.rejection(&format!("{expected:#?}"));
        if *rejection != expected {
            let then = format!(
                "then (- expected, + found)\n- {}\n+ {}\n",
                format!("{expected:#?}").replace('\n', "\n- "),
                format!("{rejection:#?}").replace('\n', "\n+ ")
            );
            self.story.fail("rejected, and not for the expected reason", &then);
        }
        self
    }

    /// It was rejected, with something that `fits`.
    ///
    /// # Panics
    /// If it was not, or with something that does not fit.
    #[track_caller]
    pub fn then_rejected_if(self, fits: impl FnOnce(&R) -> bool) -> Self {
        let rejection = self.rejection("something that fits");
        if !fits(rejection) {
            let then =
                format!("then rejected with what does not fit\n{}", indented(&format!("{rejection:#?}")));
            self.story.fail("rejected, and not for the expected reason", &then);
        }
        self
    }

    /// Looks at the state that the decided events lead to; at what it was before, if it was rejected.
    #[track_caller]
    pub fn then_state(self, look: impl FnOnce(&S)) -> Self {
        look(&self.state);
        self
    }

    #[track_caller]
    fn compare(&self, expected: &[NewEvent], found: &[NewEvent]) {
        if say_the_same(expected, found) {
            return;
        }
        let headline = match (expected, found) {
            ([], _) => "decided, where nothing was expected",
            (_, []) => "nothing was decided, where events were expected",
            _ => "decided otherwise than expected",
        };
        self.story.fail(headline, &format!("then (- expected, + decided)\n{}", diff(expected, found)));
    }

    #[track_caller]
    fn rejection(&self, expected: &str) -> &R {
        match &self.outcome {
            Err(rejection) => rejection,
            Ok(events) => {
                let decided = encoded(events);
                let found = if decided.is_empty() { "  nothing\n".to_owned() } else { list(&decided) };
                let then = format!("then (expected)\n{}but it decided\n{found}", indented(expected));
                self.story.fail("decided, where a rejection was expected", &then);
            }
        }
    }
}

impl<E, R, S> fmt::Debug for Then<E, R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then")
            .field("story", &self.story)
            .field("rejected", &self.outcome.is_err())
            .finish_non_exhaustive()
    }
}
