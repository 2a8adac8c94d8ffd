use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use eventsource_core::{Error, Result};
use rusqlite::Connection;

use crate::wal_file::WalFile;

/// The files of a database that is open: the database and its WAL.
///
/// Whoever has a file open goes on writing to it when it is deleted, moved away or replaced; what is written then is
/// gone when the file is closed. So the writer looks whether they are still in their places.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    database: File,
    wal: File,
}

impl Files {
    /// The files of a connection that has written; none in memory.
    pub(crate) fn of(connection: &Connection) -> Option<Self> {
        let database = connection.path().filter(|path| !path.is_empty())?;
        Some(Self { database: File::at(database.into()), wal: File::at(format!("{database}-wal").into()) })
    }

    /// Returns the size of the WAL in bytes, if both files are in their places.
    pub(crate) fn check(&self) -> Result<u64> {
        self.database.look()?;
        Ok(self.wal.look()?.len())
    }

    /// Opens the WAL, if it is in its place.
    pub(crate) fn open_wal(&self) -> Result<WalFile> {
        let wal = WalFile::open(&self.wal.path);
        let wal = wal.map_err(|error| {
            Error::unavailable(format!("{:?} can't be opened to be flushed", self.wal.path))
                .with_source(error)
        })?;
        self.wal.look()?;
        Ok(wal)
    }

    /// Whether the database is in its place.
    pub(crate) fn check_database(&self) -> Result<()> {
        self.database.look().map(drop)
    }
}

/// What a store that is open knows of its files.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    files: Files,
    /// Whether they were in their places when somebody last looked.
    in_place: AtomicBool,
    /// The size of the WAL then; 0 once it is taken.
    wal_size: AtomicU64,
}

impl OpenFiles {
    pub(crate) fn new(files: Files) -> Self {
        Self { files, in_place: AtomicBool::new(true), wal_size: AtomicU64::new(0) }
    }

    /// Looks whether they are in their places.
    pub(crate) fn look(&self) -> Result<()> {
        let found = self.files.check();
        self.in_place.store(found.is_ok(), Ordering::Release);
        self.wal_size.store(found?, Ordering::Relaxed);
        Ok(())
    }

    /// Looks again, if they were not there the last time.
    pub(crate) fn look_again(&self) -> Result<()> {
        if self.in_place.load(Ordering::Acquire) { Ok(()) } else { self.look() }
    }

    /// The size of the WAL in bytes, if somebody has looked since this was last asked.
    pub(crate) fn take_wal_size(&self) -> u64 {
        self.wal_size.swap(0, Ordering::Relaxed)
    }
}

#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    identity: Option<Identity>,
}

/// Tells a file from another of its name. None where the system does not let an open file be moved or deleted.
type Identity = (u64, u64);

impl File {
    fn at(path: PathBuf) -> Self {
        let identity = fs::metadata(&path).ok().and_then(|found| identity(&found));
        Self { path, identity }
    }

    fn look(&self) -> Result<Metadata> {
        let found = fs::metadata(&self.path).map_err(|error| moved(&self.path).with_source(error))?;
        if self.identity.is_some() && identity(&found) != self.identity {
            return Err(moved(&self.path));
        }
        Ok(found)
    }
}

#[cfg(unix)]
fn identity(file: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(_file: &Metadata) -> Option<Identity> {
    None
}

fn moved(path: &Path) -> Error {
    Error::unavailable(format!("{path:?} was deleted, moved or replaced while the store was open"))
}
