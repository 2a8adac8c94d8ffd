use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use eventsource_core::{Filter, Tag};

/// The tags of the events that this connection has written lately, and where each occurred last.
///
/// They tell that no other event behind some position carries a tag, without a look at the database, as long as nobody
/// else commits anything: `data_version` tells (<https://sqlite.org/pragma.html#pragma_data_version>). Those of an append
/// that was undone do no harm: then the database is asked.
#[derive(Debug, Default)]
pub(crate) struct KnownTags {
    /// By hash. Two tags that share one are taken for each other, and then the database is asked.
    newest: HashMap<u64, i64>,
    hasher: RandomState,
    /// The tags of all events behind this position are known; none if nothing is.
    since: Option<i64>,
    data_version: i64,
}

impl KnownTags {
    /// What they take is bounded, by less than a MiB; which ones are known is a matter of speed only.
    const MOST: usize = 16_384;

    /// Begins a transaction, which sees the database in this version.
    pub(crate) fn begin(&mut self, data_version: i64, head: i64) {
        if self.data_version != data_version {
            self.forget();
        }
        self.data_version = data_version;
        self.since.get_or_insert(head);
    }

    /// An event at `position`, which is the newest, carries these.
    pub(crate) fn note(&mut self, tags: &[Tag], position: i64) {
        if self.newest.len() + tags.len() > Self::MOST && self.since.is_some() {
            self.newest.clear();
            self.since = Some(position - 1);
        }
        for tag in tags {
            self.newest.insert(self.hasher.hash_one(tag.as_str()), position);
        }
    }

    /// Up to where events must be looked at, if one behind `after` could match: all up to `head`, unless tags rule out
    /// those that are known.
    pub(crate) fn until(&self, filter: &Filter, after: i64, head: i64) -> i64 {
        let (Some(since), Some(items)) = (self.since, filter.items()) else { return head };
        let known = after.max(since);
        let occurs = |tag: &Tag| {
            let newest = self.newest.get(&self.hasher.hash_one(tag.as_str()));
            newest.is_some_and(|&position| position > known)
        };
        let ruled_out = items.iter().all(|item| !item.tag_set().iter().all(occurs));
        if ruled_out { since } else { head }
    }

    /// Somebody else has written, or may have.
    pub(crate) fn forget(&mut self) {
        self.newest.clear();
        self.since = None;
    }
}
