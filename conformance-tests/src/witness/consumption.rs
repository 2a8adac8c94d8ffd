use std::collections::HashMap;

use eventsource_consumers::OrderingKey;
use eventsource_core::{Checkpoint, ConsumerName, FencingToken, Position, RecordedEvent};

use super::{Property, Verdict};

/// What the members of a group did with a log, and what was seen of their checkpoints meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Consumption {
    /// Where the events lie that were handled, in the order in which they were.
    pub handled: Vec<Position>,
    /// How often an event may be handled.
    pub delivery: Delivery,
    /// The records that members were told are made, in whatever order.
    pub saves: Vec<Save>,
    /// What somebody saw who looked at the checkpoints again and again: each time that one was not as before.
    pub checkpoints: Vec<Checkpoint>,
}

/// How often an event may be handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Once: the view is in the log's own database.
    #[default]
    ExactlyOnce,
    /// Once or more.
    AtLeastOnce,
}

/// A checkpoint that a member saved, and was told so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Save {
    /// The partition's consumer.
    pub consumer: ConsumerName,
    /// Under which token of the partition's lease.
    pub token: FencingToken,
    /// Where the checkpoint was before.
    pub after: Position,
    /// Where it is since.
    pub position: Position,
}

/// Compares what a group did with the log.
///
/// # Errors
/// Everything that does not keep what groups are promised.
pub(super) fn judge(log: &[RecordedEvent], consumption: &Consumption) -> Result<(), Verdict> {
    let mut verdict = Verdict::default();
    judge_handled(log, consumption, &mut verdict);
    judge_saves(&consumption.saves, &mut verdict);
    judge_checkpoints(&consumption.checkpoints, &mut verdict);
    verdict.into_result(())
}

/// Every event of the log, for the first time in log order for each key, as often as promised; and nothing else.
fn judge_handled(log: &[RecordedEvent], consumption: &Consumption, verdict: &mut Verdict) {
    let mut first: HashMap<Position, usize> = HashMap::new();
    for (index, position) in consumption.handled.iter().enumerate() {
        let earlier = *first.entry(*position).or_insert(index);
        if earlier < index && consumption.delivery == Delivery::ExactlyOnce {
            verdict.add(Property::HandledOnce, format!("the event at {position} was handled again"));
        }
    }
    let key = OrderingKey::stream();
    let mut newest: HashMap<String, (usize, Position)> = HashMap::new();
    for event in log {
        let position = event.position();
        let Some(index) = first.remove(&position) else {
            verdict.add(Property::EveryEventIsHandled, format!("the event at {position} was never handled"));
            continue;
        };
        let Some(key) = key.of(event) else { continue };
        match newest.get(&key) {
            Some((before, later)) if *before > index => verdict.add(
                Property::KeysAreInOrder,
                format!("of {key}, the event at {position} was handled before the one at {later}"),
            ),
            _ => drop(newest.insert(key, (index, position))),
        }
    }
    for position in first.keys() {
        verdict.add(Property::NothingElseIsHandled, format!("no event lies at {position}"));
    }
}

/// In each partition one save follows the other, and no token comes after a newer one.
///
/// Members tell when they were told, which may be much later; where a save leads to says where it belongs.
fn judge_saves(saves: &[Save], verdict: &mut Verdict) {
    let mut partitions: HashMap<&ConsumerName, Vec<&Save>> = HashMap::new();
    for save in saves {
        partitions.entry(&save.consumer).or_default().push(save);
    }
    for (consumer, mut saves) in partitions {
        saves.sort_by_key(|save| (save.position, save.after, save.token));
        // The same one again is fine: an answer was lost.
        saves.dedup();
        for pair in saves.windows(2) {
            let [before, save] = pair else { continue };
            let text = || {
                let Save { token, after, position, .. } = save;
                let (newer, last) = (before.token, before.position);
                format!("{consumer}: {after} to {position} under {token}, behind {last} under {newer}")
            };
            if save.token < before.token {
                verdict.add(Property::FencedWriteNothing, text());
            }
            if save.after < before.position {
                verdict.add(Property::CheckpointsGoForward, text());
            }
        }
    }
}

fn judge_checkpoints(seen: &[Checkpoint], verdict: &mut Verdict) {
    let mut newest: HashMap<&ConsumerName, &Checkpoint> = HashMap::new();
    for now in seen {
        let Some(before) = newest.insert(&now.consumer, now) else { continue };
        let forward = now.position >= before.position
            && now.events_processed >= before.events_processed
            && now.resets == before.resets;
        if !forward {
            let told = |each: &Checkpoint| {
                format!(
                    "{} after {} events, reset {} times",
                    each.position, each.events_processed, each.resets
                )
            };
            let text = format!("{} went from {} to {}", now.consumer, told(before), told(now));
            verdict.add(Property::CheckpointsGoForward, text);
        }
    }
}
