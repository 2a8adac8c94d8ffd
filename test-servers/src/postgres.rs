use std::env::{self, VarError};

use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::container::{self, IMAGE, PostgresContainer};
use crate::{Error, LocalPostgres, PostgresBinaries, database};

/// The variable with the URL of a server that the caller owns.
const URL: &str = "EVENTSOURCE_POSTGRES_URL";
/// The variable that allows one way to a server and no other.
const SERVER: &str = "EVENTSOURCE_POSTGRES_SERVER";

/// A PostgreSQL server: the caller's own, one in a container, or one from binaries on this machine, tried in this order.
///
/// When it is dropped, or this process dies, a server that was started for it is gone.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
}

/// Whose server a [`Postgres`] is, and where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostgresKind {
    /// The caller's own (`EVENTSOURCE_POSTGRES_URL`).
    Url,
    /// In a container of a Docker daemon.
    Docker,
    /// From binaries on this machine, in a temporary directory.
    Local,
}

impl PostgresKind {
    /// The word for it in `EVENTSOURCE_POSTGRES_SERVER`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Docker => "docker",
            Self::Local => "local",
        }
    }
}

#[derive(Debug)]
enum Server {
    Given(String),
    Container(PostgresContainer),
    Local(LocalPostgres),
}

impl Postgres {
    /// The one server of all tests in this process, started by whoever asks first.
    ///
    /// # Panics
    /// No server is to be had: a test that needs one fails, and its message says which commands would help.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Result<Postgres, Error>> = OnceCell::const_new();
        match SHARED.get_or_init(Self::start).await {
            Ok(postgres) => postgres,
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts a server, or takes the caller's.
    ///
    /// # Errors
    /// None is to be had; the error says what was tried and which commands would help.
    pub async fn start() -> Result<Self, Error> {
        let server = match wanted()? {
            Some(PostgresKind::Url) => {
                given().ok_or_else(|| Error::new(format!("{SERVER} is url, but {URL} isn't set")))?
            }
            Some(PostgresKind::Docker) => docker().await.map_err(|error| only("docker", &error))?,
            Some(PostgresKind::Local) => local().await.map_err(|error| only("local", &error))?,
            None => any().await?,
        };
        Ok(Self { server })
    }

    /// A server of one test's own, from binaries on this machine, that can be configured, stopped, killed and restarted.
    #[must_use]
    pub fn own() -> crate::LocalPostgresBuilder {
        LocalPostgres::builder()
    }

    /// The URL of a database that's always there, as a role that may create others.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.server {
            Server::Given(url) => url.clone(),
            Server::Container(container) => container.url().into(),
            Server::Local(local) => local.url(),
        }
    }

    /// Creates an empty database for one test and returns its URL. The name is the test's; the database is called
    /// `test_BINARY_NAME`, and on a server that you own it stays for you to look into until the next run replaces it.
    ///
    /// # Errors
    /// The server refuses, or the name was used before in this process, or is too long.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        database::create(&self.url(), name).await
    }

    /// Where the server runs.
    #[must_use]
    pub fn kind(&self) -> PostgresKind {
        match &self.server {
            Server::Given(_) => PostgresKind::Url,
            Server::Container(_) => PostgresKind::Docker,
            Server::Local(_) => PostgresKind::Local,
        }
    }

    /// The programs that belong to the server, where it is a local one.
    #[must_use]
    pub fn binaries(&self) -> Option<&PostgresBinaries> {
        match &self.server {
            Server::Local(local) => Some(local.binaries()),
            _ => None,
        }
    }
}

fn wanted() -> Result<Option<PostgresKind>, Error> {
    match env::var(SERVER) {
        Err(VarError::NotPresent) => Ok(None),
        Ok(word) => [PostgresKind::Url, PostgresKind::Docker, PostgresKind::Local]
            .into_iter()
            .find(|kind| kind.name() == word)
            .map(Some)
            .ok_or_else(|| Error::new(format!("{SERVER} is {word:?}; it can be url, docker or local"))),
        Err(error) => Err(Error::new(format!("{SERVER}: {error}"))),
    }
}

async fn any() -> Result<Server, Error> {
    if let Some(server) = given() {
        return Ok(server);
    }
    let docker = match docker().await {
        Ok(server) => return Ok(server),
        Err(error) => error,
    };
    let local = match local().await {
        Ok(server) => return Ok(server),
        Err(error) => error,
    };
    Err(Error::new(format!(
        "this test needs a PostgreSQL server, and there is none:\n\
         - {URL} is not set\n\
         - {docker}\n\
         - {local}\n\
         {}",
        help()
    )))
}

fn help() -> String {
    format!(
        "One of these helps:\n\
         - start a Docker daemon (the image is {}, by {IMAGE})\n\
         - apt-get install --no-install-recommends postgresql\n\
         - {URL}=postgres://postgres:PASSWORD@127.0.0.1:5432/postgres, a server of yours",
        container::image()
    )
}

fn given() -> Option<Server> {
    env::var(URL).ok().map(Server::Given)
}

async fn docker() -> Result<Server, Error> {
    let started = spawn_blocking(PostgresContainer::start).await;
    started.map_err(|error| Error::new(format!("starting a container: {error}")))?.map(Server::Container)
}

async fn local() -> Result<Server, Error> {
    PostgresBinaries::find()?;
    let server = LocalPostgres::builder().start().await?;
    Ok(Server::Local(server))
}

fn only(word: &str, error: &Error) -> Error {
    Error::new(format!("{SERVER} is {word}, so no other server is tried: {error}\n{}", help()))
}
