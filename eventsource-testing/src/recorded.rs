use chrono::{DateTime, Utc};
use eventsource_core::{NewEvent, Position, RecordedEvent, StreamId, Version};

/// A stored event without a store: at position 1, in no stream, recorded at the beginning of 1970, unless that is said
/// otherwise.
///
/// ```
/// use eventsource_core::{NewEvent, StreamId};
/// use eventsource_testing::{SequentialIds, recorded};
///
/// let order = StreamId::new("Order", SequentialIds::new().next_uuid())?;
/// let shipped = recorded(NewEvent::new("OrderShipped", "TRACK-1")?)
///     .at_position(7)
///     .in_stream(&order, 2)
///     .recorded_at("2026-01-02T09:00:00Z")
///     .build();
/// assert_eq!(shipped.version().map(|version| version.get()), Some(2));
/// # Ok::<(), eventsource_core::Error>(())
/// ```
pub fn recorded(event: NewEvent) -> Recording {
    Recording { event, position: Position::from_raw(1), stream: None, recorded_at: DateTime::UNIX_EPOCH }
}

/// Events as they lie in a log that holds nothing else: at positions 1, 2, 3, …, in no stream.
///
/// ```
/// use eventsource_core::NewEvent;
/// use eventsource_testing::recorded_log;
///
/// let log = recorded_log([NewEvent::new("Opened", &())?, NewEvent::new("Closed", &())?]);
/// assert_eq!(log[1].position().to_raw(), 2);
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[must_use]
pub fn recorded_log(events: impl IntoIterator<Item = NewEvent>) -> Vec<RecordedEvent> {
    (1..).zip(events).map(|(position, event)| recorded(event).at_position(position).build()).collect()
}

/// A stored event in the making; see [`recorded`].
#[derive(Clone, Debug)]
#[must_use = "`build` makes the event"]
pub struct Recording {
    event: NewEvent,
    position: Position,
    stream: Option<(StreamId, Version)>,
    recorded_at: DateTime<Utc>,
}

impl Recording {
    /// Sets where in the log it lies.
    pub fn at_position(mut self, position: u64) -> Self {
        self.position = Position::from_raw(position);
        self
    }

    /// Sets whose event it is, and the how many-th of that stream.
    ///
    /// # Panics
    /// If the version is 0: they count from 1.
    #[track_caller]
    pub fn in_stream(mut self, stream: &StreamId, version: u64) -> Self {
        match Version::new(version) {
            Ok(version) => self.stream = Some((stream.clone(), version)),
            Err(error) => panic!("{error}"),
        }
        self
    }

    /// Sets when the store recorded it, in RFC 3339.
    ///
    /// # Panics
    /// If that is no time.
    #[track_caller]
    pub fn recorded_at(mut self, time: &str) -> Self {
        match time.parse() {
            Ok(time) => self.recorded_at = time,
            Err(error) => panic!("{time:?} is no time in RFC 3339: {error}"),
        }
        self
    }

    /// The event.
    #[must_use]
    pub fn build(self) -> RecordedEvent {
        RecordedEvent::new(self.event, self.position, self.stream, self.recorded_at)
    }
}
