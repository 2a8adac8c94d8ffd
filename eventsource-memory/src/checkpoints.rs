use std::collections::BTreeMap;

use async_trait::async_trait;
use eventsource_core::{
    Checkpoint, CheckpointSave, CheckpointStore, ConsumerName, LogId, Position, Result, SaveJudgement,
};

use crate::MemoryStore;

/// Each consumer's checkpoint.
pub(crate) type Checkpoints = BTreeMap<ConsumerName, Checkpoint>;

#[async_trait]
impl CheckpointStore for MemoryStore {
    async fn load_checkpoint(&self, consumer: &ConsumerName) -> Result<Option<Checkpoint>> {
        self.look(|state| state.checkpoints.get(consumer).cloned())
    }

    async fn save_checkpoint(&self, save: &CheckpointSave) -> Result<()> {
        self.change(|state, now| {
            if let Some(fence) = save.fence() {
                fence.judge(state.leases.newest_token(&fence.key))?;
            }
            if save.judge(state.checkpoints.get(save.consumer()))? == SaveJudgement::Write {
                state.checkpoints.insert(save.consumer().clone(), save.to_checkpoint(now));
            }
            Ok(())
        })
    }

    async fn reset_checkpoint(
        &self,
        consumer: &ConsumerName,
        log_id: LogId,
        position: Position,
    ) -> Result<()> {
        self.change(|state, now| {
            let resets = state.checkpoints.get(consumer).map_or(1, |before| before.resets + 1);
            let checkpoint = Checkpoint {
                consumer: consumer.clone(),
                log_id,
                position,
                last_event: None,
                events_processed: 0,
                resets,
                updated_at: now,
            };
            state.checkpoints.insert(consumer.clone(), checkpoint);
            Ok(())
        })
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.look(|state| state.checkpoints.values().cloned().collect())
    }

    async fn delete_checkpoint(&self, consumer: &ConsumerName) -> Result<bool> {
        self.change(|state, _| Ok(state.checkpoints.remove(consumer).is_some()))
    }
}
