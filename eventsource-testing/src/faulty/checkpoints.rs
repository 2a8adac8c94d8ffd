use async_trait::async_trait;
use eventsource_core::{Checkpoint, CheckpointSave, CheckpointStore, ConsumerName, LogId, Position, Result};

use super::{Faulty, Kind};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CheckpointStore> CheckpointStore for Faulty<S> {
    async fn load_checkpoint(&self, consumer: &ConsumerName) -> Result<Option<Checkpoint>> {
        self.asking(Kind::Checkpoints, self.store.load_checkpoint(consumer)).await
    }

    async fn save_checkpoint(&self, save: &CheckpointSave) -> Result<()> {
        self.changing(Kind::Checkpoints, self.store.save_checkpoint(save)).await
    }

    async fn reset_checkpoint(
        &self,
        consumer: &ConsumerName,
        log_id: LogId,
        position: Position,
    ) -> Result<()> {
        self.changing(Kind::Checkpoints, self.store.reset_checkpoint(consumer, log_id, position)).await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.asking(Kind::Checkpoints, self.store.checkpoints()).await
    }

    async fn delete_checkpoint(&self, consumer: &ConsumerName) -> Result<bool> {
        self.changing(Kind::Checkpoints, self.store.delete_checkpoint(consumer)).await
    }
}
