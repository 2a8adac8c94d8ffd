use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Result;

/// Which log it is: made with the log, and never changed. A copy that was restored from a backup has the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(Uuid);

impl LogId {
    /// For backends: the id that a UUID stands for.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tells which log a store holds, so that a checkpoint of another one is refused.
#[async_trait]
pub trait LogIdentity: fmt::Debug + Send + Sync {
    /// The log's id, as the database has it now.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`.
    async fn log_id(&self) -> Result<LogId>;
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: LogIdentity + ?Sized> LogIdentity for $wrapper {
            async fn log_id(&self) -> Result<LogId> {
                (**self).log_id().await
            }
        }
    )* };
}

forward! {
    Arc<S>;
    Box<S>;
    &S;
}
