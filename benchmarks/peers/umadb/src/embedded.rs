use std::path::Path;
use std::sync::Arc;

use common::{Deliveries, Event, Failure, Positions, Stream, System, broken};
use umadb_core::db::UmaDb;
use umadb_core::mvcc::{Mvcc, StorageOptions};
use umadb_dcb::{DcbEvent, DcbEventStoreSync, DcbQuery, DcbResult};

use crate::event::{boundary, dcb_event, judged, of_stream, of_type, unchanged};

pub(crate) struct Embedded {
    database: Arc<UmaDb>,
    positions: Positions,
}

impl System for Embedded {
    async fn open(place: &str) -> Result<Self, Failure> {
        let options = StorageOptions::default().db_path(Path::new(place).join("uma.db"));
        let storage = tokio::task::spawn_blocking(move || Mvcc::new(false, options)).await.map_err(broken)?;
        let database = UmaDb::from_arc(Arc::new(storage.map_err(broken)?));
        Ok(Self { database: Arc::new(database), positions: Positions::default() })
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let events = events.iter().map(dcb_event).collect::<Result<Vec<DcbEvent>, _>>()?;
        // An application has read the stream, and remembers where its last event lies.
        let last = match self.positions.of(stream) {
            None if expected > 0 => self.read(of_stream(stream)).await?.1,
            known => known,
        };
        let condition = unchanged(of_stream(stream), last);
        let position = self.blocking(move |database| database.append(events, condition, None)).await?;
        self.positions.remember(stream, position);
        Ok(())
    }

    async fn version(&self, stream: Stream) -> Result<u64, Failure> {
        let (count, last) = self.read(of_stream(stream)).await?;
        if let Some(last) = last {
            self.positions.remember(stream, last);
        }
        Ok(count)
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        Ok(self.read(of_stream(stream)).await?.0)
    }

    async fn decide(&self, event: Event) -> Result<(), Failure> {
        let (new, query) = (dcb_event(&event)?, boundary(&event));
        self.blocking(move |database| {
            let (_, head) = database.read_with_head(Some(query.clone()), None, false, None)?;
            database.append(vec![new], unchanged(query, head), None)
        })
        .await?;
        Ok(())
    }

    async fn find_type(&self, event_type: &'static str) -> Result<u64, Failure> {
        Ok(self.read(of_type(event_type)).await?.0)
    }

    async fn feed(&self) -> Result<u64, Failure> {
        let counted = self.blocking(|database| {
            let mut count = 0;
            for event in database.read(None, None, false, None)? {
                event?;
                count += 1;
            }
            Ok(count)
        });
        counted.await
    }

    async fn follow(&self, _deliveries: Arc<Deliveries>) -> Result<(), Failure> {
        Err(Failure::absent("subscriptions are the server's"))
    }

    async fn preload(self: Arc<Self>, size: u64) -> Result<(), Failure> {
        self.blocking(move |database| {
            for first in (0..size).step_by(2_000) {
                let events = (first..size.min(first + 2_000))
                    .map(|number| dcb_event(&Event::preloaded(number, size).2));
                let events = events.collect::<Result<Vec<_>, _>>();
                let events =
                    events.map_err(|failure| umadb_dcb::DcbError::InvalidArgument(failure.to_string()))?;
                database.append(events, None, None)?;
            }
            Ok(())
        })
        .await
    }
}

impl Embedded {
    /// How many events there are, and the head.
    async fn read(&self, query: DcbQuery) -> Result<(u64, Option<u64>), Failure> {
        self.blocking(move |database| {
            let (events, head) = database.read_with_head(Some(query), None, false, None)?;
            Ok((events.len() as u64, head))
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&UmaDb) -> DcbResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let database = self.database.clone();
        tokio::task::spawn_blocking(move || work(&database)).await.map_err(broken)?.map_err(judged)
    }
}
