use std::collections::HashMap;
use std::env;
use std::fs;
use std::mem::ManuallyDrop;
use std::net::Ipv4Addr;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use testcontainers::bollard::models::PortBinding;
use testcontainers::core::IntoContainerPort;
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt};
use tokio::time::{Instant, sleep};

use crate::guard::Guard;
use crate::{Error, directory, docker_host};

/// The variable that names the image, and the image without it.
pub(crate) const IMAGE: &str = "EVENTSOURCE_POSTGRES_IMAGE";
const DEFAULT_IMAGE: &str = "postgres:17";

/// What the image calls its data's password. The container listens on loopback only.
const PASSWORD: &str = "postgres";

/// From the container's start to the first connection; pulling the image comes before.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A PostgreSQL server in a container of a Docker daemon.
#[derive(Debug)]
pub(crate) struct PostgresContainer {
    url: String,
    _guard: Guard,
}

impl PostgresContainer {
    /// Starts one. It blocks: call it where that's allowed.
    ///
    /// The client of the daemon lives in a runtime of its own, since the runtime of the test that comes first ends with
    /// that test. Nothing needs the client later: it's the guard that removes the container.
    pub(crate) fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::during("cannot start a runtime for Docker's client"))?;
        runtime.block_on(Self::start_here())
    }

    /// The URL of the database `postgres`, as the superuser `postgres`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn start_here() -> Result<Self, Error> {
        let host = docker_host::find();
        let no_daemon = |error: &dyn std::fmt::Display| {
            Error::new(format!("no Docker daemon answers at {host}: {error}"))
        };
        let docker = docker_client_instance().await.map_err(|error| no_daemon(&error))?;
        docker.ping().await.map_err(|error| no_daemon(&error))?;

        let directory = directory::create("container")?;
        let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let remove = docker_host::remove_command(&host, name).inspect_err(|_| {
            // Nobody guards this directory yet; one that stays would only be an empty one.
            let _ = fs::remove_dir(&directory);
        })?;
        let guard = Guard::of_command(&directory, &remove)?;

        let image = image();
        let container = request(&image, name)
            .start()
            .await
            .map_err(|error| Error::new(format!("no container of {image}: {error}")))?;
        // Dropped, it would be removed with the help of the runtime that is about to end. The guard does it.
        let container = ManuallyDrop::new(container);
        let started = directory.join("started");
        fs::write(&started, container.id()).map_err(Error::during(started.display()))?;
        // Never `get_host()`: in a container it names the bridge's gateway, and this port is open on loopback alone.
        let port = container
            .get_host_port_ipv4(5432)
            .await
            .map_err(|error| Error::new(format!("the container of {image} has no port: {error}")))?;
        let url = format!("postgres://postgres:{PASSWORD}@{}:{port}/postgres", Ipv4Addr::LOCALHOST);
        connects(&url, &image).await?;
        Ok(Self { url, _guard: guard })
    }
}

/// The image that containers are made of.
pub(crate) fn image() -> String {
    env::var(IMAGE).unwrap_or_else(|_| DEFAULT_IMAGE.into())
}

fn request(image: &str, name: &str) -> testcontainers::ContainerRequest<GenericImage> {
    let (repository, tag) = match image.rsplit_once(':') {
        // A colon before the last slash belongs to a registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    };
    GenericImage::new(repository, tag)
        .with_exposed_port(5432.tcp())
        .with_container_name(name)
        .with_env_var("POSTGRES_PASSWORD", PASSWORD)
        .with_cmd(["postgres", "-c", "max_connections=300"])
        // Left alone, Docker publishes ports on every interface.
        .with_host_config_modifier(|host| {
            let loopback = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(String::new()) };
            host.publish_all_ports = Some(false);
            host.port_bindings = Some(HashMap::from([("5432/tcp".into(), Some(vec![loopback]))]));
        })
}

/// While the image initialises its data, its server listens on no port, so the first connection is one to the final server.
async fn connects(url: &str, image: &str) -> Result<(), Error> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        match PgConnection::connect(url).await {
            Ok(connection) => {
                return connection.close().await.map_err(|error| Error::new(format!("{image}: {error}")));
            }
            Err(error) if Instant::now() > deadline => {
                return Err(Error::new(format!("the container of {image} takes no connection: {error}")));
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}
