use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Failure, Outcome, Workload};

use crate::error::{Error, Result};
use crate::measure::{Assignment, Measurer};
use crate::plan::Cell;
use crate::results::NO_ROOM;
use crate::server::{Kind, Server, Servers};
use crate::systems::{Backend, Filling, System};

/// Up to here a store is copied for each measurement that writes.
const LARGEST_COPY: u64 = 100_000;
/// Up to here for each line of the tables; what is measured on a larger one adds next to nothing to it.
const LARGEST_COPY_FOR_A_CELL: u64 = 1_000_000;
/// How many events the two stores have that show whether rows are what appends write.
const COMPARED: u64 = 1_000;
/// What an event takes on disk, at most, and what is left for everything else: the write-ahead log, and other people.
const BYTES_PER_EVENT: u64 = 1_200;
const RESERVE: u64 = 12 << 30;

/// Stores: new ones, and ones that are filled once and used again.
pub(crate) struct Places {
    pub(crate) servers: Servers,
    directory: PathBuf,
    filled: HashMap<Key, std::result::Result<Place, Failure>>,
    /// Copies that all rounds of a cell share.
    of_cell: HashMap<&'static str, Place>,
    compared: HashSet<&'static str>,
    count: u64,
}

/// Whose, how large, made for what, and on which server.
type Key = (&'static str, u64, &'static str, Kind);

/// A store's URL or directory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    /// Events to fill it with in the very process that measures.
    pub(crate) fill: u64,
    kind: Kind,
    backend: Backend,
    /// Whether it is removed after one measurement.
    temporary: bool,
}

impl Places {
    pub(crate) fn new(servers: Servers, directory: &Path) -> Self {
        Self {
            servers,
            directory: directory.to_owned(),
            filled: HashMap::new(),
            of_cell: HashMap::new(),
            compared: HashSet::new(),
            count: 0,
        }
    }

    /// The store for one measurement; or why there is none for this system.
    pub(crate) async fn provide(
        &mut self,
        measurer: &Measurer<'_>,
        system: &'static System,
        cell: &Cell,
    ) -> Result<std::result::Result<Place, Failure>> {
        let size = cell.store_size();
        let kind = if system.backend == Backend::Postgres { cell.server() } else { Kind::Plain };
        if system.backend == Backend::Memory {
            let (name, backend) = ("memory".to_owned(), system.backend);
            return Ok(Ok(Place { name, fill: size, kind, backend, temporary: false }));
        }
        if size == 0 {
            return Ok(Ok(self.create(system, kind, None).await?));
        }
        let key = (system.owner().name, size, cell.purpose(), kind);
        if !self.filled.contains_key(&key) {
            let filled = self.fill(measurer, system.owner(), key).await?;
            self.filled.insert(key, filled);
        }
        match self.filled[&key].clone() {
            Ok(place) if cell.writes() && size <= LARGEST_COPY => {
                Ok(Ok(self.create(system, kind, Some(&place)).await?))
            }
            Ok(place) if cell.writes() && size <= LARGEST_COPY_FOR_A_CELL => {
                if !self.of_cell.contains_key(system.name) {
                    let copy = self.create(system, kind, Some(&place)).await?;
                    self.of_cell.insert(system.name, Place { temporary: false, ..copy });
                }
                Ok(Ok(self.of_cell[system.name].clone()))
            }
            other => Ok(other),
        }
    }

    /// Removes what is not used again.
    pub(crate) async fn release(&self, place: &Place) -> Result<()> {
        if place.temporary { self.remove(place).await } else { Ok(()) }
    }

    /// Removes what only this cell used.
    pub(crate) async fn end_cell(&mut self) -> Result<()> {
        for (_, place) in std::mem::take(&mut self.of_cell) {
            self.remove(&place).await?;
        }
        Ok(())
    }

    /// Removes the stores of sizes that are not needed any more, and stops the servers that aren't.
    pub(crate) async fn keep(&mut self, sizes: &BTreeSet<u64>, servers: &HashSet<Kind>) -> Result<()> {
        let is_over = |(_, size, _, kind): &&Key| !sizes.contains(size) || !servers.contains(kind);
        let over: Vec<Key> = self.filled.keys().filter(is_over).copied().collect();
        let mut removed = HashSet::new();
        for key in over {
            if let Some(Ok(place)) = self.filled.remove(&key)
                && removed.insert(place.name.clone())
            {
                self.remove(&place).await?;
            }
        }
        self.servers.keep(servers);
        Ok(())
    }

    /// How many bytes a store takes on disk.
    pub(crate) async fn bytes(&self, place: &Place) -> Result<u64> {
        match place.backend {
            Backend::Postgres => self.servers.get(place.kind)?.database_bytes(&place.name).await,
            Backend::Memory | Backend::Sqlite | Backend::Server => bytes_in(Path::new(&place.name)),
        }
    }

