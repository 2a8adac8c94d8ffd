use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::account::Account;
use crate::guard::Guard;
use crate::server_process::ServerProcess;
use crate::{Error, PostgresBinaries, database, directory, port};

/// Long enough for crash recovery on a slow machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A PostgreSQL server of this test alone, from binaries on this machine: to be configured, stopped, killed and started
/// again on the same data and the same port. When it is dropped, or this process dies, it is gone with its data.
///
/// It listens on loopback TCP only, trusts everybody, and flushes as a production server does (`fsync = on`).
#[derive(Debug)]
pub struct LocalPostgres {
    // The first to be dropped: it stops the server in PostgreSQL's own way. Killed ones leave shared memory behind.
    _guard: Guard,
    process: Option<ServerProcess>,
    directory: PathBuf,
    account: Account,
    binaries: PostgresBinaries,
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    port: u16,
}

impl LocalPostgres {
    /// What to change about the server before it starts for the first time.
    #[must_use]
    pub fn builder() -> LocalPostgresBuilder {
        let settings = [
            ("max_connections", "300"),
            // In the data directory, so that a server which is killed leaves none of it behind in /dev/shm.
            ("dynamic_shared_memory_type", "mmap"),
        ];
        LocalPostgresBuilder {
            settings: settings.map(|(name, value)| (name.into(), value.into())).into(),
            environment: Vec::new(),
        }
    }

