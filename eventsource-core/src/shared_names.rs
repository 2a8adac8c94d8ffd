use crate::{AggregateType, EventType, Result};

/// For backends: names that come with event after event, each checked once. The long ones are shared from then on; the
/// short ones take no more room than what shares a text.
///
/// ```
/// use eventsource_core::SharedNames;
///
/// let mut names = SharedNames::default();
/// let name = "DeliveryAddressOfOrderChanged";
/// let (first, again) = (names.event_type(name)?, names.event_type(name)?);
/// assert!(std::ptr::eq(first.as_str(), again.as_str()));
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct SharedNames {
    event_types: Vec<EventType>,
    aggregate_types: Vec<AggregateType>,
}

/// How many of each are known at most: so few are looked through sooner than a hash is made.
const MOST: usize = 16;

impl SharedNames {
    /// The event type of this name.
    ///
    /// # Errors
    /// As for [`EventType::new`].
    pub fn event_type(&mut self, name: &str) -> Result<EventType> {
        shared(&mut self.event_types, |known| known.as_str() == name, || EventType::new(name))
    }

    /// The aggregate type of this name.
    ///
    /// # Errors
    /// As for [`AggregateType::new`].
    pub fn aggregate_type(&mut self, name: &str) -> Result<AggregateType> {
        shared(&mut self.aggregate_types, |known| known.as_str() == name, || AggregateType::new(name))
    }
}

fn shared<N: Clone>(
    names: &mut Vec<N>,
    is_it: impl Fn(&N) -> bool,
    make: impl FnOnce() -> Result<N>,
) -> Result<N> {
    if let Some(known) = names.iter().find(|known| is_it(known)) {
        return Ok(known.clone());
    }
    let made = make()?;
    if names.len() == MOST {
        names.clear();
    }
    names.push(made.clone());
    Ok(made)
}
