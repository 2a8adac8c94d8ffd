use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::{Failure, Outcome, Workload};

use crate::error::{Error, Result};
use crate::measure::{Assignment, Measurer};
use crate::plan::Cell;
use crate::server::Server;
use crate::systems::{Backend, System};

/// Up to here a store is copied for each measurement that writes; what a measurement adds to a larger one is next to
/// nothing.
const LARGEST_COPY: u64 = 100_000;

/// Stores: new ones, and ones that are filled once and used again.
pub(crate) struct Places<'a> {
    server: Option<&'a Server>,
    directory: PathBuf,
    filled: HashMap<(&'static str, u64, &'static str), std::result::Result<Place, Failure>>,
    count: u64,
}

/// A store's URL or directory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    /// Events to fill it with in the very process that measures.
    pub(crate) fill: u64,
    /// Whether it is removed after one measurement.
    temporary: bool,
}

impl<'a> Places<'a> {
    pub(crate) fn new(server: Option<&'a Server>, directory: &Path) -> Self {
        Self { server, directory: directory.to_owned(), filled: HashMap::new(), count: 0 }
    }

    /// The store for one measurement; or why there is none for this system.
    pub(crate) async fn provide(
        &mut self,
        measurer: &Measurer<'_>,
        system: &'static System,
        cell: &Cell,
    ) -> Result<std::result::Result<Place, Failure>> {
        let size = cell.store_size();
        if system.backend == Backend::Memory {
            return Ok(Ok(Place { name: "memory".to_owned(), fill: size, temporary: false }));
        }
        if size == 0 {
            return Ok(Ok(self.create(system, None).await?));
        }
        // An index that only one workload has gets a store of its own.
        let purpose = if cell.workload == Workload::Filter { cell.variant } else { "" };
        let purpose = if purpose == "payload" { purpose } else { "" };
        let key = (system.name, size, purpose);
        if !self.filled.contains_key(&key) {
            let filled = self.fill(measurer, system, size, purpose).await?;
            self.filled.insert(key, filled);
        }
        match &self.filled[&key] {
            Ok(place) if cell.writes() && size <= LARGEST_COPY => {
                let place = place.clone();
                Ok(Ok(self.create(system, Some(&place)).await?))
            }
            other => Ok(other.clone()),
        }
    }

    /// Removes what is not used again.
    pub(crate) async fn release(&self, system: &System, place: &Place) -> Result<()> {
        match (place.temporary, system.backend) {
            (false, _) | (true, Backend::Memory) => Ok(()),
            (true, Backend::Postgres) => self.server()?.drop_database(&place.name).await,
            (true, Backend::Sqlite | Backend::Server) => {
                fs::remove_dir_all(&place.name).map_err(Error::during(&place.name))
            }
        }
    }

    /// How many bytes a store takes on disk.
    pub(crate) async fn bytes(&self, system: &System, place: &Place) -> Result<u64> {
        match system.backend {
            Backend::Postgres => self.server()?.database_bytes(&place.name).await,
            _ => bytes_in(Path::new(&place.name)),
        }
    }

    async fn fill(
        &mut self,
        measurer: &Measurer<'_>,
        system: &'static System,
        size: u64,
        purpose: &str,
    ) -> Result<std::result::Result<Place, Failure>> {
        if purpose == "payload" {
            let plain = (system.name, size, "");
            if let Some(Ok(plain)) = self.filled.get(&plain).cloned() {
                let place = self.create(system, Some(&plain)).await?;
                return Ok(Ok(Place { temporary: false, ..place }));
            }
        }
        let place = self.create(system, None).await?;
        let assignment = Assignment {
            workload: Workload::Preload,
            variant: "",
            callers: 1,
            events: size,
            fill: 0,
            seconds: 1.0,
            operations: None,
        };
        let report = measurer.measure(system, &place.name, &assignment)?;
        match report.outcome {
            Outcome::Absent { reason } => {
                self.release(system, &place).await?;
                Ok(Err(Failure::Absent(reason)))
            }
            Outcome::Broken { reason } => {
                self.release(system, &place).await?;
                Ok(Err(Failure::Broken(format!("filling the store: {reason}"))))
            }
            Outcome::Rate { .. } | Outcome::Latencies { .. } | Outcome::Figure { .. } => {
                if system.backend == Backend::Postgres {
                    // What autovacuum would have done by the time that a store has grown so large.
                    self.server()?.settle(&place.name).await?;
                }
                Ok(Ok(Place { temporary: false, ..place }))
            }
        }
    }

    async fn create(&mut self, system: &System, template: Option<&Place>) -> Result<Place> {
        self.count += 1;
        let name = match system.backend {
            Backend::Postgres => {
                let name = format!("{}_{}", system.name.replace('-', "_"), self.count);
                self.server()?.create_database(&name, template.map(|template| template.name.as_str())).await?
            }
            _ => {
                let path = self.directory.join(format!("{}-{}", system.name, self.count));
                fs::create_dir(&path).map_err(Error::during(path.display()))?;
                if let Some(template) = template {
                    copy(Path::new(&template.name), &path)?;
                }
                path.display().to_string()
            }
        };
        Ok(Place { name, fill: 0, temporary: true })
    }

    fn server(&self) -> Result<&Server> {
        self.server.ok_or_else(|| Error::new("no PostgreSQL server was started"))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).map_err(Error::during(from.display()))? {
        let entry = entry.map_err(Error::during(from.display()))?;
        fs::copy(entry.path(), to.join(entry.file_name())).map_err(Error::during(from.display()))?;
    }
    Ok(())
}

fn bytes_in(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).map_err(Error::during(directory.display()))? {
        let entry = entry.map_err(Error::during(directory.display()))?;
        // Blocks, not length: some files are longer than what was written.
        bytes += entry.metadata().map_err(Error::during(directory.display()))?.blocks() * 512;
    }
    Ok(bytes)
}
