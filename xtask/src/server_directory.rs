use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// The variable by which `test-servers` learns of the directory.
const VARIABLE: &str = "EVENTSOURCE_TEST_SERVERS_DIR";

/// The guard of a server gives it ten seconds; a container takes one or two.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the servers of one run have their directories. A server's guard removes the server's directory as its last deed,
/// so an empty one says that every server and every container of the run is gone.
#[derive(Debug)]
pub(crate) struct ServerDirectory {
    path: PathBuf,
}

impl ServerDirectory {
    pub(crate) fn create() -> Result<Self, Failure> {
        let path = env::temp_dir().join(format!("eventsource-servers-{}", std::process::id()));
        // An interrupted run leaves an empty one, and the system may give its process id to another.
        let _ = fs::remove_dir(&path);
        fs::create_dir(&path).map_err(Failure::during(path.display()))?;
        Ok(Self { path })
    }

    /// Lets the servers that `command` starts live here.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env(VARIABLE, &self.path);
    }

    /// Waits until every server is gone, and removes the directory.
    pub(crate) fn wait_until_empty(self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.path).is_err() {
            if Instant::now() > deadline {
                return Err(Failure::new(format!(
                    "servers were left behind, look into {}",
                    self.path.display()
                )));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_takes_its_time_is_waited_for() {
        let servers = ServerDirectory::create().expect("a directory");
        let server = servers.path.join("server");
        fs::create_dir(&server).expect("a server's directory");
        let guard = std::thread::spawn(move || {
            sleep(Duration::from_millis(100));
            fs::remove_dir(server).expect("it is there");
        });
        let path = servers.path.clone();
        servers.wait_until_empty().expect("it ends");
        assert!(!path.exists());
        guard.join().expect("it ended");
    }
}
