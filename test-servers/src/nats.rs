use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::account::Account;
use crate::guard::Guard;
use crate::server_process::ServerProcess;
use crate::{Error, directory, port, program};

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A NATS server with JetStream, on loopback, whose streams lie in a directory of its own. When it is dropped, or this
/// process dies, it is gone.
#[derive(Debug)]
pub struct Nats {
    // The first to be dropped: it stops the server.
    _guard: Guard,
    _process: ServerProcess,
    url: String,
}

impl Nats {
    /// Starts one.
    ///
    /// # Errors
    /// nats-server isn't installed, or refuses to start.
    pub async fn start() -> Result<Self, Error> {
        let program = program::find("nats-server")?;
        let directory = directory::create("nats")?;
        let guard = Guard::of_process(&directory, "TERM")?;
        let account = Account::for_servers(&directory)?;
        account.give(&directory)?;
        let port = port::free()?;
        let arguments =
            ["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir", "streams"];
        let arguments = arguments.map(str::to_owned);
        let mut process = ServerProcess::start(&directory, account, &program, &arguments)?;
        let deadline = Instant::now() + START_TIMEOUT;
        while !greets(port).await {
            if process.ended()?.is_some() || Instant::now() > deadline {
                return Err(Error::new(format!("nats-server takes no connection\n{}", process.last_words())));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(Self { _guard: guard, _process: process, url: format!("nats://127.0.0.1:{port}") })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Whether the server says who it is, which it does to everybody who connects, once it is ready.
async fn greets(port: u16) -> bool {
    let greeting = async {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let mut word = [0; 4];
        connection.read_exact(&mut word).await?;
        std::io::Result::Ok(word)
    };
    matches!(timeout(Duration::from_secs(1), greeting).await, Ok(Ok(word)) if word == *b"INFO")
}
