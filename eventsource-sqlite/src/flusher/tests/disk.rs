use std::sync::{Arc, Condvar, Mutex};
use std::{io, mem};

use super::until;
use crate::wal_file::{Flush, WalFile};

/// A disk that flushes when it is let, and remembers what would be left of the WAL after a power cut.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) state: Mutex<DiskState>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct DiskState {
    /// How many flushes may end.
    allowed: usize,
    /// How many flushes fail.
    failing: usize,
    /// The next flush panics.
    pub(super) panicking: bool,
    begun: usize,
    ended: usize,
    /// The WAL as it was when the last flush that has ended began.
    pub(super) durable: Vec<u8>,
}

impl Disk {
    pub(super) fn held() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn free() -> Arc<Self> {
        let disk = Self::held();
        disk.allow(usize::MAX);
        disk
    }

    pub(super) fn allow(&self, flushes: usize) {
        self.change(|state| state.allowed = flushes);
    }

    pub(super) fn break_down(&self) {
        self.change(|state| state.failing = usize::MAX);
    }

    /// One flush fails, as the kernel tells of it once; all others succeed.
    pub(super) fn fail_once(&self) {
        self.change(|state| (state.failing, state.allowed) = (1, usize::MAX));
    }

    pub(super) fn repair(&self) {
        self.change(|state| state.failing = 0);
    }

    pub(super) fn ended(&self) -> usize {
        self.state.lock().unwrap().ended
    }

    pub(super) fn begun(&self) -> usize {
        self.state.lock().unwrap().begun
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut DiskState)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    pub(super) async fn has_begun(&self, flushes: usize) {
        until("a flush has begun", || self.begun() >= flushes).await;
    }
}

impl Flush for Disk {
    fn flush(&self, wal: &WalFile) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let bytes = wal.bytes()?;
        state.begun += 1;
        if mem::take(&mut state.panicking) {
            drop(state);
            panic!("a flush that panics");
        }
        while state.allowed == 0 && state.failing == 0 {
            state = self.changed.wait(state).unwrap();
        }
        if state.failing > 0 {
            state.failing -= usize::from(state.failing != usize::MAX);
            return Err(io::Error::from_raw_os_error(5));
        }
        state.allowed -= usize::from(state.allowed != usize::MAX);
        state.ended += 1;
        state.durable = bytes;
        Ok(())
    }
}
