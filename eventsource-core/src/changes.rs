use tokio::sync::watch;

use crate::{Error, Result};

/// Wakes when the head may have moved. A hint only: it may wake for nothing, and where other processes write it may
/// come late; whoever waits must look, and must look from time to time without it.
#[derive(Clone, Debug)]
pub struct Changes(watch::Receiver<()>);

impl Changes {
    /// Waits until something may have been appended since this was created or last returned. What was appended in
    /// between is not missed: it returns at once then.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// `Unavailable` when the store is closed or gone, so that nothing will come any more.
    pub async fn changed(&mut self) -> Result<()> {
        self.0.changed().await.map_err(|_| Error::closed("the store is closed"))
    }
}

/// For backends: the other end of [`Changes`].
#[derive(Clone, Debug)]
pub struct ChangeSignal(watch::Sender<()>);

impl ChangeSignal {
    /// A signal that nobody waits for yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// Wakes everybody who waits. To be called after the events are visible to readers.
    pub fn notify(&self) {
        self.0.send_replace(());
    }

    /// Something to wait with.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        Changes(self.0.subscribe())
    }

    /// Whether nobody waits, so that looking for changes elsewhere can rest.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.0.receiver_count() == 0
    }
}

impl Default for ChangeSignal {
    fn default() -> Self {
        Self::new()
    }
}
