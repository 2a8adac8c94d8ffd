use common::{Event, Failure, Stream, broken};
use umadb_dcb::{DcbAppendCondition, DcbError, DcbEvent, DcbQuery, DcbQueryItem};

/// An event with the tags of its course, its student and its stream.
pub(crate) fn dcb_event(event: &Event) -> Result<DcbEvent, Failure> {
    let [course, student] = event.tags();
    let tags = [tag(course), tag(student), tag(("order", &event.payload.order.to_string()))];
    let data = serde_json::to_vec(&event.payload).map_err(broken)?;
    Ok(DcbEvent::new().event_type(event.event_type).tags(tags).data(data).uuid(event.id))
}

/// All events about the event's course or its student.
pub(crate) fn boundary(event: &Event) -> DcbQuery {
    event
        .tags()
        .into_iter()
        .fold(DcbQuery::new(), |query, each| query.item(DcbQueryItem::new().tags([tag(each)])))
}

pub(crate) fn of_stream(stream: Stream) -> DcbQuery {
    DcbQuery::new().item(DcbQueryItem::new().tags([tag(("order", &stream.0.to_string()))]))
}

pub(crate) fn of_type(event_type: &str) -> DcbQuery {
    DcbQuery::new().item(DcbQueryItem::new().types([event_type]))
}

/// Nothing may match behind this position.
pub(crate) fn unchanged(query: DcbQuery, after: Option<u64>) -> Option<DcbAppendCondition> {
    Some(DcbAppendCondition::new(query).after(after))
}

pub(crate) fn judged(error: DcbError) -> Failure {
    match error {
        DcbError::IntegrityError(_) => Failure::Conflict,
        error => broken(error),
    }
}

fn tag((key, value): (&str, &str)) -> String {
    format!("{key}:{value}")
}
