use std::fmt::Debug;
use std::sync::Arc;

use eventsource_core::{
    Append, Appended, Error, EventStore, EventStoreExt, Filter, Page, Position, ReadOptions, RecordedEvent,
    Result, StreamId,
};
use futures_util::TryStreamExt;

use super::{Decision, Model, Written};
use crate::{CaseResult, Failure};

/// A store beside a model: everything that is asked of one is asked of both.
#[derive(Debug)]
pub struct Pair {
    /// The store under test.
    pub store: Arc<dyn EventStore>,
    /// What it must be like.
    pub model: Model,
}

impl Pair {
    /// An empty store and an empty model.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, model: Model::default() }
    }

    /// Appends to both.
    ///
    /// # Errors
    /// If the store answers anything else than the model, or records it otherwise.
    pub async fn append(&mut self, append: Append) -> CaseResult {
        let answered = self.store.append(append.clone()).await;
        match (self.model.decide(&append), answered) {
            (Err(expected), Err(error)) => same_error("an append", &expected, &error),
            (Ok(Decision::Replay(expected)), Ok(appended)) => same("a replay", &expected, &appended),
            (Ok(Decision::Write(written)), Ok(appended)) => self.adopt(&written, &appended).await,
            (Err(expected), Ok(appended)) => {
                Err(Failure::new(format!("an append was accepted, {appended:?}; expected: {expected:?}")))
            }
            (Ok(_), Err(error)) => {
                Err(Failure::new(format!("an append was refused: {error:?}; it had to be accepted")))
            }
        }
    }

    /// Reads from both: as a stream of events, and one page.
    ///
    /// # Errors
    /// If the store finds anything else than the model.
    pub async fn read(&self, filter: &Filter, options: &ReadOptions) -> CaseResult {
        let read: Result<Vec<RecordedEvent>> =
            self.store.read(filter.clone(), options.clone()).try_collect().await;
        let page = self.store.read_page(filter, options).await;
        let what = format!("reading {filter:?} with {options:?}");
        match (self.model.read(filter, options), read, page) {
            (Err(expected), Err(read), Err(page)) => {
                same_error(&what, &expected, &read)?;
                same_error(&what, &expected, &page)
            }
            (Ok(expected), Ok(read), Ok(page)) => {
                same_events(&what, &expected.events, &read)?;
                same_page(&what, &expected, &page, options)
            }
            (expected, read, page) => Err(Failure::new(format!(
                "{what}: the store answers {:?} and {:?}, the model {:?}",
                read.map(|events| events.len()),
                page.map(|page| page.events.len()),
                expected.map(|page| page.events.len())
            ))),
        }
    }

    /// Asks both for the head.
    ///
    /// # Errors
    /// If they differ.
    pub async fn head(&self) -> CaseResult {
        same("the head", &self.model.head(), &self.store.head().await?)
    }

    /// Asks both for a stream's version.
    ///
    /// # Errors
    /// If they differ.
    pub async fn stream_version(&self, stream: &StreamId) -> CaseResult {
        same("a version", &self.model.stream_version(stream), &self.store.stream_version(stream).await?)
    }

    /// Compares everything that is there.
    ///
    /// # Errors
    /// If anything differs.
    pub async fn whole(&self, streams: &[StreamId]) -> CaseResult {
        self.read(&Filter::all(), &ReadOptions::new()).await?;
        self.read(&Filter::all(), &ReadOptions::new().backward()).await?;
        self.head().await?;
        for stream in streams {
            self.stream_version(stream).await?;
            self.read(&Filter::all().in_stream(stream.clone()), &ReadOptions::new()).await?;
        }
        Ok(())
    }

    /// Compares how an append was recorded with what it had to be, and takes it over.
    async fn adopt(&mut self, written: &[Written], appended: &Appended) -> CaseResult {
        let head = self.model.head();
        let behind = ReadOptions::new().after(head);
        let recorded: Vec<_> = self.store.read(Filter::all(), behind).try_collect().await?;
        let first = recorded.first().map_or(Position::START, RecordedEvent::position);
        let rising = recorded.windows(2).all(|pair| pair[0].position() < pair[1].position());
        if recorded.len() != written.len() || first <= head || !rising {
            let positions: Vec<_> = recorded.iter().map(RecordedEvent::position).collect();
            let count = written.len();
            return Err(Failure::new(format!(
                "{count} events were appended behind {head}; there are {positions:?}"
            )));
        }
        for (recorded, (event, place)) in recorded.iter().zip(written) {
            let (stream, version) =
                place.as_ref().map_or((None, None), |(stream, version)| (Some(stream), Some(*version)));
            if !recorded.records(event, stream) || recorded.version() != version {
                return Err(Failure::new(format!(
                    "{event:?} with {} for {place:?} was recorded as {recorded:?} with {}",
                    event.payload().as_json(),
                    recorded.payload().as_json()
                )));
            }
            if event.occurred().is_none() && recorded.occurred_at() != recorded.recorded_at() {
                return Err(Failure::new(format!("{recorded:?} did not occur when it was recorded")));
            }
        }
        let index = self.model.log().len();
        self.model.adopt(recorded);
        same("an append", &self.model.result_at(index), appended)
    }
}

fn same<T: PartialEq + Debug>(what: &str, expected: &T, answered: &T) -> CaseResult {
    if expected == answered {
        return Ok(());
    }
    Err(Failure::new(format!("{what}: the store answers {answered:?}, the model {expected:?}")))
}

fn same_error(what: &str, expected: &Error, error: &Error) -> CaseResult {
    if (expected.kind(), expected.conflict()) == (error.kind(), error.conflict()) {
        return Ok(());
    }
    Err(Failure::new(format!("{what}: the store refuses with {error:?}, the model with {expected:?}")))
}

fn same_events(what: &str, expected: &[RecordedEvent], found: &[RecordedEvent]) -> CaseResult {
    if expected == found {
        return Ok(());
    }
    let positions =
        |events: &[RecordedEvent]| -> Vec<_> { events.iter().map(RecordedEvent::position).collect() };
    let (theirs, ours) = (positions(found), positions(expected));
    if theirs == ours {
        let differing = expected.iter().zip(found).find(|(expected, found)| expected != found);
        return Err(Failure::new(format!("{what}: an event comes back otherwise: {differing:?}")));
    }
    Err(Failure::new(format!("{what}: the store finds {theirs:?}, the model {ours:?}")))
}

/// A page may stop earlier than the model's, if it says so.
fn same_page(what: &str, expected: &Page, page: &Page, options: &ReadOptions) -> CaseResult {
    same(&format!("{what}, the page's head"), &expected.head, &page.head)?;
    let stopped_early = page.more && page.events.len() < expected.events.len();
    if page.more && page.events.is_empty() && options.max_events() != Some(0) {
        return Err(Failure::new(format!("{what}: a page without events says that there is more")));
    }
    let count = if stopped_early { page.events.len() } else { expected.events.len() };
    same_events(&format!("{what}, a page"), &expected.events[..count], &page.events)?;
    let full = options.max_events().is_some_and(|limit| page.events.len() as u64 == limit);
    if full && !page.more {
        return Err(Failure::new(format!("{what}: a page that is full says that it found the end")));
    }
    Ok(())
}
