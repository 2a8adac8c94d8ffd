//! <https://dcb.events/examples/course-subscriptions/>: a rule that spans two entities.

use eventsource_core::{Append, EventStore, EventStoreExt, Filter, FilterItem, NewEvent, RecordedEvent, Tag};

use crate::given::{found, race, tag, with_json};
use crate::{CaseResult, Cx};

const MOST_COURSES: usize = 5;

/// What a decision comes to when the rules forbid it.
type Decision = CaseResult<Result<Append, &'static str>>;

fn capacity_event(event_type: &str, course: &str, capacity: usize) -> NewEvent {
    with_json(event_type, &format!(r#"{{"capacity":{capacity}}}"#)).tag("course", course).expect("a tag")
}

fn subscription(student: &str, course: &str) -> CaseResult<NewEvent> {
    Ok(with_json("StudentSubscribed", "{}").tag("student", student)?.tag("course", course)?)
}

/// What the course's capacity is, if it was defined, among these events.
fn capacity_in(events: &[RecordedEvent]) -> CaseResult<Option<usize>> {
    #[derive(serde::Deserialize)]
    struct Capacity {
        capacity: usize,
    }
    let newest = events.iter().rev().find(|event| event.event_type() != "StudentSubscribed");
    Ok(newest.map(|event| event.payload().deserialize::<Capacity>()).transpose()?.map(|found| found.capacity))
}

async fn define(store: &dyn EventStore, course: &str, capacity: usize) -> Decision {
    let boundary = Filter::any_of([FilterItem::new().event_type("CourseDefined")?.tag("course", course)?])?;
    let seen = store.query(&boundary).await?;
    if !seen.events.is_empty() {
        return Ok(Err("the course exists"));
    }
    let defined = capacity_event("CourseDefined", course, capacity);
    Ok(Ok(Append::events([defined]).fail_if(boundary).after(seen.head)))
}

async fn change_capacity(store: &dyn EventStore, course: &str, capacity: usize) -> Decision {
    let types = ["CourseDefined", "CourseCapacityChanged"];
    let boundary = Filter::any_of([FilterItem::new().event_types(types)?.tag("course", course)?])?;
    let seen = store.query(&boundary).await?;
    match capacity_in(&seen.events)? {
        None => Ok(Err("there is no such course")),
        Some(current) if current == capacity => Ok(Err("the course has that capacity")),
        Some(_) => {
            let changed = capacity_event("CourseCapacityChanged", course, capacity);
            Ok(Ok(Append::events([changed]).fail_if(boundary).after(seen.head)))
        }
    }
}

async fn subscribe(store: &dyn EventStore, student: &str, course: &str) -> Decision {
    let boundary = Filter::any_of([
        FilterItem::new().event_types(["CourseDefined", "CourseCapacityChanged"])?.tag("course", course)?,
        FilterItem::new().event_type("StudentSubscribed")?.tag("course", course)?,
        FilterItem::new().event_type("StudentSubscribed")?.tag("student", student)?,
    ])?;
    let seen = store.query(&boundary).await?;
    let carries = |event: &RecordedEvent, tag: &Tag| {
        event.event_type() == "StudentSubscribed" && event.tags().contains(tag)
    };
    let count = |tag: &Tag| seen.events.iter().filter(|event| carries(event, tag)).count();
    let (course_tag, student_tag) = (Tag::new("course", course)?, Tag::new("student", student)?);
    let Some(capacity) = capacity_in(&seen.events)? else { return Ok(Err("there is no such course")) };
    if count(&course_tag) >= capacity {
        return Ok(Err("the course is full"));
    }
    if seen.events.iter().any(|event| carries(event, &course_tag) && carries(event, &student_tag)) {
        return Ok(Err("the student has subscribed"));
    }
    if count(&student_tag) >= MOST_COURSES {
        return Ok(Err("the student has enough courses"));
    }
    Ok(Ok(Append::events([subscription(student, course)?]).fail_if(boundary).after(seen.head)))
}

/// Appends what was decided; what the rules forbid is a failed case.
async fn done(store: &dyn EventStore, decision: Decision) -> CaseResult {
    store.append(decision?.expect("the rules allow it")).await?;
    Ok(())
}

pub async fn a_course_is_defined_once(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    done(store, define(store, "c1", 10).await).await?;
    assert_eq!(define(store, "c1", 15).await?.err(), Some("the course exists"));
    done(store, define(store, "c2", 15).await).await
}

pub async fn only_a_course_that_exists_changes_its_capacity(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    assert_eq!(change_capacity(store, "c0", 15).await?.err(), Some("there is no such course"));
    done(store, define(store, "c1", 12).await).await?;
    assert_eq!(change_capacity(store, "c1", 12).await?.err(), Some("the course has that capacity"));
    done(store, change_capacity(store, "c1", 15).await).await?;
    assert_eq!(change_capacity(store, "c1", 15).await?.err(), Some("the course has that capacity"));
    Ok(())
}

pub async fn nobody_subscribes_to_a_course_that_does_not_exist(cx: Cx) -> CaseResult {
    assert_eq!(subscribe(&**cx.store(), "s1", "c0").await?.err(), Some("there is no such course"));
    Ok(())
}

pub async fn a_full_course_takes_nobody(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    done(store, define(store, "c1", 3).await).await?;
    for student in ["s1", "s2", "s3"] {
        done(store, subscribe(store, student, "c1").await).await?;
    }
    assert_eq!(subscribe(store, "s4", "c1").await?.err(), Some("the course is full"));
    done(store, change_capacity(store, "c1", 4).await).await?;
    done(store, subscribe(store, "s4", "c1").await).await
}

pub async fn nobody_subscribes_twice(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    done(store, define(store, "c1", 10).await).await?;
    done(store, subscribe(store, "s1", "c1").await).await?;
    assert_eq!(subscribe(store, "s1", "c1").await?.err(), Some("the student has subscribed"));
    Ok(())
}

pub async fn nobody_subscribes_to_more_than_five_courses(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    for course in 0..6 {
        done(store, define(store, &format!("c{course}"), 10).await).await?;
    }
    for course in 0..5 {
        done(store, subscribe(store, "s1", &format!("c{course}")).await).await?;
    }
    assert_eq!(subscribe(store, "s1", "c5").await?.err(), Some("the student has enough courses"));
    done(store, subscribe(store, "s2", "c5").await).await
}

pub async fn the_last_seat_goes_to_one(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    done(store, define(store, "c1", 1).await).await?;
    let mut decided = Vec::new();
    for student in 0..8 {
        decided.push(subscribe(store, &format!("s{student}"), "c1").await?.expect("a seat is free"));
    }
    let results = race(cx.store(), decided).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(found(store, tag("course", "c1")).await?.len(), 2);
    Ok(())
}

pub async fn a_student_who_takes_two_courses_at_once_does_not_pass_the_limit(cx: Cx) -> CaseResult {
    let store = &**cx.store();
    for course in 0..8 {
        done(store, define(store, &format!("c{course}"), 10).await).await?;
    }
    for course in 0..4 {
        done(store, subscribe(store, "s1", &format!("c{course}")).await).await?;
    }
    let mut decided = Vec::new();
    for course in 4..8 {
        decided.push(subscribe(store, "s1", &format!("c{course}")).await?.expect("one is free"));
    }
    let results = race(cx.store(), decided).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(found(store, tag("student", "s1")).await?.len(), 5);
    Ok(())
}
