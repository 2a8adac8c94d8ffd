use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{ChangeSignal, Position};
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::log::Log;

/// Looks for other processes' events, while somebody waits for changes.
pub(crate) struct Watcher {
    pub(crate) log: Arc<Log>,
    pub(crate) changes: ChangeSignal,
    /// Somebody may have begun to wait.
    pub(crate) wanted: Arc<Notify>,
    pub(crate) poll_interval: Duration,
}

/// How far the watcher is with listening.
enum Listening {
    Off,
    /// Kept from rest to rest: it may take longer than one lasts.
    Connecting(BoxFuture<'static, Option<PgListener>>),
    On(Box<PgListener>),
}

impl Watcher {
    /// Runs until it is aborted.
    pub(crate) async fn run(self) {
        loop {
            self.wanted.notified().await;
            let mut listening = Listening::Off;
            // Unknown: whoever has just begun to wait is woken once for nothing rather than not at all.
            let mut seen = None;
            while !self.changes.is_unused() {
                self.look(&mut seen).await;
                self.rest(&mut listening).await;
            }
        }
    }

    async fn look(&self, seen: &mut Option<Position>) {
        match self.log.head().await {
            Ok(head) => {
                if seen.replace(head) != Some(head) {
                    self.changes.notify();
                }
            }
            // The next look finds what this one could not.
            Err(error) => warn!(error = &error as &dyn std::error::Error, "can't look for changes"),
        }
    }

    /// Waits for the next look: until a notification comes, but not longer than the poll interval.
    async fn rest(&self, listening: &mut Listening) {
        let Some(channel) = &self.log.channel else { return sleep(self.poll_interval).await };
        let heard = async {
            if let Listening::Off = listening {
                let connecting = listener(Arc::clone(&self.log), channel.clone());
                *listening = Listening::Connecting(Box::pin(connecting));
            }
            if let Listening::Connecting(connecting) = listening {
                let connected = connecting.await;
                *listening = connected.map_or(Listening::Off, |listener| Listening::On(Box::new(listener)));
            }
            match listening {
                Listening::On(listener) => match listener.recv().await {
                    Ok(_) => {
                        // Those that are queued up tell nothing new.
                        while listener.next_buffered().is_some() {}
                    }
                    Err(error) => {
                        warn!(%error, "listening for changes ended; polling goes on");
                        *listening = Listening::Off;
                    }
                },
                _ => sleep(self.poll_interval).await,
            }
        };
        // A notification that is lost here is found by the look that follows.
        let _ = timeout(self.poll_interval, heard).await;
    }
}

async fn listener(log: Arc<Log>, channel: String) -> Option<PgListener> {
    // A pool of its own: it keeps the connection, which the store's pool may have only one of.
    let options = log.pool.connect_options();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with((*options).clone());
    let listening = async {
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(&channel).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    listening.await.inspect_err(|error| warn!(%error, "can't listen for changes; polling goes on")).ok()
}
