use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::Stream;

/// For systems that guard an append by a position: where a stream's last event lies, as its caller would remember it.
#[derive(Debug, Default)]
pub struct Positions(Mutex<HashMap<Stream, u64>>);

impl Positions {
    /// Where the last event lies that was remembered.
    #[must_use]
    pub fn of(&self, stream: Stream) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&stream).copied()
    }

    /// Remembers it.
    pub fn remember(&self, stream: Stream, position: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(stream, position);
    }
}
