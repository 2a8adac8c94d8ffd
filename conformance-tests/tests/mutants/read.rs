//! What broken stores do when they are read.

use eventsource_core::{Error, EventStore, Filter, Page, Position, ReadOptions, RecordedEvent, Result};

use crate::defect::Defect;
use crate::rewrite;
use crate::store::{Mutant, ahead};

impl Mutant {
    pub(crate) async fn page_broken(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        let inner = &self.ground.model;
        let mut page = match self.ground.defect {
            Defect::ForgetsTheTenant => inner.read_page(&rewrite::without_tenant(filter), options).await?,
            Defect::LimitsBeforeItFilters if filter.scope().stream().is_none() => {
                let mut page = inner.read_page(&Filter::all(), options).await?;
                page.events.retain(|event| filter.matches(event));
                page
            }
            _ => inner.read_page(filter, options).await?,
        };
        match self.ground.defect {
            Defect::TakesNothingForAll if page.events.is_empty() && filter.items().is_some() => {
                page = inner.read_page(&Filter::all(), options).await?;
            }
            Defect::ForgetsThatThereIsMore => page.more = false,
            Defect::KeepsTheCursor if page.events.is_empty() => page.more = true,
            Defect::UntilIsExclusive => {
                page.events.retain(|event| Some(event.position()) != options.until_position());
            }
            Defect::HeadIsAhead => page.head = ahead(page.head),
            Defect::ReusesAPosition => page.events.iter_mut().for_each(reuse_position),
            Defect::SkipsAVersion => page.events.iter_mut().for_each(skip_version),
            _ => {}
        }
        let damaged = self.ground.damaged.lock().expect("nothing panics under it").clone();
        if self.ground.defect == Defect::DropsUndecodableEvents {
            page.events.retain(|event| !damaged.contains(&event.position()));
        } else if let Some(broken) = page.events.iter().find(|event| damaged.contains(&event.position())) {
            let position = broken.position();
            return Err(Error::corrupt(format!("the event at position {position} can't be decoded")));
        }
        page.events.retain(|event| !self.ground.is_hidden(event.position()));
        page.head = self.visible(page.head);
        Ok(page)
    }
}

fn reuse_position(event: &mut RecordedEvent) {
    let raw = event.position().to_raw();
    if raw.is_multiple_of(4) {
        *event = rewrite::recorded(event, Position::from_raw(raw - 1), event.version());
    }
}

fn skip_version(event: &mut RecordedEvent) {
    if let Some(version) = event.version().filter(|version| version.get() > 2) {
        *event = rewrite::recorded(event, event.position(), Some(version.next()));
    }
}
