use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    ConsumerName, DeadLetter, DeadLetterKey, DeadLetterQuery, DeadLetters, NewDeadLetter, Result,
};

use super::{Faulty, Kind};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: DeadLetters> DeadLetters for Faulty<S> {
    async fn park(&self, letter: &NewDeadLetter) -> Result<()> {
        self.changing(Kind::DeadLetters, self.store.park(letter)).await
    }

    async fn park_behind(&self, letter: &NewDeadLetter) -> Result<bool> {
        self.changing(Kind::DeadLetters, self.store.park_behind(letter)).await
    }

    async fn held_keys(&self, consumer: &ConsumerName) -> Result<BTreeSet<String>> {
        self.asking(Kind::DeadLetters, self.store.held_keys(consumer)).await
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
        self.asking(Kind::DeadLetters, self.store.dead_letters(query)).await
    }

    async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<u64> {
        self.asking(Kind::DeadLetters, self.store.count_dead_letters(query)).await
    }

    async fn begin_retry(
        &self,
        key: &DeadLetterKey,
        abandoned_after: Duration,
    ) -> Result<Option<DeadLetter>> {
        self.changing(Kind::DeadLetters, self.store.begin_retry(key, abandoned_after)).await
    }

    async fn resolve(&self, key: &DeadLetterKey, by: &str) -> Result<bool> {
        self.changing(Kind::DeadLetters, self.store.resolve(key, by)).await
    }

    async fn hand_over_dead_letters(&self, from: &ConsumerName, to: &ConsumerName) -> Result<()> {
        self.changing(Kind::DeadLetters, self.store.hand_over_dead_letters(from, to)).await
    }

    async fn delete_resolved(&self, older_than: Duration) -> Result<u64> {
        self.changing(Kind::DeadLetters, self.store.delete_resolved(older_than)).await
    }
}
