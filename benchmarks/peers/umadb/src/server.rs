use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{Deliveries, Event, Failure, Payload, Positions, Stream, System, broken};
use futures_util::StreamExt;
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbEventStoreAsync, DcbQuery};

use crate::event::{boundary, dcb_event, judged, of_stream, of_type, unchanged};

/// A server on loopback that ends with this.
pub(crate) struct Server {
    client: AsyncUmaDbClient,
    positions: Positions,
    process: Process,
}

struct Process(Mutex<Child>);

/// Runs the server until the process is killed.
pub(crate) async fn serve(directory: &str, address: &str) -> ExitCode {
    let (_never, shutdown) = tokio::sync::oneshot::channel();
    match umadb_server::start_server(Path::new(directory).join("uma.db"), address, shutdown).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl System for Server {
    async fn open(place: &str) -> Result<Self, Failure> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let address = address.map_err(broken)?.to_string();
        let program = std::env::current_exe().map_err(broken)?;
        let child = Command::new(program)
            .args(["serve", place, &address])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(broken)?;
        let process = Process(Mutex::new(child));
        let deadline = Instant::now() + Duration::from_secs(30);
        let client = loop {
            match UmaDbClient::new(format!("http://{address}")).connect_async().await {
                Ok(client) => break client,
                Err(error) if Instant::now() > deadline => return Err(broken(error)),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        Ok(Self { client, positions: Positions::default(), process })
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let events = events.iter().map(dcb_event).collect::<Result<Vec<_>, _>>()?;
        // An application has read the stream, and remembers where its last event lies.
        let last = match self.positions.of(stream) {
            None if expected > 0 => self.read(of_stream(stream)).await?.1,
            known => known,
        };
        let condition = unchanged(of_stream(stream), last);
        let position = self.client.append(events, condition, None).await.map_err(judged)?;
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
        let (_, head) = self.read(query.clone()).await?;
        self.client.append(vec![new], unchanged(query, head), None).await.map_err(judged)?;
        Ok(())
    }

    async fn find_type(&self, event_type: &'static str) -> Result<u64, Failure> {
        Ok(self.read(of_type(event_type)).await?.0)
    }

    async fn feed(&self) -> Result<u64, Failure> {
        let mut events = self.client.read(None, None, false, None).await.map_err(broken)?;
        let mut count = 0;
        loop {
            let batch = events.next_batch().await.map_err(broken)?;
            if batch.is_empty() {
                return Ok(count);
            }
            count += batch.len() as u64;
        }
    }

    async fn follow(&self, deliveries: Arc<Deliveries>) -> Result<(), Failure> {
        let head = self.client.head().await.map_err(broken)?;
        let mut events = self.client.subscribe(None, head).await.map_err(broken)?;
        deliveries.begin();
        while let Some(event) = events.next().await {
            let event = event.map_err(broken)?;
            let payload: Payload = serde_json::from_slice(&event.event.data).map_err(broken)?;
            deliveries.deliver(payload.number);
        }
        Ok(())
    }

    async fn preload(self: Arc<Self>, size: u64) -> Result<(), Failure> {
        for first in (0..size).step_by(2_000) {
            let events =
                (first..size.min(first + 2_000)).map(|number| dcb_event(&Event::preloaded(number, size).2));
            let events = events.collect::<Result<Vec<_>, _>>()?;
            self.client.append(events, None, None).await.map_err(broken)?;
        }
        Ok(())
    }

    async fn close(&self) -> Result<(), Failure> {
        self.process.end();
        Ok(())
    }
}

impl Server {
    /// How many events there are, and the head.
    async fn read(&self, query: DcbQuery) -> Result<(u64, Option<u64>), Failure> {
        let read = self.client.read_with_head(Some(query), None, false, None).await;
        let (events, head) = read.map_err(broken)?;
        Ok((events.len() as u64, head))
    }
}

impl Process {
    fn end(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What it acknowledged is flushed; there is nothing else to wait for.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
