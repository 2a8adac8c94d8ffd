use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes durable what was written to the WAL before it is called. After it has failed once, it proves nothing any more.
pub(crate) trait Flush: Send + Sync {
    fn flush(&self, wal: &WalFile) -> io::Result<()>;
}

/// Asks the disk, on macOS the drive as well.
pub(crate) struct FlushToDisk;

impl Flush for FlushToDisk {
    fn flush(&self, wal: &WalFile) -> io::Result<()> {
        wal.file.sync_data()
    }
}

/// The store's own descriptor of the WAL.
///
/// A POSIX lock is lost when its process closes any descriptor of that file. SQLite's locks lie on the database and on
/// `-shm`, never on `-wal`, which it opens with `UNIXFILE_NOLOCK` (`unixOpen`, `nolockIoMethods`): so this file may be
/// opened and closed beside SQLite. The others must not be.
///
/// It is opened once. The kernel reports a failed write to each descriptor that was open then, also if SQLite's own
/// `fsync` was told first, and has swallowed it (an automatic checkpoint does).
pub(crate) struct WalFile {
    file: File,
}

impl WalFile {
    /// Opens the WAL, which is there, and makes its name durable: a file that was made by a process that was killed may
    /// have none on the disk.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Windows flushes only what can be written to.
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if let Some(directory) = path.parent() {
            sync_directory(directory);
        }
        Ok(Self { file })
    }

    /// What tells the present content from that before the WAL was begun anew: its two salts
    /// (<https://sqlite.org/fileformat2.html#walformat>).
    pub(crate) fn salts(&self) -> io::Result<[u8; 8]> {
        let mut salts = [0; 8];
        read_exact_at(&self.file, &mut salts, 16)?;
        Ok(salts)
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.file.metadata()?.len()).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        read_exact_at(&self.file, &mut bytes, 0)?;
        Ok(bytes)
    }
}

/// As far as the system can do it; SQLite makes no more of it.
#[cfg(unix)]
fn sync_directory(directory: &Path) {
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) {}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let read = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
    if read == bytes.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
