use eventsource_core::{
    Append, AppendCondition, Appended, Clock, Conflict, NewEvent, ReadOptions, Result, StreamId,
    to_microseconds,
};

use crate::log::{Log, position_of};
use crate::read::Scan;

impl Log {
    /// Judges a validated append and writes it whole, or leaves the log as it is.
    pub(crate) fn append(&mut self, append: Append, clock: &dyn Clock) -> Result<Appended> {
        if let Some(replayed) = self.find_stored(&append)? {
            return Ok(replayed);
        }
        self.check_streams(&append)?;
        append.conditions().iter().try_for_each(|condition| self.check_condition(condition))?;
        let recorded_at = to_microseconds(clock.now())?;

        let first = position_of(self.len() + 1);
        let versions = self.write(append.into_parts(), recorded_at);
        Ok(Appended { first, last: self.head(), versions, replayed: false })
    }

    /// The first result of this very append, if it is stored.
    fn find_stored(&self, append: &Append) -> Result<Option<Appended>> {
        let stored = |(_, event): (Option<&StreamId>, &NewEvent)| self.index_of(event.event_id());
        let Some(taken) = append.each_event().find_map(stored) else { return Ok(None) };
        self.stored_whole(append).map(Some).ok_or_else(|| {
            let event = self.event(taken);
            Conflict::DuplicateEvent { event_id: event.id(), position: event.position() }.into()
        })
    }

    fn stored_whole(&self, append: &Append) -> Option<Appended> {
        let first = self.index_of(append.each_event().next()?.1.event_id())?;
        let end = first + append.event_count();
        if end > self.len() || !self.append_begins_at(first) || !self.append_begins_at(end) {
            return None;
        }
        let recorded = append.each_event().zip(first..end);
        for ((stream, event), index) in recorded {
            // An append that begins in between is another one.
            if (index > first && self.append_begins_at(index)) || !self.event(index).records(event, stream) {
                return None;
            }
        }
        let mut versions = Vec::new();
        let mut last = first;
        for part in append.parts() {
            last += part.events().len();
            versions.extend(part.stream().cloned().zip(self.event(last - 1).version()));
        }
        Some(Appended {
            first: self.event(first).position(),
            last: self.event(end - 1).position(),
            versions,
            replayed: true,
        })
    }

    fn check_streams(&self, append: &Append) -> Result<()> {
        for part in append.parts() {
            let Some(stream) = part.stream() else { continue };
            let actual = self.stream_version(stream);
            if !part.expected().is_met_by(actual) {
                let (stream, expected) = (stream.clone(), part.expected());
                return Err(Conflict::StreamVersion { stream, expected, actual }.into());
            }
        }
        Ok(())
    }

    fn check_condition(&self, condition: &AppendCondition) -> Result<()> {
        let options = ReadOptions::new().after(condition.after_position()).limit(1);
        let mut scan = Scan::new(self, condition.filter(), &options);
        while !scan.step(self) {}
        match scan.into_page().events.pop() {
            None => Ok(()),
            Some(event) => {
                let (position, event_type) = (event.position(), event.event_type().clone());
                Err(Conflict::Condition { position, event_type }.into())
            }
        }
    }
}
