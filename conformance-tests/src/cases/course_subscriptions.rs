//! <https://dcb.events/examples/course-subscriptions/>: a rule that spans two entities.

use eventsource_core::{
    Append, Boundary, Decision, DomainEvent, EventStore, Result as StoreResult, Tag, View, decision,
};
use serde::{Deserialize, Serialize};

use crate::given::{decided, found, race, tag};
use crate::{CaseResult, Cx};

const MOST_COURSES: u64 = 5;

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum CourseEvent {
    CourseDefined { course: String, capacity: u64 },
    CourseCapacityChanged { course: String, capacity: u64 },
    StudentSubscribed { student: String, course: String },
}

use CourseEvent::{CourseCapacityChanged, CourseDefined, StudentSubscribed};

impl DomainEvent for CourseEvent {
    fn tags(&self) -> StoreResult<Vec<Tag>> {
        match self {
            CourseDefined { course, .. } | CourseCapacityChanged { course, .. } => {
                Ok(vec![Tag::new("course", course)?])
            }
            StudentSubscribed { student, course } => {
                Ok(vec![Tag::new("student", student)?, Tag::new("course", course)?])
            }
        }
    }
}

/// What the course's capacity is, if it was defined.
fn capacity(course: &str) -> impl View<State = Option<u64>> + use<> {
    Boundary::of_types(["CourseDefined", "CourseCapacityChanged"]).tagged("course", course).fold(
        None,
        |before, event| match event {
            CourseDefined { capacity, .. } | CourseCapacityChanged { capacity, .. } => Some(capacity),
            StudentSubscribed { .. } => before,
        },
    )
}

fn subscriptions(key: &str, value: &str) -> Boundary {
    Boundary::of_types(["StudentSubscribed"]).tagged(key, value)
}

fn definition(course: &str, capacity: u64) -> impl Decision<Event = CourseEvent, Rejection = &'static str> {
    let exists = Boundary::of_types(["CourseDefined"]).tagged("course", course).exists();
    decision(exists, move |exists| match exists {
        true => Err("the course exists"),
        false => Ok(vec![CourseDefined { course: course.into(), capacity }]),
    })
}

fn change(course: &str, wanted: u64) -> impl Decision<Event = CourseEvent, Rejection = &'static str> {
    decision(capacity(course), move |capacity| match capacity {
        None => Err("there is no such course"),
        Some(capacity) if capacity == wanted => Err("the course has that capacity"),
        Some(_) => Ok(vec![CourseCapacityChanged { course: course.into(), capacity: wanted }]),
    })
}

fn subscription(student: &str, course: &str) -> impl Decision<Event = CourseEvent, Rejection = &'static str> {
    let views = (
        capacity(course),
        subscriptions("course", course).count(),
        subscriptions("course", course).tagged("student", student).exists(),
        subscriptions("student", student).count(),
    );
    decision(views, move |(capacity, taken, has_subscribed, courses)| match capacity {
        None => Err("there is no such course"),
        Some(capacity) if taken >= capacity => Err("the course is full"),
        _ if has_subscribed => Err("the student has subscribed"),
        _ if courses >= MOST_COURSES => Err("the student has enough courses"),
        _ => Ok(vec![StudentSubscribed { student: student.into(), course: course.into() }]),
    })
}

/// What a decision comes to when the rules forbid it.
type Decided = CaseResult<Result<Append, &'static str>>;

async fn define(store: &dyn EventStore, course: &str, capacity: u64) -> Decided {
    decided(store, definition(course, capacity)).await
}

async fn change_capacity(store: &dyn EventStore, course: &str, capacity: u64) -> Decided {
    decided(store, change(course, capacity)).await
}

async fn subscribe(store: &dyn EventStore, student: &str, course: &str) -> Decided {
    decided(store, subscription(student, course)).await
}

/// Appends what was decided; what the rules forbid is a failed case.
async fn done(store: &dyn EventStore, decision: Decided) -> CaseResult {
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