    /// The URL of the database `postgres`, as the superuser `postgres`. It stays the same over restarts.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}:{}/postgres", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Creates an empty database for one test and returns its URL: see [`Postgres::create_database`].
    ///
    /// # Errors
    /// The server is down, or the name was used before in this process.
    ///
    /// [`Postgres::create_database`]: crate::Postgres::create_database
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        database::create(&self.url(), name).await
    }

    /// Sets a parameter of `postgresql.conf`; the server takes it over when it [starts](Self::start) the next time.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.into(), value.into()));
    }

    /// Kills the server as a power failure would, without a last word, and returns when it's gone.
    ///
    /// # Errors
    /// It doesn't run.
    pub async fn kill(&mut self) -> Result<(), Error> {
        let mut process = self.process.take().ok_or_else(not_running)?;
        process.kill()
    }

    /// Stops the server at once, cutting all connections and flushing nothing (`pg_ctl stop -m immediate`).
    ///
    /// # Errors
    /// It doesn't run.
    pub async fn stop_immediate(&mut self) -> Result<(), Error> {
        self.stop("immediate").await
    }

    /// Stops the server in order (`pg_ctl stop -m fast`).
    ///
    /// # Errors
    /// It doesn't run.
    pub async fn stop_fast(&mut self) -> Result<(), Error> {
        self.stop("fast").await
    }

    /// Starts the server again, on the same data and the same port, and returns when it takes connections.
    ///
    /// # Errors
    /// It runs already, or PostgreSQL refuses to start; the error holds its log's last lines.
    pub async fn start(&mut self) -> Result<(), Error> {
        if self.process.is_some() {
            return Err(Error::new("this PostgreSQL server runs already"));
        }
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match self.try_start(deadline).await {
                // The processes of a killed server take a moment to notice its death.
                Err(refusal) if refusal.orphans && Instant::now() < deadline => {
                    sleep(Duration::from_millis(50)).await
                }
                Err(refusal) => return Err(refusal.error),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Starts a hot standby that follows this server: a server of its own, at its own URL, with the settings that this one
    /// has by now. From then on every commit here waits for it. This server is restarted for that, because a running one
    /// would take over the setting at some later moment.
    ///
    /// # Errors
    /// This server is down, or no copy can be made of it.
    pub async fn start_synchronous_standby(&mut self) -> Result<LocalPostgres, Error> {
        let settings = self.settings.clone();
        let environment = self.environment.clone();
        let standby = LocalPostgresBuilder { settings, environment }.prepare(self.binaries.clone())?;
        let port = self.port.to_string();
        let host = Ipv4Addr::LOCALHOST.to_string();
        let copy = [
            "-h",
            &host,
            "-p",
            &port,
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            "-D",
        ];
        let mut arguments: Vec<String> = copy.map(String::from).into();
        arguments.push(path_argument(&standby.data_directory())?);
        standby.run_tool("pg_basebackup", &arguments).await?;
        self.stop_fast().await?;
        self.set("synchronous_standby_names", "*");
        self.start().await?;
        standby.start_somewhere().await
    }

    /// Makes a standby a server that takes writes, and returns when it does.
    ///
    /// # Errors
    /// It is no standby, or doesn't run.
    pub async fn promote(&mut self) -> Result<(), Error> {
        if self.process.is_none() {
            return Err(not_running());
        }
        let mut command = Command::new(self.binaries.program("pg_ctl"));
        let timeout = START_TIMEOUT.as_secs().to_string();
        command.args(["promote", "--wait", "--timeout", &timeout, "-D"]).arg(self.data_directory());
        self.run_to_end(command, "pg_ctl promote")
    }

    /// The directory with the server's data.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// What the server has logged so far.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn log(&self) -> Result<String, Error> {
        let path = self.directory.join("server.log");
        fs::read_to_string(&path).map_err(Error::during(path.display()))
    }

    /// The programs that belong to this server.
    #[must_use]
    pub fn binaries(&self) -> &PostgresBinaries {
        &self.binaries
    }

    async fn stop(&mut self, mode: &str) -> Result<(), Error> {
        let mut process = self.process.take().ok_or_else(not_running)?;
        let mut command = Command::new(self.binaries.program("pg_ctl"));
        command.args(["stop", "--no-wait", "--mode", mode, "-D"]).arg(self.data_directory());
        self.run_to_end(command, "pg_ctl stop")?;
        wait_for_end(&mut process, "PostgreSQL doesn't stop").await?;
        process.kill()
    }

    /// Runs a program that ends soon.
    fn run_to_end(&self, mut command: Command, name: &str) -> Result<(), Error> {
        command.current_dir(&self.directory).stdin(Stdio::null());
        self.account.apply(&mut command);
        let output = command.output().map_err(Error::during(format!("cannot run {name}")))?;
        if !output.status.success() {
            return Err(Error::new(format!(
                "{name}: {}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            )));
        }
        Ok(())
    }

    async fn initialise(&self) -> Result<(), Error> {
        let arguments = ["-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"];
        let mut arguments: Vec<String> = arguments.map(String::from).into();
        arguments.push(path_argument(&self.data_directory())?);
        self.run_tool("initdb", &arguments).await
    }

    /// Runs a program that makes the data directory.
    async fn run_tool(&self, name: &str, arguments: &[String]) -> Result<(), Error> {
        let program = self.binaries.program(name);
        let mut process = ServerProcess::start(&self.directory, self.account, &program, arguments)?;
        wait_for_end(&mut process, &format!("{name} doesn't end")).await?;
        if process.ended()?.is_some_and(|status| status.success()) {
            return process.kill();
        }
        Err(Error::new(format!("{name} failed in {}:\n{}", self.directory.display(), process.last_words())))
    }

    /// Starts for the first time, on a port that is free.
    async fn start_somewhere(mut self) -> Result<Self, Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match self.try_start(deadline).await {
                Err(refusal) if refusal.port_taken => self.port = port::free()?,
                Err(refusal) => return Err(refusal.error),
                Ok(()) => return Ok(self),
            }
        }
    }

    async fn try_start(&mut self, deadline: Instant) -> Result<(), Refusal> {
        let data = self.data_directory();
        // `env` becomes the server, so that its process id is the one that the guard knows.
        let mut arguments: Vec<String> =
            self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        arguments.push(path_argument(&self.binaries.program("postgres"))?);
        arguments.extend(["-D".to_owned(), path_argument(&data)?, "-p".to_owned(), self.port.to_string()]);
        let loopback = [("listen_addresses", "127.0.0.1"), ("unix_socket_directories", "")];
        let settings = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in loopback.into_iter().chain(settings) {
            arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        let program = Path::new("/usr/bin/env");
        let mut process = ServerProcess::start(&self.directory, self.account, program, &arguments)?;
        while !is_ready(&data, process.id()) {
            if process.ended()?.is_some() {
                let words = process.last_words();
                process.kill()?;
                return Err(Refusal::from_log(&words));
            }
            if Instant::now() > deadline {
                return Err(Error::new(format!("PostgreSQL doesn't start:\n{}", process.last_words())).into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        self.process = Some(process);
        Ok(())
    }
}

/// Settings of a [`LocalPostgres`] that has yet to start.
#[derive(Debug, Clone)]
pub struct LocalPostgresBuilder {
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl LocalPostgresBuilder {
    /// Sets a parameter of `postgresql.conf`; the last word on a parameter counts.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Sets a variable of the server's environment, such as what is preloaded into it.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Creates and starts the server.
    ///
    /// # Errors
    /// PostgreSQL isn't installed, or refuses to start; the error says why, and what would help.
    pub async fn start(self) -> Result<LocalPostgres, Error> {
        let binaries = PostgresBinaries::find().map_err(|error| {
            Error::new(format!(
                "this test needs a PostgreSQL server of its own, and there are {error}.\n\
                 Install them, for instance: apt-get install --no-install-recommends postgresql"
            ))
        })?;
        let server = self.prepare(binaries)?;
        server.initialise().await?;
        server.start_somewhere().await
    }

    /// A server without data.
    fn prepare(self, binaries: PostgresBinaries) -> Result<LocalPostgres, Error> {
        let directory = directory::create("postgres")?;
        // An orderly end would flush what nobody will read: SIGQUIT is PostgreSQL's immediate shutdown.
        let guard = Guard::of_process(&directory, "QUIT")?;
        let account = Account::for_servers(&directory)?;
        account.give(&directory)?;
        let port = port::free()?;
        let Self { settings, environment } = self;
        Ok(LocalPostgres {
            _guard: guard,
            process: None,
            directory,
            account,
            binaries,
            settings,
            environment,
            port,
        })
    }
}

/// Why PostgreSQL didn't start, and whether there's a point in trying again.
struct Refusal {
    error: Error,
    port_taken: bool,
    orphans: bool,
}

impl Refusal {
    fn from_log(words: &str) -> Self {
        Self {
            error: Error::new(format!("PostgreSQL refuses to start:\n{words}")),
            port_taken: words.contains("Address already in use"),
            orphans: words.contains("pre-existing shared memory block"),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, port_taken: false, orphans: false }
    }
}

/// `postmaster.pid` tells the server's process id in its first line and its state in the last. A server that was killed has
/// left its own behind.
fn is_ready(data: &Path, id: u32) -> bool {
    let status = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let mut lines = status.lines();
    lines.next() == Some(&id.to_string()) && lines.nth(6).is_some_and(|state| state.trim_end() == "ready")
}

async fn wait_for_end(process: &mut ServerProcess, complaint: &str) -> Result<(), Error> {
    let deadline = Instant::now() + START_TIMEOUT;
    while process.ended()?.is_none() {
        if Instant::now() > deadline {
            return Err(Error::new(format!("{complaint}:\n{}", process.last_words())));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn path_argument(path: &Path) -> Result<String, Error> {
    path.to_str().map(String::from).ok_or_else(|| Error::new(format!("{} isn't UTF-8", path.display())))
}

fn not_running() -> Error {
    Error::new("this PostgreSQL server doesn't run")
}
