use crate::{Error, EventStore, Filter, Page, ReadOptions, Result};

/// A read under way: what is left of it.
pub(crate) struct Reading {
    filter: Filter,
    options: ReadOptions,
    /// How many events the caller still wants.
    left: u64,
    page_size: u64,
    begun: bool,
}

impl Reading {
    const FIRST_PAGE: u64 = 256;
    const LARGEST_PAGE: u64 = 4_096;
    /// What a page may hold: events differ in size by five orders of magnitude, memory should not.
    const PAGE_BYTES: u64 = 1 << 20;

    pub(crate) fn new(filter: Filter, options: ReadOptions) -> Self {
        let left = options.max_events().unwrap_or(u64::MAX);
        Self { filter, options, left, page_size: Self::FIRST_PAGE, begun: false }
    }

    pub(crate) async fn next_page<S: EventStore + ?Sized>(&mut self, store: &S) -> Result<Page> {
        let options = self.options.clone().limit(self.left.min(self.page_size));
        let mut page = store.read_page(&self.filter, &options).await?;
        if page.more && page.events.is_empty() && self.left > 0 {
            // To end here would leave out what the store says is there; to ask again might never end.
            return Err(Error::backend("the store stopped a page before its first event"));
        }
        self.left = self.left.saturating_sub(page.events.len() as u64);
        page.more = page.more && self.left > 0;
        if !self.begun {
            // The log only grows, and only behind its head: up to here, later pages see this page's snapshot.
            self.begun = true;
            let until = self.options.until_position().map_or(page.head, |until| until.min(page.head));
            self.options = self.options.clone().until(until);
        }
        if let Some(last) = page.events.last() {
            self.options = self.options.clone().beyond(last.position());
            let bytes: u64 = page.events.iter().map(|event| event.byte_count() as u64 + 128).sum();
            let average = bytes / page.events.len() as u64;
            let growth = (self.page_size * 4).min(Self::LARGEST_PAGE);
            self.page_size = (Self::PAGE_BYTES / average).clamp(1, growth);
        }
        Ok(page)
    }
}
