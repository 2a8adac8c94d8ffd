use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    ConsumerName, DeadLetter, DeadLetterKey, DeadLetterQuery, DeadLetterState, DeadLetters, Error,
    NewDeadLetter, Result, check_resolver,
};

use crate::MemoryStore;
use crate::store::State;

/// Each dead letter, and since when somebody has been trying it again.
pub(crate) type Parked = BTreeMap<DeadLetterKey, (DeadLetter, Option<DateTime<Utc>>)>;

#[async_trait]
impl DeadLetters for MemoryStore {
    async fn park(&self, letter: &NewDeadLetter) -> Result<()> {
        self.change(|state, now| park(state, letter, now))
    }

    async fn park_behind(&self, letter: &NewDeadLetter) -> Result<bool> {
        let key = letter
            .ordering_key()
            .ok_or_else(|| Error::invalid_input("an event without a key is held back by nothing"))?;
        self.change(|state, now| {
            let held = state.dead_letters.values().any(|(other, _)| {
                other.key.consumer == *letter.consumer()
                    && other.state != DeadLetterState::Resolved
                    && other.ordering_key.as_deref() == Some(key)
            });
            if held {
                park(state, letter, now)?;
            }
            Ok(held)
        })
    }

    async fn held_keys(&self, consumer: &ConsumerName) -> Result<BTreeSet<String>> {
        self.look(|state| {
            let letters = state.dead_letters.values().map(|(letter, _)| letter);
            letters
                .filter(|letter| {
                    letter.key.consumer == *consumer && letter.state != DeadLetterState::Resolved
                })
                .filter_map(|letter| letter.ordering_key.clone())
                .collect()
        })
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
        self.look(|state| {
            let letters = state.dead_letters.values().map(|(letter, _)| letter);
            let mut found: Vec<_> = letters.filter(|letter| query.admits(letter)).cloned().collect();
            found.sort_by(|a, b| (a.position, &a.key.consumer).cmp(&(b.position, &b.key.consumer)));
            if let Some(limit) = query.max_letters() {
                found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            }
            found
        })
    }

    async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<u64> {
        self.look(|state| {
            state.dead_letters.values().filter(|(letter, _)| query.admits(letter)).count() as u64
        })
    }

    async fn begin_retry(
        &self,
        key: &DeadLetterKey,
        abandoned_after: Duration,
    ) -> Result<Option<DeadLetter>> {
        self.change(|state, now| {
            let Some((letter, retrying_since)) = state.dead_letters.get_mut(key) else { return Ok(None) };
            let abandoned = retrying_since.is_some_and(|since| since <= before(now, abandoned_after));
            let free = match letter.state {
                DeadLetterState::Failed => true,
                DeadLetterState::Retrying => abandoned,
                DeadLetterState::Resolved => false,
            };
            if !free {
                return Ok(None);
            }
            letter.state = DeadLetterState::Retrying;
            *retrying_since = Some(now);
            Ok(Some(letter.clone()))
        })
    }

    async fn resolve(&self, key: &DeadLetterKey, by: &str) -> Result<bool> {
        check_resolver(by)?;
        self.change(|state, now| {
            let Some((letter, retrying_since)) = state.dead_letters.get_mut(key) else { return Ok(false) };
            letter.resolve(by, now);
            *retrying_since = None;
            Ok(true)
        })
    }

    async fn hand_over_dead_letters(&self, from: &ConsumerName, to: &ConsumerName) -> Result<()> {
        self.change(|state, now| {
            let letters = std::mem::take(&mut state.dead_letters);
            let (handed_over, mut kept): (Parked, Parked) =
                letters.into_iter().partition(|(key, _)| key.consumer == *from);
            for (letter, retrying_since) in kept.values_mut().filter(|(letter, _)| letter.key.consumer == *to)
            {
                letter.resolve(from.as_str(), now);
                *retrying_since = None;
            }
            for (letter, retrying_since) in handed_over.into_values() {
                let key = DeadLetterKey { consumer: to.clone(), ..letter.key.clone() };
                let letter = letter.handed_over(to.clone(), kept.get(&key).map(|(before, _)| before));
                kept.insert(key, (letter, retrying_since));
            }
            state.dead_letters = kept;
            Ok(())
        })
    }

    async fn delete_resolved(&self, older_than: Duration) -> Result<u64> {
        self.change(|state, now| {
            let (count, limit) = (state.dead_letters.len(), before(now, older_than));
            state.dead_letters.retain(|_, (letter, _)| {
                letter.resolution.as_ref().is_none_or(|resolution| resolution.at >= limit)
            });
            Ok((count - state.dead_letters.len()) as u64)
        })
    }
}

fn park(state: &mut State, letter: &NewDeadLetter, now: DateTime<Utc>) -> Result<()> {
    if let Some(fence) = letter.fence() {
        fence.judge(state.leases.newest_token(&fence.key))?;
    }
    match state.dead_letters.get_mut(&letter.key()) {
        Some((parked, retrying_since)) => {
            parked.fail_again(letter, now);
            *retrying_since = None;
        }
        None => {
            state.dead_letters.insert(letter.key(), (letter.to_dead_letter(now), None));
        }
    }
    Ok(())
}

/// So long before `now`; the beginning of time, if that is longer than there has been any.
fn before(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|delta| now.checked_sub_signed(delta))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}
