use std::fmt;
use std::str::FromStr;

use eventsource_core::{Error, RecordedEvent, Result, StreamId};

use crate::escape::escape;

/// How an event's subject is made: text with placeholders.
///
/// | placeholder | stands for |
/// |---|---|
/// | `{event_type}` | what kind of fact |
/// | `{aggregate_type}`, `{aggregate_id}` | the stream |
/// | `{tenant_id}` | whose data |
///
/// Letters, digits, `-` and `_` stand as they are; every other byte becomes `%` and two hexadecimal digits, so that a dot or
/// a `*` in a name never becomes a subject's. What an event does not have is a lone `_`.
///
/// ```
/// use eventsource_nats::SubjectTemplate;
///
/// let template: SubjectTemplate = "shop.{aggregate_type}.{event_type}".parse()?;
/// assert!("shop.{colour}".parse::<SubjectTemplate>().is_err());
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    EventType,
    AggregateType,
    AggregateId,
    TenantId,
}

impl SubjectTemplate {
    /// The event's subject.
    #[must_use]
    pub fn subject(&self, event: &RecordedEvent) -> String {
        self.0.iter().map(|part| part.fill_in(event)).collect()
    }
}

impl FromStr for SubjectTemplate {
    type Err = Error;

    /// # Errors
    /// `InvalidInput` if a placeholder is unknown or not closed, or if the text makes no subject: empty, with an empty part
    /// between dots, with spaces, `*`, `>` or control characters.
    fn from_str(template: &str) -> Result<Self> {
        let invalid = |why: String| Error::invalid_input(format!("{template:?} makes no subject: {why}"));
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            parts.push(Part::Text(text.to_owned()));
            let (name, after) = after.split_once('}').ok_or_else(|| invalid("a { is not closed".into()))?;
            parts.push(match name {
                "event_type" => Part::EventType,
                "aggregate_type" => Part::AggregateType,
                "aggregate_id" => Part::AggregateId,
                "tenant_id" => Part::TenantId,
                _ => return Err(invalid(format!("{{{name}}} stands for nothing"))),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        // Whatever a placeholder is filled with is not empty and holds nothing of what is looked for.
        let sample: String =
            parts.iter().map(|part| if let Part::Text(text) = part { text } else { "_" }).collect();
        let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>' | '}');
        if sample.contains(refused) {
            return Err(invalid("it holds a space, a control character, *, > or }".into()));
        }
        if sample.split('.').any(str::is_empty) {
            return Err(invalid("it is empty, or empty between two dots".into()));
        }
        Ok(Self(parts))
    }
}

impl Part {
    fn fill_in(&self, event: &RecordedEvent) -> String {
        let name = match self {
            Self::Text(text) => return text.clone(),
            Self::EventType => Some(event.event_type().to_string()),
            Self::AggregateType => event.stream().map(|stream| stream.aggregate_type().to_string()),
            Self::AggregateId => event.stream().map(StreamId::aggregate_id).map(|id| id.to_string()),
            Self::TenantId => event.metadata().tenant_id().map(|tenant| tenant.to_string()),
        };
        match name.as_deref() {
            None => "_".to_owned(),
            // Not what stands for nothing.
            Some("_") => "%5F".to_owned(),
            Some(name) => escape(name, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
        }
    }
}

impl fmt::Display for SubjectTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::EventType => f.write_str("{event_type}"),
            Part::AggregateType => f.write_str("{aggregate_type}"),
            Part::AggregateId => f.write_str("{aggregate_id}"),
            Part::TenantId => f.write_str("{tenant_id}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use eventsource_core::{NewEvent, Position, Version};

    use super::*;

    fn subject(template: &str, event_type: &str, stream: Option<&StreamId>) -> String {
        let event = NewEvent::new(event_type, &()).unwrap();
        let stream = stream.map(|stream| (stream.clone(), Version::FIRST));
        let event = RecordedEvent::new(event, Position::from_raw(1), stream, DateTime::UNIX_EPOCH);
        let template: SubjectTemplate = template.parse().unwrap();
        assert_eq!(template.to_string().parse::<SubjectTemplate>().unwrap(), template);
        template.subject(&event)
    }

    #[test]
    fn placeholders_are_filled_in_and_never_become_syntax() {
        let id = "018f4d2e-0000-7000-8000-000000000001";
        let order = StreamId::new("Order", id.parse().unwrap()).unwrap();
        assert_eq!(
            subject("shop.{aggregate_type}.{aggregate_id}.{event_type}", "OrderPlaced", Some(&order)),
            format!("shop.Order.{id}.OrderPlaced")
        );
        assert_eq!(
            subject("{tenant_id}.{aggregate_type}.{event_type}", "a.*.> é", None),
            "_._.a%2E%2A%2E%3E%20%C3%A9"
        );
        assert_eq!(subject("x.{event_type}", "_", None), "x.%5F");
        assert_eq!(subject("all", "OrderPlaced", None), "all");
    }

    #[test]
    fn what_makes_no_subject_is_refused() {
        for template in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a.*",
            "a.>",
            "a.{colour}",
            "a.{event_type",
            "a}",
            "a\n",
            "a.{}",
        ] {
            assert!(template.parse::<SubjectTemplate>().is_err(), "{template:?}");
        }
    }
}
