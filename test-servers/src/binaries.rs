use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// Where the programs of a PostgreSQL server lie on this machine.
#[derive(Debug, Clone)]
pub struct PostgresBinaries {
    directory: PathBuf,
}

impl PostgresBinaries {
    /// Finds them: by `pg_config`, in Debian's directories (the newest version first), on `PATH`.
    ///
    /// # Errors
    /// None are installed; the error names the places that were searched.
    pub fn find() -> Result<Self, Error> {
        let candidates = by_pg_config().into_iter().chain(debian()).chain(on_path());
        candidates
            .filter(|directory| ["initdb", "postgres", "pg_ctl"].iter().all(|name| directory.join(name).is_file()))
            .map(|directory| Self { directory })
            .next()
            .ok_or_else(|| {
                Error::new(
                    "no PostgreSQL server binaries (asked pg_config, looked in /usr/lib/postgresql/*/bin and on PATH)",
                )
            })
    }

    /// The directory that holds `postgres`, `initdb`, `pg_ctl`, and as a rule `psql` and `pg_basebackup`.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of one of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let directory = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(directory.trim_end()))
}

fn debian() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

fn on_path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}
