//! A store that can be broken in many ways, above the naive model.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use conformance_tests::model::ModelStore;
use eventsource_core::{
    Append, Appended, Capabilities, Capability, ChangeSignal, Changes, Conflict, Error, EventId, EventStore,
    EventStoreExt, ExpectedVersion, Filter, Page, Position, ReadOptions, RecordedEvent, Result, StreamId,
    Version,
};
use tokio::time::sleep;

use crate::defect::Defect;
use crate::rewrite;

/// How long a defect's window stands open: long enough for others to come in between.
const A_MOMENT: Duration = Duration::from_millis(2);

/// A handle on a log that outlives it. Without a defect, it keeps the whole contract.
#[derive(Debug)]
pub(crate) struct Mutant {
    ground: Arc<Ground>,
    /// None once it is closed.
    signal: Mutex<Option<ChangeSignal>>,
    /// Nobody ever calls with it.
    silence: ChangeSignal,
}

/// What all handles on one log share.
#[derive(Debug)]
pub(crate) struct Ground {
    defect: Defect,
    model: ModelStore,
    damaged: Mutex<HashSet<Position>>,
    /// Events that nobody sees yet, and until when.
    hidden: Mutex<HashMap<Position, Instant>>,
    appends: AtomicU64,
}

impl Ground {
    pub(crate) fn new(defect: Defect, model: ModelStore) -> Arc<Self> {
        Arc::new(Self {
            defect,
            model,
            damaged: Mutex::default(),
            hidden: Mutex::default(),
            appends: AtomicU64::new(0),
        })
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

    fn hide(&self, position: Position, duration: Duration) {
        self.hidden.lock().expect("nothing panics under it").insert(position, Instant::now() + duration);
    }

    fn is_hidden(&self, position: Position) -> bool {
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

    fn check_open(&self) -> Result<()> {
        let open = self.signal.lock().expect("nothing panics under it").is_some();
        if open { Ok(()) } else { Err(Error::unavailable("the store is closed")) }
    }

    async fn append_broken(&self, append: Append) -> Result<Appended> {
        let inner = &self.ground.model;
        let any = |_: &StreamId, _| ExpectedVersion::Any;
        let same = |_: &StreamId, expected| expected;
        let whole = |events: &[_]| events.to_vec();
        match self.ground.defect {
            Defect::IgnoresConditions => inner.append(rewrite::append(&append, same, whole, &[])).await,
            Defect::ChecksConditionsBeforeTheLock => {
                self.check_conditions(&append).await?;
                sleep(A_MOMENT).await;
                inner.append(rewrite::append(&append, same, whole, &[])).await
            }
            Defect::ConditionsIncludeTheirPosition => {
                let conditions: Vec<_> = append
                    .conditions()
                    .iter()
                    .map(|condition| {
                        let after = condition.after_position().to_raw().saturating_sub(1);
                        condition.clone().after(Position::from_raw(after))
                    })
                    .collect();
                inner.append(rewrite::append(&append, same, whole, &conditions)).await
            }
            Defect::IgnoresVersions => {
                inner.append(rewrite::append(&append, any, whole, append.conditions())).await
            }
            Defect::ChecksVersionsBeforeTheLock => {
                self.check_versions(&append).await?;
                sleep(A_MOMENT).await;
                inner.append(rewrite::append(&append, any, whole, append.conditions())).await
            }
            Defect::AnyConflicts => {
                let mut seen = HashMap::new();
                for stream in append.parts().iter().filter_map(|part| part.stream()) {
                    seen.insert(stream.clone(), ExpectedVersion::from(inner.stream_version(stream).await?));
                }
                sleep(A_MOMENT).await;
                let as_seen = |stream: &StreamId, expected| match expected {
                    ExpectedVersion::Any => seen[stream],
                    other => other,
                };
                inner.append(rewrite::append(&append, as_seen, whole, append.conditions())).await
            }
            Defect::LosesAnAppend if self.ground.appends.fetch_add(1, Ordering::SeqCst) % 5 == 4 => {
                self.predicted(&append).await
            }
            Defect::AcknowledgesBeforeWriting => {
                let appended = self.predicted(&append).await?;
                let inner = inner.clone();
                tokio::spawn(async move {
                    sleep(A_MOMENT).await;
                    let _nobody_asks = inner.append(append).await;
                });
                Ok(appended)
            }
            Defect::ReordersAnAppend => {
                let reversed = |events: &[_]| events.iter().rev().cloned().collect();
                inner.append(rewrite::events(&append, reversed)).await
            }
            Defect::ForgetsATag => {
                let forgetful = |events: &[_]| events.iter().map(rewrite::with_one_tag).collect();
                inner.append(rewrite::events(&append, forgetful)).await
            }
            Defect::RoundsNumbers => {
                let rounding = |events: &[_]| events.iter().map(rewrite::with_rounded_numbers).collect();
                inner.append(rewrite::events(&append, rounding)).await
            }
            Defect::TearsAnAppend => self.append_part_by_part(&append).await,
            Defect::WritesARetryAgain if self.first_known(&append).await?.is_some() => {
                let renamed = |events: &[eventsource_core::NewEvent]| {
                    events.iter().map(|event| event.clone().id(EventId::random())).collect()
                };
                inner.append(rewrite::events(&append, renamed)).await
            }
            Defect::TakesAnyKnownIdForARetry => match self.first_known(&append).await? {
                None => inner.append(append).await,
                Some(known) => {
                    let (first, last) = (known.position(), known.position());
                    Ok(Appended { first, last, versions: Vec::new(), replayed: true })
                }
            },
            Defect::WritesTheRestOfAnAppend => {
                let mut known = HashSet::new();
                for event in self.everything().await? {
                    known.insert(event.id());
                }
                let rest = |events: &[eventsource_core::NewEvent]| {
                    events.iter().filter(|event| !known.contains(&event.event_id())).cloned().collect()
                };
                let rest = rewrite::events(&append, rest);
                inner.append(if rest.event_count() == 0 { append } else { rest }).await
            }
            Defect::JudgesBeforeItLooksForARetry => {
                self.check_versions(&append).await?;
                self.check_conditions(&append).await?;
                inner.append(append).await
            }
            Defect::JudgesConditionsFirst => {
                self.check_conditions(&append).await?;
                inner.append(append).await
            }
            Defect::NamesTheLastMatch => match inner.append(append.clone()).await {
                Err(error) if matches!(error.conflict(), Some(Conflict::Condition { .. })) => {
                    Err(self.last_match(&append).await?.map_or(error, Error::from))
                }
                answer => answer,
            },
            _ => inner.append(append).await,
        }
    }

    /// Hides what the defect shows late.
    fn hide_some(&self, appended: &Appended) {
        match self.ground.defect {
            Defect::LetsALateCommitInBelowTheHead if appended.first.to_raw().is_multiple_of(3) => {
                self.ground.hide(appended.first, A_MOMENT);
            }
            Defect::ShowsHalfAnAppend if appended.first < appended.last => {
                self.ground.hide(appended.last, A_MOMENT);
            }
            _ => {}
        }
    }

    async fn append_part_by_part(&self, append: &Append) -> Result<Appended> {
        let mut whole: Option<Appended> = None;
        for part in rewrite::parts(append) {
            let appended = self.ground.model.append(part).await?;
            whole = Some(match whole {
                None => appended,
                Some(before) => Appended {
                    last: appended.last,
                    versions: [before.versions, appended.versions].concat(),
                    ..before
                },
            });
            sleep(A_MOMENT).await;
        }
        whole.ok_or_else(|| Error::invalid_input("an append is never empty"))
    }

    async fn check_versions(&self, append: &Append) -> Result<()> {
        for part in append.parts() {
            let Some(stream) = part.stream() else { continue };
            let (expected, actual) = (part.expected(), self.ground.model.stream_version(stream).await?);
            if !expected.is_met_by(actual) {
                return Err(Conflict::StreamVersion { stream: stream.clone(), expected, actual }.into());
            }
        }
        Ok(())
    }

    async fn check_conditions(&self, append: &Append) -> Result<()> {
        for condition in append.conditions() {
            let options = ReadOptions::new().after(condition.after_position()).limit(1);
            let page = self.ground.model.read_page(condition.filter(), &options).await?;
            if let Some(found) = page.events.first() {
                let (position, event_type) = (found.position(), found.event_type().clone());
                return Err(Conflict::Condition { position, event_type }.into());
            }
        }
        Ok(())
    }

    async fn last_match(&self, append: &Append) -> Result<Option<Conflict>> {
        for condition in append.conditions() {
            let found = self.ground.model.last(condition.filter()).await?;
            if let Some(found) = found.filter(|found| found.position() > condition.after_position()) {
                let (position, event_type) = (found.position(), found.event_type().clone());
                return Ok(Some(Conflict::Condition { position, event_type }));
            }
        }
        Ok(None)
    }

    /// What an append would be answered if it were written now.
    async fn predicted(&self, append: &Append) -> Result<Appended> {
        let head = self.ground.model.head().await?.to_raw();
        let mut versions = Vec::new();
        for part in append.parts() {
            let Some(stream) = part.stream() else { continue };
            let current = self.ground.model.stream_version(stream).await?;
            versions.push((stream.clone(), Version::after(current, part.events().len() as u64)));
        }
        let (first, last) = (head + 1, head + append.event_count() as u64);
        Ok(Appended {
            first: Position::from_raw(first),
            last: Position::from_raw(last),
            versions,
            replayed: false,
        })
    }

    async fn first_known(&self, append: &Append) -> Result<Option<RecordedEvent>> {
        let first = append.each_event().next().map(|(_, event)| event.event_id());
        Ok(self.everything().await?.into_iter().find(|event| Some(event.id()) == first))
    }

    async fn everything(&self) -> Result<Vec<RecordedEvent>> {
        Ok(self.ground.model.query(&Filter::all()).await?.events)
    }

    async fn page_broken(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        let inner = &self.ground.model;
        let mut page = match self.ground.defect {
            Defect::ForgetsTheTenant => inner.read_page(&rewrite::without_tenant(filter), options).await?,
            Defect::LimitsBeforeItFilters if filter.scope().stream().is_none() => {
                let mut page = inner.read_page(&Filter::all(), options).await?;
                page.events.retain(|event| filter.matches(event));
                page
            }
            _ => inner.read_page(filter, options).await?,
        };
        match self.ground.defect {
            Defect::TakesNothingForAll if page.events.is_empty() && filter.items().is_some() => {
                page = inner.read_page(&Filter::all(), options).await?;
            }
            Defect::ForgetsThatThereIsMore => page.more = false,
            Defect::KeepsTheCursor if page.events.is_empty() => page.more = true,
            Defect::UntilIsExclusive => {
                page.events.retain(|event| Some(event.position()) != options.until_position());
            }
            Defect::HeadIsAhead => page.head = ahead(page.head),
            Defect::ReusesAPosition => page.events.iter_mut().for_each(reuse_position),
            Defect::SkipsAVersion => page.events.iter_mut().for_each(skip_version),
            _ => {}
        }
        let damaged = self.ground.damaged.lock().expect("nothing panics under it").clone();
        if self.ground.defect == Defect::DropsUndecodableEvents {
            page.events.retain(|event| !damaged.contains(&event.position()));
        } else if let Some(broken) = page.events.iter().find(|event| damaged.contains(&event.position())) {
            let position = broken.position();
            return Err(Error::corrupt(format!("the event at position {position} can't be decoded")));
        }
        page.events.retain(|event| !self.ground.is_hidden(event.position()));
        page.head = self.visible(page.head);
        Ok(page)
    }

    fn visible(&self, mut head: Position) -> Position {
        while self.ground.is_hidden(head) {
            head = Position::from_raw(head.to_raw() - 1);
        }
        head
    }
}

fn ahead(head: Position) -> Position {
    Position::from_raw(head.to_raw() + 1)
}

fn reuse_position(event: &mut RecordedEvent) {
    let raw = event.position().to_raw();
    if raw.is_multiple_of(4) {
        *event = rewrite::recorded(event, Position::from_raw(raw - 1), event.version());
    }
}

fn skip_version(event: &mut RecordedEvent) {
    if let Some(version) = event.version().filter(|version| version.get() > 2) {
        *event = rewrite::recorded(event, event.position(), Some(version.next()));
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for Mutant {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.check_open()?;
        append.validate()?;
        let appended = self.append_broken(append).await?;
        self.hide_some(&appended);
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
        Capabilities::none().with(Capability::Durable)
    }

    async fn close(&self) -> Result<()> {
        self.signal.lock().expect("nothing panics under it").take();
        Ok(())
    }
}
