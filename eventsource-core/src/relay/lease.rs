use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{ClaimId, Outbox};

/// For how long a claim is surely ours, as far as this process can tell.
pub(super) struct Lease {
    duration: Duration,
    /// Counted from before the store was asked, so that it never lasts longer here than there.
    until: Mutex<Instant>,
}

impl Lease {
    pub(super) fn new(duration: Duration) -> Self {
        Self { duration, until: Mutex::new(Instant::now() + duration) }
    }

    pub(super) fn is_held(&self) -> bool {
        Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Extends it again and again, until it is lost or the future is dropped.
    pub(super) async fn keep(&self, outbox: &dyn Outbox, claim: ClaimId) {
        while self.is_held() {
            sleep(self.duration / 3).await;
            let asked = Instant::now();
            match outbox.extend(claim, self.duration).await {
                Ok(0) => self.set(asked),
                Ok(_) => self.set(asked + self.duration),
                // It lasts as long as it was last told to; meanwhile the store may be well again.
                Err(error) => tracing::warn!(error = %error, "a relay's lease can't be extended"),
            }
        }
        std::future::pending().await
    }
}
