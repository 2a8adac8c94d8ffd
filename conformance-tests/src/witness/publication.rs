use std::collections::{HashMap, HashSet};

use eventsource_core::{EventId, OutboxStatistics, RecordedEvent, StreamId, Version};

use super::{Delivery, Property, Verdict};

/// What came out of a log's outbox, and how the outbox stood meanwhile and in the end.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// What the other end was given, in the order in which it was.
    pub deliveries: Vec<RecordedEvent>,
    /// How often it may have been given an event.
    pub delivery: Delivery,
    /// What somebody saw who looked again and again.
    pub looks: Vec<OutboxLook>,
    /// How the outbox stood when everything was over.
    pub end: OutboxStatistics,
}

/// How many entries were settled as published, and how many events the other end had been given when asked after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLook {
    /// By the outbox.
    pub settled: u64,
    /// Each counted once.
    pub delivered: u64,
}

/// Compares what was published with the log, all of whose events were to be published.
///
/// # Errors
/// Everything that does not keep what relays are promised.
pub(super) fn judge(log: &[RecordedEvent], publication: &Publication) -> Result<(), Verdict> {
    let mut verdict = Verdict::default();
    let delivered = judge_deliveries(log, publication, &mut verdict);
    judge_outbox(log.len() as u64, delivered, publication, &mut verdict);
    verdict.into_result(())
}

/// Every event of the log as it is, each stream's in order where they come for the first time, as often as promised; and
/// nothing else. How many of them came.
fn judge_deliveries(log: &[RecordedEvent], publication: &Publication, verdict: &mut Verdict) -> u64 {
    let stored: HashMap<EventId, &RecordedEvent> = log.iter().map(|event| (event.id(), event)).collect();
    let mut known = HashSet::new();
    let mut newest: HashMap<&StreamId, Version> = HashMap::new();
    for event in &publication.deliveries {
        let id = event.id();
        if stored.get(&id).is_none_or(|stored| *stored != event) {
            verdict.add(Property::NothingElseIsPublished, format!("{id} is not in the log like this"));
        }
        if !known.insert(id) {
            if publication.delivery == Delivery::ExactlyOnce {
                verdict.add(Property::PublishedOnce, format!("{id} was published again"));
            }
            continue;
        }
        let Some((stream, version)) = event.stream().zip(event.version()) else { continue };
        let before = newest.insert(stream, version);
        if version != Version::after(before, 1) {
            let before = before.map_or(0, Version::get);
            let text = format!("{stream} came to version {version} after version {before}");
            verdict.add(Property::StreamsArePublishedInOrder, text);
        }
    }
    let (delivered, missing): (Vec<_>, Vec<_>) = log.iter().partition(|event| known.contains(&event.id()));
    for event in missing {
        let text = format!("the event at {} was never published", event.position());
        verdict.add(Property::EveryEventIsPublished, text);
    }
    delivered.len() as u64
}

/// Every event has its entry, every entry is settled in the end, and none was settled that was not published.
fn judge_outbox(events: u64, delivered: u64, publication: &Publication, verdict: &mut Verdict) {
    let OutboxStatistics { pending, in_flight, published, failed, .. } = publication.end;
    if pending + in_flight + failed > 0 || published != events {
        let text = format!(
            "of {events} events, {published} are settled, {pending} wait, {in_flight} are claimed, {failed} are given up"
        );
        verdict.add(Property::EverythingIsSettled, text);
    }
    let end = OutboxLook { settled: published, delivered };
    for look in publication.looks.iter().chain([&end]) {
        if look.settled > look.delivered {
            let text = format!("{} were settled when {} were published", look.settled, look.delivered);
            verdict.add(Property::SettledIsPublished, text);
        }
    }
}
