//! The parts that turn out hot: filter matching, payload encoding, and what an append is made of.

use common::{Event, Payload as Facts};
use divan::{Bencher, black_box};
use eventsource_core::{
    Append, Error, ExpectedVersion, Filter, FilterItem, NewEvent, Payload, Position, RecordedEvent, StreamId,
    Version,
};
use uuid::Uuid;

const SIZE: u64 = 10_000;

fn main() {
    divan::main();
}

#[divan::bench]
fn filter_by_type(bencher: Bencher) {
    matching(bencher, Filter::event_types([common::RARE_TYPE]));
}

#[divan::bench]
fn filter_by_two_tags(bencher: Bencher) {
    let items = FilterItem::new().tag("course", "c0000007").and_then(|item| item.tag("student", "s0000007"));
    matching(bencher, items.and_then(|item| Filter::any_of([item])));
}

#[divan::bench]
fn filter_by_either_tag(bencher: Bencher) {
    let items = [FilterItem::new().tag("course", "c0000007"), FilterItem::new().tag("student", "s0000007")];
    matching(bencher, items.into_iter().collect::<Result<Vec<_>, _>>().and_then(Filter::any_of));
}

#[divan::bench]
fn filter_by_payload(bencher: Bencher) {
    let item = FilterItem::new().all_payload("customer", common::RARE_CUSTOMER);
    matching(bencher, item.and_then(|item| Filter::any_of([item])));
}

#[divan::bench]
fn payload_encoded(bencher: Bencher) {
    let (_, _, event) = Event::preloaded(7, SIZE);
    bencher.bench(|| Payload::from_serialize(black_box(&event.payload)));
}

#[divan::bench]
fn payload_decoded(bencher: Bencher) {
    let (_, _, event) = Event::preloaded(7, SIZE);
    let payload = Payload::from_serialize(&event.payload).expect("it is JSON");
    bencher.bench(|| black_box(&payload).deserialize::<Facts>());
}

#[divan::bench]
fn event_built(bencher: Bencher) {
    let (_, _, event) = Event::preloaded(7, SIZE);
    bencher.bench(|| new_event(black_box(&event)));
}

#[divan::bench(args = [1, 10, 100, 1_000])]
fn append_validated(bencher: Bencher, events: u64) {
    let stream = StreamId::new("Order", Uuid::from_u128(1)).expect("a stream");
    let events: Vec<NewEvent> =
        (0..events).map(|number| new_event(&Event::preloaded(number, SIZE).2).expect("an event")).collect();
    let append = Append::to_stream(stream, ExpectedVersion::NoStream, events);
    bencher.bench(|| black_box(&append).validate());
}

fn matching(bencher: Bencher, filter: Result<Filter, Error>) {
    let filter = filter.expect("a filter");
    let events: Vec<RecordedEvent> = (0..1_000).map(recorded).collect();
    bencher
        .counter(divan::counter::ItemsCount::new(events.len()))
        .bench(|| events.iter().filter(|event| black_box(&filter).matches(event)).count());
}

fn recorded(number: u64) -> RecordedEvent {
    let (stream, version, event) = Event::preloaded(number, SIZE);
    let stream = StreamId::new("Order", stream.0).expect("a stream");
    let version = Version::new(version).expect("a version");
    let event = new_event(&event).expect("an event");
    RecordedEvent::new(
        event,
        Position::from_raw(number + 1),
        Some((stream, version)),
        chrono::DateTime::UNIX_EPOCH,
    )
}

fn new_event(event: &Event) -> Result<NewEvent, Error> {
    let [course, student] = event.tags();
    NewEvent::new(event.event_type, &event.payload)?.tag(course.0, course.1)?.tag(student.0, student.1)
}
