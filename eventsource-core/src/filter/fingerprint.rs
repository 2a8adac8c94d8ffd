use std::fmt;

use sha2::{Digest, Sha256};

use super::{Filter, FilterItem, PayloadPredicate};

/// A filter's identity: equal for filters that say the same in another order, different for all others.
///
/// SHA-256 over a canonical encoding in which every part carries its length, so that no part can pass for two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(filter: &Filter) -> Self {
        let mut encoding = Encoding::default();
        encoding.text("eventsource filter 1");
        let scope = filter.scope();
        encoding.optional(scope.tenant().map(|tenant| tenant.to_string()));
        encoding.optional(scope.aggregate_type().map(ToString::to_string));
        encoding.optional(scope.stream().map(|stream| stream.aggregate_type().to_string()));
        encoding.optional(scope.stream().map(|stream| stream.aggregate_id().to_string()));
        encoding.optional(scope.occurred_from().map(|time| time.timestamp_micros().to_string()));
        encoding.optional(scope.occurred_until().map(|time| time.timestamp_micros().to_string()));
        match filter.items() {
            None => encoding.text("all"),
            Some(items) => {
                encoding.text("any of");
                encoding.list(items.iter(), Encoding::item);
            }
        }
        Self(Sha256::digest(&encoding.bytes).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[derive(Default)]
struct Encoding {
    bytes: Vec<u8>,
}

impl Encoding {
    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn length(&mut self, length: usize) {
        self.bytes.extend_from_slice(&(length as u64).to_be_bytes());
    }

    fn optional(&mut self, text: Option<String>) {
        match text {
            None => self.bytes.push(0),
            Some(text) => {
                self.bytes.push(1);
                self.text(&text);
            }
        }
    }

    fn list<T>(&mut self, parts: impl ExactSizeIterator<Item = T>, encode: impl Fn(&mut Self, T)) {
        self.length(parts.len());
        parts.for_each(|part| encode(self, part));
    }

    fn item(&mut self, item: &FilterItem) {
        self.list(item.event_type_set().iter(), |encoding, name| encoding.text(name.as_str()));
        self.list(item.tag_set().iter(), |encoding, tag| encoding.text(tag.as_str()));
        self.list(item.all_of_payload().iter(), Self::predicate);
        self.list(item.any_of_payload().iter(), Self::predicate);
    }

    fn predicate(&mut self, predicate: &PayloadPredicate) {
        self.list(predicate.path().keys().iter(), |encoding, key| encoding.text(key));
        self.text(&predicate.value().to_json());
    }
}
