use std::ops::Range;

use eventsource_core::{Direction, Filter, FilterItem, Page, Position, ReadOptions, RecordedEvent};

use crate::log::Log;

/// A page that is being read, up to the head that the log had when it began.
pub(crate) struct Scan<'q> {
    filter: &'q Filter,
    options: &'q ReadOptions,
    /// The indexes that are still to be looked at.
    range: Range<usize>,
    limit: usize,
    /// Whether the filter asks for a stream and nothing else, so that all the candidates match.
    is_stream: bool,
    page: Page,
}

impl<'q> Scan<'q> {
    /// How many events a page has at most where the caller sets no limit.
    const PAGE: usize = 1_000;
    /// How many candidates are looked at under one lock.
    const STEP: usize = 4_096;

    pub(crate) fn new(log: &Log, filter: &'q Filter, options: &'q ReadOptions) -> Self {
        let count =
            |position: Position| usize::try_from(position.to_raw()).unwrap_or(usize::MAX).min(log.len());
        // The event behind position p has index p.
        let start = count(options.after_position());
        let end = options.until_position().map_or(log.len(), count).max(start);
        let limit =
            options.max_events().map_or(Self::PAGE, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let page = Page { events: Vec::new(), head: log.head(), more: limit == 0 };
        let is_stream = filter.items().is_none() && filter.scope().is_stream_alone();
        Self { filter, options, range: start..end, limit, is_stream, page }
    }

    pub(crate) fn into_page(self) -> Page {
        self.page
    }

    /// Looks at some more candidates; true when the page is done.
    pub(crate) fn step(&mut self, log: &Log) -> bool {
        if self.page.more {
            return true;
        }
        match self.candidates(log) {
            Candidates::All => {
                let range = self.range.clone();
                self.look(log, range.len(), range)
            }
            Candidates::Listed(lists) => match lists.as_slice() {
                [list] => {
                    let list = within(list, &self.range);
                    self.look(log, list.len(), list.iter().copied())
                }
                lists => {
                    let merged = self.merge(lists);
                    self.look(log, merged.len(), merged.into_iter())
                }
            },
        }
    }

    /// The next candidates of all lists, in log order: more than one step's worth if there are more. Those of one step
    /// lie among as many of each list.
    fn merge(&self, lists: &[&[usize]]) -> Vec<usize> {
        let mut merged = Vec::new();
        for list in lists {
            let list = within(list, &self.range);
            let count = list.len().min(Self::STEP + 1);
            merged.extend_from_slice(match self.options.direction() {
                Direction::Forward => &list[..count],
                Direction::Backward => &list[list.len() - count..],
            });
        }
        merged.sort_unstable();
        merged.dedup();
        merged
    }

    fn look(&mut self, log: &Log, count: usize, candidates: impl DoubleEndedIterator<Item = usize>) -> bool {
        match self.options.direction() {
            Direction::Forward => self.look_at(log, count, candidates),
            Direction::Backward => self.look_at(log, count, candidates.rev()),
        }
    }

    fn look_at(&mut self, log: &Log, count: usize, candidates: impl Iterator<Item = usize>) -> bool {
        if self.is_stream {
            self.page.events.reserve(count.min(Self::STEP).min(self.limit - self.page.events.len()));
        }
        for index in candidates.take(Self::STEP) {
            let event = log.event(index);
            match self.options.direction() {
                Direction::Forward => self.range.start = index + 1,
                Direction::Backward => self.range.end = index,
            }
            if self.admits(event) {
                self.page.events.push(event.clone());
                if self.page.events.len() == self.limit {
                    self.page.more = true;
                    return true;
                }
            }
        }
        count <= Self::STEP
    }

    fn admits(&self, event: &RecordedEvent) -> bool {
        self.options.admits(event) && (self.is_stream || self.filter.matches(event))
    }

    /// The fewest events, as far as the indexes know, among which all matches are.
    fn candidates<'l>(&self, log: &'l Log) -> Candidates<'l> {
        if let Some(stream) = self.filter.scope().stream() {
            return Candidates::Listed(vec![log.of_stream(stream)]);
        }
        let Some(items) = self.filter.items() else { return Candidates::All };
        let mut lists = Vec::new();
        for item in items {
            match narrowest(log, item) {
                Candidates::All => return Candidates::All,
                Candidates::Listed(mut some) => lists.append(&mut some),
            }
        }
        Candidates::Listed(lists)
    }
}

enum Candidates<'l> {
    All,
    /// Indexes in log order, in several lists that may share some.
    Listed(Vec<&'l [usize]>),
}

fn narrowest<'l>(log: &'l Log, item: &FilterItem) -> Candidates<'l> {
    if let Some(list) = item.tag_set().iter().map(|tag| log.of_tag(tag)).min_by_key(|list| list.len()) {
        return Candidates::Listed(vec![list]);
    }
    if item.event_type_set().is_empty() {
        return Candidates::All;
    }
    Candidates::Listed(item.event_type_set().iter().map(|name| log.of_type(name)).collect())
}

fn within<'l>(list: &'l [usize], range: &Range<usize>) -> &'l [usize] {
    let start = list.partition_point(|index| *index < range.start);
    let end = list.partition_point(|index| *index < range.end).max(start);
    &list[start..end]
}
