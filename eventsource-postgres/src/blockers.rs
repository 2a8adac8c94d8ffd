use std::cell::OnceCell;
use std::collections::HashMap;

use chrono::DateTime;
use eventsource_core::{Append, Filter, FilterItem, NewEvent, Position, RecordedEvent, StreamId, Version};

/// The events of earlier appends in a batch: those that a later condition must see although they are not stored yet.
#[derive(Default)]
pub(crate) struct Earlier<'a> {
    events: Vec<Candidate<'a>>,
    by_tag: HashMap<&'a str, Vec<usize>>,
    by_type: HashMap<&'a str, Vec<usize>>,
}

struct Candidate<'a> {
    event: &'a NewEvent,
    stream: Option<&'a StreamId>,
    /// As it will lie in the log, as far as a filter can tell; made when a filter asks.
    recorded: OnceCell<RecordedEvent>,
}

impl<'a> Earlier<'a> {
    /// Adds an append's events, behind those added before.
    pub(crate) fn add(&mut self, append: &'a Append) {
        for (stream, event) in append.each_event() {
            let number = self.events.len();
            self.events.push(Candidate { event, stream, recorded: OnceCell::new() });
            for tag in event.all_tags() {
                self.by_tag.entry(tag.as_str()).or_default().push(number);
            }
            self.by_type.entry(event.event_type().as_str()).or_default().push(number);
        }
    }

    /// The numbers, from 0, of the events that match, in log order.
    ///
    /// Not to be asked with a filter on time: when an event occurs is the server's to say, if its append doesn't.
    pub(crate) fn matching(&self, filter: &Filter) -> Vec<usize> {
        if self.events.is_empty() {
            return Vec::new();
        }
        let mut numbers: Vec<usize> = match filter.items() {
            None => (0..self.events.len()).collect(),
            Some(items) => items.iter().flat_map(|item| self.candidates(item)).collect(),
        };
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|number| filter.matches(self.events[*number].recorded()));
        numbers
    }

    /// Those that may match an item, by one of its tags or its types.
    fn candidates(&self, item: &FilterItem) -> Vec<usize> {
        let named =
            |index: &HashMap<&str, Vec<usize>>, name: &str| index.get(name).cloned().unwrap_or_default();
        if let Some(tag) = item.tag_set().first() {
            named(&self.by_tag, tag.as_str())
        } else if item.event_type_set().is_empty() {
            (0..self.events.len()).collect()
        } else {
            item.event_type_set().iter().flat_map(|each| named(&self.by_type, each.as_str())).collect()
        }
    }
}

impl Candidate<'_> {
    fn recorded(&self) -> &RecordedEvent {
        self.recorded.get_or_init(|| {
            let stream = self.stream.map(|stream| (stream.clone(), Version::FIRST));
            RecordedEvent::new(self.event.clone(), Position::START, stream, DateTime::UNIX_EPOCH)
        })
    }
}
