use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::account::Account;
use crate::guard::Guard;
use crate::server_process::ServerProcess;
use crate::{Error, directory, port, program};

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A pgbouncer in transaction mode in front of a PostgreSQL server: two transactions of one client connection may run on
/// different server connections. When it is dropped, or this process dies, it is gone.
#[derive(Debug)]
pub struct PgBouncer {
    // The first to be dropped: it stops the server.
    _guard: Guard,
    _process: ServerProcess,
    url: String,
}

impl PgBouncer {
    /// Starts one in front of the server at `url`; it passes on every database of that server.
    ///
    /// # Errors
    /// pgbouncer isn't installed, or refuses to start, or doesn't reach the server.
    pub async fn start(url: &str) -> Result<Self, Error> {
        let program = program::find("pgbouncer")?;
        let server = Url::parse(url).map_err(|error| Error::new(format!("{url}: {error}")))?;
        let directory = directory::create("pgbouncer")?;
        let guard = Guard::of_process(&directory, "TERM")?;
        let account = Account::for_servers(&directory)?;
        account.give(&directory)?;
        let port = port::free()?;
        let configuration = directory.join("pgbouncer.ini");
        fs::write(&configuration, text(&server, port)).map_err(Error::during(configuration.display()))?;
        account.give(&configuration)?;

        let mut process = ServerProcess::start(&directory, account, &program, &["pgbouncer.ini".to_owned()])?;
        let mut through = server;
        through
            .set_ip_host(Ipv4Addr::LOCALHOST.into())
            .and_then(|()| through.set_port(Some(port)))
            .map_err(|()| Error::new(format!("{url} names no server")))?;
        let url = String::from(through);
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let refused = match PgConnection::connect(&url).await {
                Ok(connection) => {
                    connection.close().await.map_err(|error| Error::new(format!("pgbouncer: {error}")))?;
                    return Ok(Self { _guard: guard, _process: process, url });
                }
                Err(error) => error,
            };
            if process.ended()?.is_some() || Instant::now() > deadline {
                return Err(Error::new(format!(
                    "pgbouncer takes no connection: {refused}\n{}",
                    process.last_words()
                )));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The URL of the same database, through the bouncer; other databases of the server are reached by their names.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn text(server: &Url, port: u16) -> String {
    let host = server.host_str().unwrap_or("127.0.0.1");
    let server_port = server.port().unwrap_or(5432);
    let user = server.username();
    let password = server.password().map(|word| format!(" password={word}")).unwrap_or_default();
    // sqlx sets `extra_float_digits` when it connects; a bouncer has to be told that it may forget that.
    format!(
        "[databases]\n\
         * = host={host} port={server_port} user={user}{password}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         max_client_conn = 1000\n\
         default_pool_size = 20\n\
         ignore_startup_parameters = extra_float_digits\n"
    )
}
