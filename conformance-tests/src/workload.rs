//! Many writers and readers at once, whose history a witness can judge.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventsource_core::{
    Append, EventStore, EventStoreExt, ExpectedVersion, Filter, NewEvent, Position, StreamId,
};
use proptest::prelude::RngExt;
use proptest::test_runner::TestRng;
use uuid::Uuid;

use crate::given::{log_of, tag, tagged, types};
use crate::witness::{History, Recorder, Summary, Witness};
use crate::{CaseResult, Cx, Failure, random};

/// Writers that append with random versions, conditions and retries, and readers that follow.
pub(crate) struct Workload {
    cx: Cx,
    recorder: Recorder,
    name: String,
    writers: u64,
    appends: usize,
    readers: Vec<Filter>,
}

impl Workload {
    pub(crate) fn new(cx: &Cx, recorder: &Recorder) -> Self {
        let name = "writer".to_owned();
        Self { cx: cx.clone(), recorder: recorder.clone(), name, writers: 1, appends: 1, readers: Vec::new() }
    }

    /// What verdicts call the writers.
    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    pub(crate) fn writers(self, writers: u64) -> Self {
        Self { writers, ..self }
    }

    /// How often each writer appends.
    pub(crate) fn appends(self, appends: usize) -> Self {
        Self { appends, ..self }
    }

    /// So many readers of everything.
    pub(crate) fn readers(self, readers: usize) -> Self {
        self.reading(vec![Filter::all(); readers])
    }

    /// One reader for each filter.
    pub(crate) fn reading(self, filters: impl IntoIterator<Item = Filter>) -> Self {
        Self { readers: filters.into_iter().collect(), ..self }
    }

    /// Runs it all, until every writer has written and every reader has read to the end.
    pub(crate) async fn run(self, store: &Arc<dyn EventStore>) -> CaseResult {
        let busy = Arc::new(AtomicUsize::new(0));
        let mut writers = Vec::new();
        for number in 0..self.writers {
            let name = format!("{} {number}", self.name);
            let numbers = random::numbers(&self.cx, fingerprint(&name));
            let mut writer = Writer::new(store.clone(), self.recorder.clone(), name, numbers);
            let (busy, appends) = (Busy::new(&busy), self.appends);
            writers.push(tokio::spawn(async move {
                let _busy = busy;
                for _ in 0..appends {
                    writer.append().await?;
                }
                Ok::<_, Failure>(())
            }));
        }
        let mut readers = Vec::new();
        for (number, filter) in self.readers.iter().enumerate() {
            let (store, recorder, busy) = (store.clone(), self.recorder.clone(), busy.clone());
            let (name, filter) = (format!("reader {number}"), filter.clone());
            readers.push(tokio::spawn(async move {
                let mut tail = recorder.tail(name, filter, Position::START);
                while busy.load(Ordering::SeqCst) > 0 {
                    tail.look(&*store, 7).await?;
                    recorder.head(&*store).await?;
                    tokio::task::yield_now().await;
                }
                tail.finish(&*store, 7).await
            }));
        }
        for writer in writers {
            writer.await??;
        }
        for reader in readers {
            reader.await??;
        }
        Ok(())
    }
}

/// Lets the witness judge what is in the log now.
pub(crate) async fn settle(store: &dyn EventStore, histories: &[History]) -> CaseResult<Summary> {
    let log = log_of(store).await?;
    Ok(Witness::of(&log).judge(histories)?)
}

/// One who appends at random, in a small world that it shares with all the others.
pub(crate) struct Writer {
    store: Arc<dyn EventStore>,
    recorder: Recorder,
    name: String,
    numbers: TestRng,
    count: usize,
    last: Option<Append>,
}

impl Writer {
    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        recorder: Recorder,
        name: String,
        numbers: TestRng,
    ) -> Self {
        Self { store, recorder, name, numbers, count: 0, last: None }
    }

    /// Appends something, or repeats what it appended last.
    ///
    /// # Errors
    /// Everything but conflicts.
    pub(crate) async fn append(&mut self) -> CaseResult {
        let append = self.draw().await?;
        let name = self.next_name();
        match self.recorder.append(&*self.store, name, append).await {
            Err(error) if !error.is_conflict() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Something to append.
    pub(crate) async fn draw(&mut self) -> CaseResult<Append> {
        if let Some(last) = self.last.clone()
            && self.numbers.random_ratio(1, 10)
        {
            return Ok(last);
        }
        let mut append = match self.numbers.random_range(0..3) {
            0 => Append::events(self.events()),
            1 => self.to_stream(None).await?,
            _ => {
                let first = self.to_stream(None).await?;
                self.to_stream(Some(first)).await?
            }
        };
        if self.numbers.random_ratio(1, 2) {
            let filter = self.filter();
            let head = self.store.query(&filter).await?.head;
            append = append.fail_if(filter).after(head);
        }
        self.last = Some(append.clone());
        Ok(append)
    }

    pub(crate) fn next_name(&mut self) -> String {
        self.count += 1;
        format!("append {} of {}", self.count, self.name)
    }

    async fn to_stream(&mut self, before: Option<Append>) -> CaseResult<Append> {
        // The second stream of an append is never its first.
        let id = self.numbers.random_range(1..=3_u128) + if before.is_some() { 3 } else { 0 };
        let stream = StreamId::new("Order", Uuid::from_u128(id))?;
        let expected = match self.numbers.random_range(0..8) {
            0 => ExpectedVersion::NoStream,
            1 => ExpectedVersion::StreamExists,
            2 | 3 => ExpectedVersion::Any,
            _ => self.store.stream_version(&stream).await?.into(),
        };
        let events = self.events();
        Ok(match before {
            None => Append::to_stream(stream, expected, events),
            Some(append) => append.and_stream(stream, expected, events),
        })
    }

    fn events(&mut self) -> Vec<NewEvent> {
        let count = self.numbers.random_range(1..=3);
        (0..count)
            .map(|_| {
                let room = self.numbers.random_range(1..=4).to_string();
                tagged(["Opened", "Closed", "Renamed"][self.numbers.random_range(0..3)], "room", &room)
            })
            .collect()
    }

    fn filter(&mut self) -> Filter {
        match self.numbers.random_range(0..4) {
            0 => types(["Renamed"]),
            _ => tag("room", &self.numbers.random_range(1..=4).to_string()),
        }
    }
}

/// Counts those who are at work.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A number for a name, so that every writer draws others.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(14_695_981_039_346_656_037, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
    })
}
