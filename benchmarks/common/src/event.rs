use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::random::mixed;

/// The type that [`RARE_COUNT`] events of a preloaded store have, whatever its size.
pub const RARE_TYPE: &str = "OrderRefunded";
/// The customer whom [`RARE_COUNT`] events of a preloaded store are about, whatever its size.
pub const RARE_CUSTOMER: &str = "customer-rare";
/// How many events a filter of this benchmark finds.
pub const RARE_COUNT: u64 = 100;

/// How many events of a preloaded store a course has, a student has, a stream has.
const EVENTS_PER_OWNER: u64 = 10;

const TYPES: [&str; 8] = [
    "OrderPlaced",
    "OrderConfirmed",
    "OrderPaid",
    "OrderPacked",
    "OrderShipped",
    "OrderDelivered",
    "OrderReturned",
    "OrderClosed",
];

/// An event as all systems get it: a type, two tags and about 150 bytes of JSON.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: Uuid,
    pub event_type: &'static str,
    pub payload: Payload,
}

/// The fact. Systems without tags find `course` and `student` here, systems without streams find `order`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    pub order: Uuid,
    pub course: String,
    pub student: String,
    pub customer: String,
    pub number: u64,
    pub cents: u64,
}

/// An aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream(pub Uuid);

impl Stream {
    /// The aggregate type of all streams.
    pub const TYPE: &'static str = "Order";

    /// The stream of this number, of this seed.
    #[must_use]
    pub fn numbered(seed: u64, number: u64) -> Self {
        Self(Uuid::from_u64_pair(mixed(seed.wrapping_add(number)), mixed(!number ^ seed.rotate_left(32))))
    }
}

impl Event {
    /// An event that is appended while a store is measured.
    #[must_use]
    pub fn fresh(stream: Stream, number: u64, boundaries: u64) -> Self {
        let owner = mixed(number);
        Self::about(stream, number, owner % boundaries, (owner >> 32) % boundaries)
    }

    /// An event of a decision about this course and this student.
    #[must_use]
    pub fn about(stream: Stream, number: u64, course: u64, student: u64) -> Self {
        let customer = format!("customer-{:04}", number % 1_000);
        let payload = Payload {
            order: stream.0,
            course: course_name(course),
            student: student_name(student),
            customer,
            number,
            cents: 1_000 + number % 90_000,
        };
        Self { id: Uuid::now_v7(), event_type: TYPES[(number % 8) as usize], payload }
    }

    /// The event of this number in a store that is preloaded with `size` events, and its stream and version. Events that
    /// have something in common lie all over the log.
    #[must_use]
    pub fn preloaded(number: u64, size: u64) -> (Stream, u64, Self) {
        let boundaries = boundary_count(size);
        let stream = Stream::numbered(0, number / EVENTS_PER_OWNER);
        let mut event = Self::about(
            stream,
            number,
            number % boundaries,
            (number.wrapping_mul(7_919) + number / boundaries) % boundaries,
        );
        match number % (size / RARE_COUNT).max(2) {
            0 => event.event_type = RARE_TYPE,
            1 => event.payload.customer = RARE_CUSTOMER.to_owned(),
            _ => {}
        }
        (stream, number % EVENTS_PER_OWNER + 1, event)
    }

    /// The tag of its course and the tag of its student, each a key and a value.
    #[must_use]
    pub fn tags(&self) -> [(&'static str, &str); 2] {
        [("course", &self.payload.course), ("student", &self.payload.student)]
    }
}

/// How many courses, and how many students, a store of this size has.
#[must_use]
pub fn boundary_count(size: u64) -> u64 {
    (size / EVENTS_PER_OWNER).max(100)
}

pub(crate) fn course_name(course: u64) -> String {
    format!("c{course:07}")
}

pub(crate) fn student_name(student: u64) -> String {
    format!("s{student:07}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_json_has_about_150_bytes() {
        let (_, _, event) = Event::preloaded(123_456, 1_000_000);
        let bytes = serde_json::to_string(&event.payload).map(|json| json.len()).unwrap_or_default();
        assert!((140..=165).contains(&bytes), "{bytes}");
    }

    #[test]
    fn each_size_has_as_many_rare_events_and_full_boundaries() {
        for size in [1_000, 10_000, 100_000] {
            let events: Vec<Event> = (0..size).map(|number| Event::preloaded(number, size).2).collect();
            let count =
                |admits: &dyn Fn(&Event) -> bool| events.iter().filter(|event| admits(event)).count() as u64;
            assert_eq!(count(&|event| event.event_type == RARE_TYPE), RARE_COUNT);
            assert_eq!(count(&|event| event.payload.customer == RARE_CUSTOMER), RARE_COUNT);
            assert_eq!(count(&|event| event.payload.course == course_name(7)), 10);
            assert_eq!(count(&|event| event.payload.student == student_name(7)), 10);
        }
    }
}
