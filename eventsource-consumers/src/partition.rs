use std::fmt;
use std::sync::Arc;

use eventsource_core::RecordedEvent;
use sha2::{Digest, Sha256};

type KeyOf = dyn Fn(&RecordedEvent) -> Option<String> + Send + Sync;

/// What events are kept in order by: those with the same key are handled one after the other, whoever handles them.
#[derive(Clone)]
pub struct OrderingKey(Arc<KeyOf>);

impl OrderingKey {
    /// The event's stream; events of no stream have no key.
    #[must_use]
    pub fn stream() -> Self {
        Self::by(|event| event.stream().map(ToString::to_string))
    }

    /// The value of the event's first tag with this key, such as the customer.
    #[must_use]
    pub fn tag(key: impl Into<String>) -> Self {
        let prefix = format!("{}:", key.into());
        Self::by(move |event| {
            event.tags().iter().find_map(|tag| tag.as_str().strip_prefix(&prefix).map(str::to_owned))
        })
    }

    /// Whatever you say. It must say the same for an event each time.
    pub fn by(key: impl Fn(&RecordedEvent) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(key))
    }

    /// The event's key.
    #[must_use]
    pub fn of(&self, event: &RecordedEvent) -> Option<String> {
        (self.0)(event)
    }

    /// Which of so many partitions the event belongs to. One without a key lies somewhere, always at the same place.
    pub(crate) fn partition(&self, event: &RecordedEvent, partitions: u32) -> u32 {
        let key = self.of(event).unwrap_or_else(|| event.id().to_string());
        partition_of(&key, partitions)
    }
}

impl Default for OrderingKey {
    fn default() -> Self {
        Self::stream()
    }
}

impl fmt::Debug for OrderingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderingKey")
    }
}

/// Which of so many partitions a key belongs to: the same in every process and every version.
#[must_use]
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    let digest = Sha256::digest(key.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let partition = u64::from_be_bytes(first) % u64::from(partitions.max(1));
    u32::try_from(partition).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_in_its_partition_for_ever() {
        // Written down: another answer would send keys elsewhere after an upgrade.
        assert_eq!([partition_of("", 8), partition_of("a", 8), partition_of("Order/1", 8)], [4, 2, 4]);
        assert_eq!(partition_of("a", 0), 0);
    }

    #[test]
    fn keys_are_spread() {
        let mut counts = [0; 8];
        for number in 0..8_000 {
            counts[partition_of(&number.to_string(), 8) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}
