use std::path::Path;
use std::sync::Arc;
use std::thread;

use common::{Deliveries, Event, Failure, Positions, Stream, System, broken};
use tokio::sync::{mpsc, oneshot, watch};
use umadb_core::db::UmaDb;
use umadb_core::mvcc::{Mvcc, StorageOptions};
use umadb_core::writer_thread_blocking::writer_thread_blocking;
use umadb_core::writer_thread_request::WriterThreadRequest;
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbEventStoreSync, DcbQuery, DcbResult};

use crate::event::{boundary, dcb_event, judged, of_stream, of_type, unchanged};

/// The engine alone. It has one writer, and nothing that keeps two threads from writing at once (`UmaDb::append` from
/// several corrupts the file): so appends go to the writer's thread that its server has, with the server's bounds.
pub(crate) struct Embedded {
    database: Arc<UmaDb>,
    writer: mpsc::Sender<WriterThreadRequest>,
    positions: Positions,
}

impl System for Embedded {
    async fn open(place: &str) -> Result<Self, Failure> {
        let options = StorageOptions::default().db_path(Path::new(place).join("uma.db"));
        let storage = tokio::task::spawn_blocking(move || Mvcc::new(false, options)).await.map_err(broken)?;
        let storage = Arc::new(storage.map_err(broken)?);
        let (writer, requests) = mpsc::channel(WAITING);
        let (written, head) = (storage.clone(), watch::channel(None).0);
        thread::spawn(move || writer_thread_blocking(written, requests, head, EVENTS_AT_ONCE));
        let database = Arc::new(UmaDb::from_arc(storage));
        Ok(Self { database, writer, positions: Positions::default() })
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let events = events.iter().map(dcb_event).collect::<Result<Vec<DcbEvent>, _>>()?;
        // An application has read the stream, and remembers where its last event lies.
        let last = match self.positions.of(stream) {
            None if expected > 0 => self.read(of_stream(stream)).await?.1,
            known => known,
        };
        let condition = unchanged(of_stream(stream), last);
        let position = self.write(events, condition).await?;
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
        let head = self.read(query.clone()).await?.1;
        self.write(vec![new], unchanged(query, head)).await?;
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
        for first in (0..size).step_by(2_000) {
            let numbers = first..size.min(first + 2_000);
            let events = numbers.map(|number| dcb_event(&Event::preloaded(number, size).2));
            self.write(events.collect::<Result<_, _>>()?, None).await?;
        }
        Ok(())
    }

    async fn close(&self) -> Result<(), Failure> {
        self.writer
            .send(WriterThreadRequest::Shutdown)
            .await
            .map_err(|_| broken("the writer's thread has ended"))
    }
}

/// As its server has them.
const WAITING: usize = 1_024;
const EVENTS_AT_ONCE: usize = 2_048;

impl Embedded {
    async fn write(
        &self,
        events: Vec<DcbEvent>,
        condition: Option<DcbAppendCondition>,
    ) -> Result<u64, Failure> {
        let (response_tx, response) = oneshot::channel();
        let request =
            WriterThreadRequest::Append { events, condition, tracking_info: None, response_tx, cancel: None };
        self.writer.send(request).await.map_err(|_| broken("the writer's thread has ended"))?;
        response.await.map_err(broken)?.map_err(judged)
    }

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
