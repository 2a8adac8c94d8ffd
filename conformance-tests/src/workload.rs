//! Many writers and readers at once, whose history a witness can judge.

use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Append, EventStore, EventStoreExt, ExpectedVersion, Filter, NewEvent, Position, StreamId,
};
use proptest::prelude::RngExt;
use proptest::test_runner::TestRng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use crate::given::{log_of, tag, tagged, types};
use crate::witness::{History, Recorder, Summary, Tail, Witness};
use crate::{CaseResult, Cx, random};

/// Writers that append with random versions, conditions and retries, and readers that follow.
pub(crate) struct Workload {
    cx: Cx,
    recorder: Recorder,
    name: String,
    writers: u64,
    appends: usize,
    readers: Vec<Filter>,
    others: Others,
}

/// Who else appends to the log meanwhile.
enum Others {
    /// These tasks, and nobody who goes on after they are done.
    Tasks(Vec<JoinHandle<CaseResult>>),
    /// Nobody knows; they may go on when this workload is over.
    Unknown,
}

impl Workload {
    pub(crate) fn new(cx: &Cx, recorder: &Recorder) -> Self {
        let name = "writer".to_owned();
        let others = Others::Tasks(Vec::new());
        let (cx, recorder) = (cx.clone(), recorder.clone());
        Self { cx, recorder, name, writers: 1, appends: 1, readers: Vec::new(), others }
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

    /// The readers read on until these tasks are done as well.
    pub(crate) fn beside(self, tasks: Vec<JoinHandle<CaseResult>>) -> Self {
        Self { others: Others::Tasks(tasks), ..self }
    }

    /// Others whom it doesn't know append as well: its readers stop somewhere.
    pub(crate) fn among_others(self) -> Self {
        Self { others: Others::Unknown, ..self }
    }

    /// Runs it all, until every writer has written and every reader has read to the end.
    pub(crate) async fn run(self, store: &Arc<dyn EventStore>) -> CaseResult {
        let (over, is_over) = watch::channel(false);
        let until = match self.others {
            Others::Tasks(_) => Until::TheEnd,
            Others::Unknown => Until::Somewhere,
        };
        let readers: Vec<_> = self
            .readers
            .iter()
            .enumerate()
            .map(|(number, filter)| {
                let tail = self.recorder.tail(format!("reader {number}"), filter.clone(), Position::START);
                let follower =
                    Follower { store: store.clone(), recorder: self.recorder.clone(), over: is_over.clone() };
                tokio::spawn(follower.follow(tail, until))
            })
            .collect();
        let mut tasks: Vec<_> = (0..self.writers)
            .map(|number| {
                let name = format!("{} {number}", self.name);
                let numbers = random::numbers(&self.cx, fingerprint(&name));
                let writer = Writer::new(store.clone(), self.recorder.clone(), name, numbers);
                tokio::spawn(writer.append_often(self.appends))
            })
            .collect();
        if let Others::Tasks(others) = self.others {
            tasks.extend(others);
        }
        for task in tasks {
            task.await??;
        }
        over.send_replace(true);
        for reader in readers {
            reader.await??;
        }
        Ok(())
    }
}

/// How far a follower reads when the writers are done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    TheEnd,
    Somewhere,
}

/// One who reads on behind the others.
struct Follower {
    store: Arc<dyn EventStore>,
    recorder: Recorder,
    over: watch::Receiver<bool>,
}

impl Follower {
    /// Few, so that a page often ends in the middle of an append.
    const PAGE: u64 = 7;

    async fn follow(self, mut tail: Tail, until: Until) -> CaseResult {
        while !*self.over.borrow() {
            tail.look(&*self.store, Self::PAGE).await?;
            self.recorder.head(&*self.store).await?;
            // A store in memory answers at once and never lets go of its thread: readers without a pause would keep the
            // writers from ever ending, and what they saw would fill the memory.
            sleep(Duration::from_micros(500)).await;
        }
        if until == Until::TheEnd {
            tail.finish(&*self.store, Self::PAGE).await?;
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

    async fn append_often(mut self, times: usize) -> CaseResult {
        for _ in 0..times {
            self.append().await?;
        }
        Ok(())
    }

    /// Appends something, or repeats what it appended last.
    ///
    /// # Errors
    /// Everything but conflicts.
    async fn append(&mut self) -> CaseResult {
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
            1 => self.draw_for_stream(None).await?,
            _ => {
                let first = self.draw_for_stream(None).await?;
                self.draw_for_stream(Some(first)).await?
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

    async fn draw_for_stream(&mut self, before: Option<Append>) -> CaseResult<Append> {
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

/// A number for a name, so that every writer draws others.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(14_695_981_039_346_656_037, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
    })
}
