use std::time::Duration;

use proptest::prelude::RngExt;
use proptest::test_runner::TestRng;
use tokio::time::{Instant, sleep};

use super::{PAUSE, Worker};
use crate::{CaseResult, Cx, random};

/// Workers that are replaced when they are killed.
pub(crate) struct Crew<F> {
    start: F,
    started: usize,
    workers: Vec<Worker>,
    random: TestRng,
}

/// What a crew has gone through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Blows {
    pub(crate) pauses: u32,
    pub(crate) kills: u32,
}

impl<F: FnMut(usize) -> CaseResult<Worker>> Crew<F> {
    /// So many workers, each started with a number of its own. Chance comes from the case's seed and `which`.
    pub(crate) fn start(cx: &Cx, which: u64, size: usize, mut start: F) -> CaseResult<Self> {
        let workers = (0..size).map(&mut start).collect::<CaseResult<_>>()?;
        Ok(Self { start, started: size, workers, random: random::numbers(cx, which) })
    }

    /// Kills and pauses them at random for so long, and does each once at least.
    pub(crate) async fn suffer(&mut self, duration: Duration) -> CaseResult<Blows> {
        let end = Instant::now() + duration;
        let mut blows = Blows::default();
        while Instant::now() < end || blows.pauses == 0 || blows.kills == 0 {
            self.a_while(50..800).await;
            let victim = self.random.random_range(0..self.workers.len());
            let even = self.random.random_range(0..2) == 0;
            if blows.pauses == 0 || blows.kills > 0 && even {
                self.pause(victim, &mut blows).await?;
            } else {
                self.kill(victim, &mut blows).await?;
            }
        }
        Ok(blows)
    }

    /// Stops those who are left, in order.
    pub(crate) async fn stop(self) -> CaseResult {
        for worker in self.workers {
            worker.stop().await?;
        }
        Ok(())
    }

    /// For longer than its lease; meanwhile another one may die.
    async fn pause(&mut self, victim: usize, blows: &mut Blows) -> CaseResult {
        self.workers[victim].pause().await?;
        blows.pauses += 1;
        let resumes = Instant::now() + PAUSE;
        let other = self.random.random_range(0..2 * self.workers.len());
        if other != victim && other < self.workers.len() {
            self.a_while(0..1_000).await;
            self.kill(other, blows).await?;
        }
        tokio::time::sleep_until(resumes).await;
        self.workers[victim].resume().await
    }

    /// And has another one begin, later on.
    async fn kill(&mut self, victim: usize, blows: &mut Blows) -> CaseResult {
        self.workers.remove(victim).kill().await?;
        blows.kills += 1;
        self.a_while(0..1_000).await;
        let worker = (self.start)(self.started)?;
        self.started += 1;
        self.workers.insert(victim, worker);
        Ok(())
    }

    async fn a_while(&mut self, milliseconds: std::ops::Range<u64>) {
        let milliseconds = self.random.random_range(milliseconds);
        sleep(Duration::from_millis(milliseconds)).await;
    }
}
