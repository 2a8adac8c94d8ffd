//! Students subscribe to courses: no course is overbooked and no student overworked, and no aggregate holds both.
//! The first example of [dcb.events](https://dcb.events/examples/course-subscriptions/).
//!
//! `cargo run -p examples --bin course_subscriptions -- [--backend memory|sqlite|postgres] [--url …]`

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use eventsource_core::{Append, EventStore, EventStoreExt, Filter, FilterItem, NewEvent, Queried};
use examples::StoreArguments;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many courses one student may take.
const COURSES_PER_STUDENT: usize = 5;

#[derive(Serialize, Deserialize)]
struct CourseDefined {
    course_id: String,
    capacity: usize,
}

#[derive(Serialize, Deserialize)]
struct StudentSubscribed {
    course_id: String,
    student_id: String,
}

/// What must be known to decide on one subscription, and nothing else.
fn boundary(course: &str, student: &str) -> eventsource_core::Result<Filter> {
    Filter::any_of([
        FilterItem::new().event_types(["CourseDefined", "StudentSubscribed"])?.tag("course", course)?,
        FilterItem::new().event_type("StudentSubscribed")?.tag("student", student)?,
    ])
}

/// The event, if the rules allow it.
fn decide(known: &Queried, course: &str, student: &str) -> Result<NewEvent, Box<dyn Error>> {
    let (mut capacity, mut taken, mut courses) = (None, 0, 0);
    for event in &known.events {
        match event.event_type().as_str() {
            "CourseDefined" => capacity = Some(event.payload().deserialize::<CourseDefined>()?.capacity),
            _ => {
                let subscribed: StudentSubscribed = event.payload().deserialize()?;
                let same_course = subscribed.course_id == course;
                let same_student = subscribed.student_id == student;
                if same_course && same_student {
                    return Err(format!("{student} takes {course} already").into());
                }
                taken += usize::from(same_course);
                courses += usize::from(same_student);
            }
        }
    }
    match capacity {
        None => Err(format!("there is no course {course}").into()),
        Some(capacity) if taken >= capacity => {
            Err(format!("{course} is full ({taken} of {capacity})").into())
        }
        Some(_) if courses >= COURSES_PER_STUDENT => Err(format!("{student} takes {courses} courses").into()),
        Some(_) => {
            let subscribed = StudentSubscribed { course_id: course.into(), student_id: student.into() };
            Ok(NewEvent::new("StudentSubscribed", &subscribed)?
                .tag("course", course)?
                .tag("student", student)?)
        }
    }
}

async fn subscribe(store: &dyn EventStore, course: &str, student: &str) -> Result<(), Box<dyn Error>> {
    let boundary = boundary(course, student)?;
    let known = store.query(&boundary).await?;
    let event = decide(&known, course, student)?;
    store.append(Append::events([event]).fail_if(boundary).after(known.head)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::conclude(run().await)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let picked = StoreArguments::parse().open("course_subscriptions.db").await?;
    let store = &*picked.store;
    println!("Course subscriptions in {}", picked.place);
    // Names of this run's own, so that the log can be kept from run to run.
    let run = Uuid::now_v7().simple().to_string();
    let course = format!("course-{run}");
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|name| format!("{name}-{run}"));

    let defined = CourseDefined { course_id: course.clone(), capacity: 2 };
    let event = NewEvent::new("CourseDefined", &defined)?.tag("course", &course)?;
    store.append(Append::events([event]).fail_if(Filter::tagged("course", &course)?)).await?;
    println!("defined: a course with 2 places");

    subscribe(store, &course, &ann).await?;
    println!("subscribed: ann (1 of 2)");

    // Bob and Cid look at the same moment, and both see one place left.
    let (bobs, cids) = (boundary(&course, &bob)?, boundary(&course, &cid)?);
    let (bob_knows, cid_knows) = (store.query(&bobs).await?, store.query(&cids).await?);
    let (bobs_event, cids_event) = (decide(&bob_knows, &course, &bob)?, decide(&cid_knows, &course, &cid)?);
    store.append(Append::events([bobs_event]).fail_if(bobs).after(bob_knows.head)).await?;
    println!("subscribed: bob (2 of 2)");
    match store.append(Append::events([cids_event]).fail_if(cids).after(cid_knows.head)).await {
        Err(error) if error.is_conflict() => {
            println!("conflict: cid decided on what was no longer so: {error}")
        }
        other => return Err(format!("two took one place: {other:?}").into()),
    }
    match subscribe(store, &course, &cid).await {
        Err(rejection) => println!("rejected: {}", rejection.to_string().replace(&format!("-{run}"), "")),
        Ok(()) => return Err("the course is overbooked".into()),
    }

    store.close().await?;
    println!("SUCCESS: no place was given twice");
    Ok(())
}