    async fn remove(&self, place: &Place) -> Result<()> {
        match place.backend {
            Backend::Memory => Ok(()),
            Backend::Postgres => self.servers.get(place.kind)?.drop_database(&place.name).await,
            Backend::Sqlite | Backend::Server => {
                fs::remove_dir_all(&place.name).map_err(Error::during(&place.name))
            }
        }
    }

    async fn fill(
        &mut self,
        measurer: &Measurer<'_>,
        system: &'static System,
        (name, size, purpose, kind): Key,
    ) -> Result<std::result::Result<Place, Failure>> {
        let plain = (name, size, "", kind);
        if purpose == "payload"
            && let Some(Ok(plain)) = self.filled.get(&plain).cloned()
        {
            // Whoever wants an index makes it when it opens the store.
            if size > LARGEST_COPY_FOR_A_CELL {
                return Ok(Ok(plain));
            }
            let place = self.create(system, kind, Some(&plain)).await?;
            return Ok(Ok(Place { temporary: false, ..place }));
        }
        let (free, wanted) = (free_bytes(&self.directory), size * BYTES_PER_EVENT + RESERVE);
        if size > LARGEST_COPY && free.is_some_and(|free| free < wanted) {
            let free = free.unwrap_or_default() >> 30;
            return Ok(Err(Failure::Absent(format!(
                "{NO_ROOM} on this machine's disk: a store of {size} events wants {} GiB to be free, and {free} are",
                wanted >> 30
            ))));
        }
        if system.filling == Filling::Rows && !self.compared.contains(name) {
            if let Err(failure) = self.compare(measurer, system, kind).await? {
                return Ok(Err(failure));
            }
            self.compared.insert(name);
        }
        self.filled_anew(measurer, system, kind, size, purpose).await
    }

    /// Whether rows are what appends write: two small stores, one filled either way.
    async fn compare(
        &mut self,
        measurer: &Measurer<'_>,
        system: &'static System,
        kind: Kind,
    ) -> Result<std::result::Result<(), Failure>> {
        let mut stores = Vec::new();
        for how in ["", "appends"] {
            match self.filled_anew(measurer, system, kind, COMPARED, how).await? {
                Ok(place) => stores.push(place),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        let other = stores[1].name.clone();
        let comparison = assignment(Workload::Compare, other, COMPARED);
        let outcome = measurer.measure(system, &stores[0].name, &comparison)?.outcome;
        for place in &stores {
            self.remove(place).await?;
        }
        match outcome {
            Outcome::Figure { value } if value > 0.0 => Ok(Ok(())),
            other => Ok(Err(Failure::Broken(format!(
                "it is not filled as its own appends would do it: {other:?}"
            )))),
        }
    }

    async fn filled_anew(
        &mut self,
        measurer: &Measurer<'_>,
        system: &'static System,
        kind: Kind,
        size: u64,
        variant: &str,
    ) -> Result<std::result::Result<Place, Failure>> {
        let place = self.create(system, kind, None).await?;
        let filling = assignment(Workload::Preload, variant.to_owned(), size);
        match measurer.measure(system, &place.name, &filling)?.outcome {
            Outcome::Absent { reason } => {
                self.remove(&place).await?;
                Ok(Err(Failure::Absent(reason)))
            }
            Outcome::Broken { reason } => {
                self.remove(&place).await?;
                Ok(Err(Failure::Broken(format!("filling the store: {reason}"))))
            }
            Outcome::Rate { .. } | Outcome::Latencies { .. } | Outcome::Figure { .. } => {
                if system.backend == Backend::Postgres {
                    // What autovacuum would have done by the time that a store has grown so large.
                    self.servers.get(kind)?.settle(&place.name).await?;
                }
                Ok(Ok(Place { temporary: false, ..place }))
            }
        }
    }

    async fn create(&mut self, system: &System, kind: Kind, template: Option<&Place>) -> Result<Place> {
        self.count += 1;
        let backend = system.backend;
        let name = match backend {
            Backend::Postgres => {
                let name = format!("{}_{}", system.name.replace('-', "_"), self.count);
                let server: &Server = self.servers.start(kind).await?;
                server.create_database(&name, template.map(|template| template.name.as_str())).await?
            }
            Backend::Memory | Backend::Sqlite | Backend::Server => {
                let path = self.directory.join(format!("{}-{}", system.name, self.count));
                fs::create_dir(&path).map_err(Error::during(path.display()))?;
                if let Some(template) = template {
                    copy(Path::new(&template.name), &path)?;
                }
                path.display().to_string()
            }
        };
        Ok(Place { name, fill: 0, kind, backend, temporary: true })
    }
}

/// What a store is filled or compared with.
fn assignment(workload: Workload, variant: String, events: u64) -> Assignment {
    Assignment { workload, variant, callers: 1, events, fill: 0, seconds: 1.0, operations: None, flush: 0 }
}

fn free_bytes(directory: &Path) -> Option<u64> {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(directory).output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().last()?.trim().parse().ok()
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
