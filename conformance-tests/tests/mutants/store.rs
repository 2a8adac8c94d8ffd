//! A store that can be broken in many ways, above the naive model.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use conformance_tests::model::{ModelSnapshots, ModelStore};
use eventsource_core::{
    Append, Appended, Capabilities, Capability, ChangeSignal, Changes, Clock, Error, EventStore, Filter,
    OutboxFilter, Page, Position, ReadOptions, Result, StreamId, Version,
};

use crate::defect::Defect;
use crate::outbox::Row;

/// How long a defect's window stands open: long enough for others to come in between.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(2);

/// A handle on a log that outlives it. Without a defect, it keeps the whole contract.
#[derive(Debug)]
pub(crate) struct Mutant {
    pub(crate) ground: Arc<Ground>,
    /// None once it is closed.
    signal: Mutex<Option<ChangeSignal>>,
    /// Nobody ever calls with it.
    silence: ChangeSignal,
}

/// What all handles on one log share.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) defect: Defect,
    pub(crate) model: ModelStore,
    pub(crate) snapshots: ModelSnapshots,
    pub(crate) damaged: Mutex<HashSet<Position>>,
    /// Events that nobody sees yet, and until when.
    pub(crate) hidden: Mutex<HashMap<Position, Instant>>,
    pub(crate) appends: AtomicU64,
    pub(crate) clock: Arc<dyn Clock>,
    /// What goes into the outbox; nothing, if none was asked for.
    pub(crate) publish: Option<OutboxFilter>,
    rows: Mutex<Vec<Row>>,
    /// The latest time at which somebody claimed, in microseconds.
    pub(crate) latest: AtomicI64,
}

impl Ground {
    pub(crate) fn new(defect: Defect, clock: Arc<dyn Clock>, publish: Option<OutboxFilter>) -> Arc<Self> {
        Arc::new(Self {
            defect,
            model: ModelStore::with_clock(clock.clone()),
            clock,
            publish,
            rows: Mutex::default(),
            latest: AtomicI64::new(0),
            snapshots: ModelSnapshots::default(),
            damaged: Mutex::default(),
            hidden: Mutex::default(),
            appends: AtomicU64::new(0),
        })
    }

    pub(crate) fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().expect("nothing panics under it")
    }

    pub(crate) fn damage(&self, position: Position) {
        self.damaged.lock().expect("nothing panics under it").insert(position);
    }

    /// The log as it is after all handles were closed.
    pub(crate) async fn reopened(self: &Arc<Self>) -> Result<Mutant> {
        if self.defect == Defect::ForgetsTheLastOnReopening {
            self.hide(self.model.head().await?, Duration::from_secs(3_600));
        }
        Ok(Mutant::on(self))
    }

    pub(crate) fn hide(&self, position: Position, duration: Duration) {
        self.hidden.lock().expect("nothing panics under it").insert(position, Instant::now() + duration);
    }

    pub(crate) fn is_hidden(&self, position: Position) -> bool {
        self.hidden
            .lock()
            .expect("nothing panics under it")
            .get(&position)
            .is_some_and(|until| Instant::now() < *until)
    }
}

impl Mutant {
    pub(crate) fn on(ground: &Arc<Ground>) -> Self {
        let signal = Mutex::new(Some(ChangeSignal::new()));
        Self { ground: ground.clone(), signal, silence: ChangeSignal::new() }
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        let open = self.signal.lock().expect("nothing panics under it").is_some();
        if open { Ok(()) } else { Err(Error::closed("the store is closed")) }
    }

    pub(crate) fn visible(&self, mut head: Position) -> Position {
        while self.ground.is_hidden(head) {
            head = Position::from_raw(head.to_raw() - 1);
        }
        head
    }
}

pub(crate) fn ahead(head: Position) -> Position {
    Position::from_raw(head.to_raw() + 1)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for Mutant {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.check_open()?;
        append.validate()?;
        self.fill_outbox_beforehand(&append);
        let appended = self.append_broken(append).await?;
        self.hide_some(&appended);
        self.fill_outbox(appended.first, appended.last, appended.replayed).await?;
        if let Some(signal) = &*self.signal.lock().expect("nothing panics under it") {
            signal.notify();
        }
        Ok(appended)
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        self.check_open()?;
        options.validate(filter)?;
        self.page_broken(filter, options).await
    }

    async fn head(&self) -> Result<Position> {
        self.check_open()?;
        let head = self.visible(self.ground.model.head().await?);
        Ok(if self.ground.defect == Defect::HeadIsAhead { ahead(head) } else { head })
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.check_open()?;
        self.ground.model.stream_version(stream).await
    }

    fn changes(&self) -> Changes {
        if self.ground.defect == Defect::NeverWakes {
            return self.silence.subscribe();
        }
        match &*self.signal.lock().expect("nothing panics under it") {
            Some(signal) => signal.subscribe(),
            // Nobody holds the other end of a fresh signal, which is how a closed store says so.
            None => ChangeSignal::new().subscribe(),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with(Capability::Durable).with(Capability::Snapshots).with(Capability::Outbox)
    }

    async fn close(&self) -> Result<()> {
        self.signal.lock().expect("nothing panics under it").take();
        Ok(())
    }
}
