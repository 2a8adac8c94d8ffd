use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::Workload;

/// One measurement: the command line of every binary (and script) that knows systems.
#[derive(Clone, Debug, Parser)]
pub struct Task {
    /// Which system.
    #[arg(long)]
    pub system: String,
    /// What to measure.
    #[arg(long)]
    pub workload: Workload,
    /// What of the workload, where there are several things; of `compare` the other store.
    #[arg(long, default_value = "")]
    pub variant: String,
    /// The store: a database's URL, or a directory.
    #[arg(long)]
    pub place: String,
    /// How many callers act at once.
    #[arg(long, default_value_t = 1)]
    pub callers: u64,
    /// Events per append, per stream or in the store: what the workload varies.
    #[arg(long, default_value_t = 1)]
    pub events: u64,
    /// How long to measure, in seconds; what is run before that, to warm up, is not measured.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// At most so many operations.
    #[arg(long, default_value_t = u64::MAX)]
    pub operations: u64,
    /// Makes the numbers and the streams; no two tasks on one store have the same.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Fills the store with so many events first: for stores that live no longer than this process.
    #[arg(long, default_value_t = 0)]
    pub fill: u64,
    /// Where the report goes. Before it begins to measure it creates this file with `.ready` behind its name.
    #[arg(long)]
    pub result: PathBuf,
    /// Begins only when this file is there.
    #[arg(long)]
    pub go: Option<PathBuf>,
}

impl Task {
    /// How long to measure.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Says that everything is prepared, and waits for the sign to begin, if there is to be one.
    pub async fn wait_for_go(&self) {
        let Some(go) = &self.go else { return };
        let mut ready = self.result.clone().into_os_string();
        ready.push(".ready");
        // Who waits for the file gives up after a while: that is all that a failure here comes to.
        let _ = std::fs::write(ready, "");
        while !go.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
