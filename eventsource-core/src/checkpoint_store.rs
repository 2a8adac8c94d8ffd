use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Checkpoint, CheckpointSave, ConsumerName, LogId, Position, Result};

/// Keeps how far consumers have come. One narrow trait; a backend implements it if it wants to.
///
/// A checkpoint only goes forward, from the state that its consumer knows: of two instances that work under one name, one
/// is refused. [`reset_checkpoint`](Self::reset_checkpoint) alone goes back.
#[async_trait]
pub trait CheckpointStore: fmt::Debug + Send + Sync {
    /// The consumer's checkpoint, if it has one.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`, `Corrupt`.
    async fn load_checkpoint(&self, consumer: &ConsumerName) -> Result<Option<Checkpoint>>;

    /// Moves a checkpoint forward, if [`CheckpointSave::judge`] says so and nobody else has taken the lease that
    /// [`CheckpointSave::fence`] names. Saving the same again is fine.
    ///
    /// # Errors
    /// `Conflict` as for [`CheckpointSave::judge`], or `Fenced`; `Unavailable`, `OutcomeUnknown`, `Backend`.
    async fn save_checkpoint(&self, save: &CheckpointSave) -> Result<()>;

    /// Sets a checkpoint to this place in this log, whatever it was before, and refuses everybody who works on from
    /// before. Its count of events begins again.
    ///
    /// # Errors
    /// `Unavailable`, `OutcomeUnknown`, `Backend`.
    async fn reset_checkpoint(
        &self,
        consumer: &ConsumerName,
        log_id: LogId,
        position: Position,
    ) -> Result<()>;

    /// All checkpoints, by name.
    ///
    /// # Errors
    /// As for [`load_checkpoint`](Self::load_checkpoint).
    async fn checkpoints(&self) -> Result<Vec<Checkpoint>>;

    /// Deletes a checkpoint; true if there was one.
    ///
    /// # Errors
    /// `Unavailable`, `OutcomeUnknown`, `Backend`.
    async fn delete_checkpoint(&self, consumer: &ConsumerName) -> Result<bool>;
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: CheckpointStore + ?Sized> CheckpointStore for $wrapper {
            async fn load_checkpoint(&self, consumer: &ConsumerName) -> Result<Option<Checkpoint>> {
                (**self).load_checkpoint(consumer).await
            }

            async fn save_checkpoint(&self, save: &CheckpointSave) -> Result<()> {
                (**self).save_checkpoint(save).await
            }

            async fn reset_checkpoint(
                &self,
                consumer: &ConsumerName,
                log_id: LogId,
                position: Position,
            ) -> Result<()> {
                (**self).reset_checkpoint(consumer, log_id, position).await
            }

            async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
                (**self).checkpoints().await
            }

            async fn delete_checkpoint(&self, consumer: &ConsumerName) -> Result<bool> {
                (**self).delete_checkpoint(consumer).await
            }
        }
    )* };
}

forward! {
    Arc<S>;
    Box<S>;
    &S;
}
