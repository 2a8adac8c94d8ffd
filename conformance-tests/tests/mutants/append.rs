//! What broken stores do when they append.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use eventsource_core::{
    Append, Appended, Conflict, Error, EventId, EventStore, EventStoreExt, ExpectedVersion, Filter, NewEvent,
    Position, ReadOptions, RecordedEvent, Result, StreamId, Version,
};
use tokio::time::sleep;

use crate::defect::Defect;
use crate::rewrite;
use crate::store::{A_MOMENT, Mutant};

impl Mutant {
    pub(crate) async fn append_broken(&self, append: Append) -> Result<Appended> {
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
            Defect::ForgetsTheSchemaVersion => {
                inner.append(append.map_events(|event| Ok(event.schema_version(1)))?).await
            }
            Defect::LowersEventTypes => {
                inner.append(append.map_events(|event| rewrite::lowered(&event))?).await
            }
            Defect::ForgetsTheCause | Defect::ForgetsTheCorrelation | Defect::ForgetsTheActor => {
                let forget = |event: NewEvent| {
                    let metadata = rewrite::forgetful_metadata(event.all_metadata(), self.ground.defect)?;
                    Ok(event.metadata(metadata))
                };
                inner.append(append.map_events(forget)?).await
            }
            Defect::RoundsNumbers => {
                let rounding = |events: &[_]| events.iter().map(rewrite::with_rounded_numbers).collect();
                inner.append(rewrite::events(&append, rounding)).await
            }
            Defect::TearsAnAppend => self.append_part_by_part(&append).await,
            Defect::WritesARetryAgain if self.first_known(&append).await?.is_some() => {
                let renamed = |events: &[NewEvent]| {
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
                let rest = |events: &[NewEvent]| {
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
    pub(crate) fn hide_some(&self, appended: &Appended) {
        match self.ground.defect {
            Defect::LetsALateCommitInBelowTheHead if appended.first.to_raw().is_multiple_of(3) => {
                // Long enough for others to be seen behind it.
                self.ground.hide(appended.first, A_MOMENT * 10);
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
}
