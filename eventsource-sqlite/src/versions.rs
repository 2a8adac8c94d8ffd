use std::collections::HashMap;

use eventsource_core::{StreamId, Version};

/// The versions of the streams that this connection has written to lately.
///
/// They hold within the transaction that wrote them, and after it as long as nobody else commits anything:
/// `data_version` tells (<https://sqlite.org/pragma.html#pragma_data_version>).
#[derive(Debug, Default)]
pub(crate) struct Versions {
    of: HashMap<StreamId, Version>,
    data_version: i64,
}

impl Versions {
    /// What they take is bounded, by some MiB; which ones are known is a matter of speed only.
    const MOST: usize = 8_192;

    /// Begins a transaction, which sees the database in this version.
    pub(crate) fn begin(&mut self, data_version: i64) {
        if self.data_version != data_version {
            self.forget();
        }
        self.data_version = data_version;
    }

    pub(crate) fn get(&self, stream: &StreamId) -> Option<Version> {
        self.of.get(stream).copied()
    }

    pub(crate) fn set(&mut self, stream: &StreamId, version: Version) {
        match self.of.get_mut(stream) {
            Some(known) => *known = version,
            None => {
                if self.of.len() >= Self::MOST {
                    self.forget();
                }
                self.of.insert(stream.clone(), version);
            }
        }
    }

    /// Something was undone, or others have written.
    pub(crate) fn forget(&mut self) {
        self.of.clear();
    }
}
