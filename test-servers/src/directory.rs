use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;

/// The variable that names the directory for servers' directories.
const PARENT: &str = "EVENTSOURCE_TEST_SERVERS_DIR";

/// Creates a directory for a server. It is new: what somebody else left is never used, let alone removed.
pub(crate) fn create(server: &str) -> Result<PathBuf, Error> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let parent = env::var_os(PARENT).map_or_else(env::temp_dir, PathBuf::from);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("eventsource-{server}-{}-{count}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::during(path.display())(error)),
        }
    }
}
