use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use eventsource_consumers::{ConsumerStore, IntoSink};
use eventsource_core::{
    Conflict, ConsumerName, Delivery, DeliveryError, DeliveryFailure, FencingToken, Position, Record, Sink,
};

use crate::witness::Save;

/// Writes down which records members were told are made, and how often one was told that its lease is lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scribe(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    saves: Vec<Save>,
    fenced: usize,
}

impl Scribe {
    /// What the members of this process do with `sink`.
    pub(crate) fn over<S: IntoSink + Send>(&self, sink: S) -> impl IntoSink + Send + use<S> {
        let scribe = self.clone();
        Over { sink, note: Arc::new(move |note| scribe.note(note)) }
    }

    /// What another process has printed.
    pub(crate) fn hear(&self, text: &str) {
        // The last line of one that was killed may be cut.
        if let Some(note) = Note::parse(text) {
            self.note(note);
        }
    }

    pub(crate) fn saves(&self) -> Vec<Save> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saves.clone()
    }

    pub(crate) fn fenced(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fenced
    }

    fn note(&self, note: Note) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match note {
            Note::Saved(save) => notes.saves.push(save),
            Note::Fenced => notes.fenced += 1,
        }
    }
}

/// What a member does with `sink`, printed for the process that has started this one.
pub(crate) fn printed<S: IntoSink + Send>(sink: S) -> impl IntoSink + Send + use<S> {
    Over { sink, note: Arc::new(|note: Note| println!("@@{}", note.print())) }
}

enum Note {
    Saved(Save),
    Fenced,
}

impl Note {
    fn print(&self) -> String {
        match self {
            Self::Saved(Save { consumer, token, after, position }) => {
                format!("saved {} {} {} {consumer} .", token.to_raw(), after.to_raw(), position.to_raw())
            }
            Self::Fenced => "fenced .".to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["fenced", "."] => Some(Self::Fenced),
            ["saved", token, after, position, consumer, "."] => Some(Self::Saved(Save {
                consumer: ConsumerName::new(consumer).ok()?,
                token: FencingToken::new(token.parse().ok()?),
                after: Position::from_raw(after.parse().ok()?),
                position: Position::from_raw(position.parse().ok()?),
            })),
            _ => None,
        }
    }
}

struct Over<S> {
    sink: S,
    note: Arc<dyn Fn(Note) + Send + Sync>,
}

impl<S: IntoSink> IntoSink for Over<S> {
    fn into_sink(self, store: &ConsumerStore) -> Arc<dyn Sink> {
        Arc::new(Noted { sink: self.sink.into_sink(store), note: self.note })
    }
}

struct Noted {
    sink: Arc<dyn Sink>,
    note: Arc<dyn Fn(Note) + Send + Sync>,
}

#[async_trait]
impl Sink for Noted {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let answer = self.sink.deliver(delivery).await;
        match (&answer, &delivery.record) {
            (Ok(()), Record::Checkpoint(save)) => {
                if let Some(fence) = save.fence() {
                    (self.note)(Note::Saved(Save {
                        consumer: save.consumer().clone(),
                        token: fence.token,
                        after: save.expected().map_or(Position::START, |expected| expected.position),
                        position: save.position(),
                    }));
                }
            }
            (Err(DeliveryError { cause: DeliveryFailure::Store(error), .. }), _)
                if matches!(error.conflict(), Some(Conflict::Fenced { .. })) =>
            {
                (self.note)(Note::Fenced);
            }
            _ => {}
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_heard() {
        let consumer = ConsumerName::new("chaos[3/6]").expect("a name");
        let save = Save {
            consumer,
            token: FencingToken::new(7),
            after: Position::START,
            position: Position::from_raw(12),
        };
        let scribe = Scribe::default();
        scribe.hear(&Note::Saved(save.clone()).print());
        scribe.hear(&Note::Fenced.print());
        scribe.hear("saved 7 0 1");
        assert_eq!((scribe.saves(), scribe.fenced()), (vec![save], 1));
    }
}
