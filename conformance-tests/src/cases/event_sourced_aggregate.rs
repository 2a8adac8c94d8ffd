//! <https://dcb.events/examples/event-sourced-aggregate/>: one aggregate, guarded by its version or by its tag.

use eventsource_core::{
    Append, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Position, RecordedEvent, Result, StreamId,
    Version,
};
use futures_util::TryStreamExt;

use crate::given::{conflict, stream_of, tag};
use crate::{CaseResult, Cx};

/// A course that keeps its own rules, whatever it is stored by.
#[derive(Debug, Default, PartialEq)]
struct Course {
    capacity: usize,
    subscriptions: usize,
}

impl Course {
    fn from(events: &[RecordedEvent]) -> Result<Self> {
        let mut course = Self::default();
        for event in events {
            match event.event_type().as_str() {
                "StudentSubscribed" => course.subscriptions += 1,
                _ => course.capacity = event.payload().deserialize()?,
            }
        }
        Ok(course)
    }

    fn change_capacity(&self, capacity: usize) -> Result<NewEvent, &'static str> {
        if capacity < self.subscriptions {
            return Err("more have subscribed");
        }
        NewEvent::new("CourseCapacityChanged", &capacity).map_err(|_| "no event")
    }

    fn subscribe(&self) -> Result<NewEvent, &'static str> {
        if self.subscriptions >= self.capacity {
            return Err("the course is full");
        }
        NewEvent::new("StudentSubscribed", &()).map_err(|_| "no event")
    }
}

async fn load_stream(store: &dyn EventStore, stream: &StreamId) -> Result<(Course, Option<Version>)> {
    let events: Vec<_> = store.read_stream(stream).try_collect().await?;
    Ok((Course::from(&events)?, events.last().and_then(RecordedEvent::version)))
}

async fn load_tagged(store: &dyn EventStore, id: &str) -> Result<(Course, Position)> {
    let seen = store.query(&tag("course", id)).await?;
    Ok((Course::from(&seen.events)?, seen.head))
}

pub async fn an_aggregate_keeps_its_rules_by_version(cx: Cx) -> CaseResult {
    let (store, stream) = (&**cx.store(), stream_of("Course"));
    let defined = NewEvent::new("CourseDefined", &3)?;
    store.append(Append::to_stream(stream.clone(), ExpectedVersion::NoStream, [defined])).await?;
    for _ in 0..3 {
        let (course, version) = load_stream(store, &stream).await?;
        let subscribed = course.subscribe().expect("a seat is free");
        store.append(Append::to_stream(stream.clone(), version.into(), [subscribed])).await?;
    }
    let (course, version) = load_stream(store, &stream).await?;
    assert_eq!((&course, version), (&Course { capacity: 3, subscriptions: 3 }, Some(Version::new(4)?)));
    assert_eq!(course.subscribe().err(), Some("the course is full"));
    assert_eq!(course.change_capacity(2).err(), Some("more have subscribed"));
    let changed = |capacity| {
        let event = course.change_capacity(capacity).expect("it is enough");
        Append::to_stream(stream.clone(), version.into(), [event])
    };
    store.append(changed(4)).await?;
    conflict(store.append(changed(5)).await)?;
    Ok(())
}

pub async fn the_same_aggregate_keeps_its_rules_by_tag(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    let append = |event: NewEvent, after| -> Result<Append> {
        Ok(Append::events([event.tag("course", "c1")?]).fail_if(tag("course", "c1")).after(after))
    };
    store.append(append(NewEvent::new("CourseDefined", &3)?, Position::START)?).await?;
    for _ in 0..3 {
        let (course, head) = load_tagged(store, "c1").await?;
        store.append(append(course.subscribe().expect("a seat is free"), head)?).await?;
    }
    let (course, head) = load_tagged(store, "c1").await?;
    assert_eq!(course, Course { capacity: 3, subscriptions: 3 });
    assert_eq!(course.subscribe().err(), Some("the course is full"));
    assert_eq!(course.change_capacity(2).err(), Some("more have subscribed"));
    store.append(append(course.change_capacity(4).expect("it is enough"), head)?).await?;
    conflict(store.append(append(course.change_capacity(5).expect("it is enough"), head)?).await)?;
    Ok(())
}
