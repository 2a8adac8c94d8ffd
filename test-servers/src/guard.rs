use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Error;

/// A process that stops a server and removes its directory when this process lets go of it or dies.
///
/// Set it up before the server starts, so that there is no moment without it. What it does is written in `guard.sh`.
#[derive(Debug)]
pub(crate) struct Guard {
    process: Child,
}

impl Guard {
    /// Guards the server that will write its process id to `server.pid` in `directory` and stops on `signal`.
    pub(crate) fn of_process(directory: &Path, signal: &str) -> Result<Self, Error> {
        Self::spawn(directory, signal, &[])
    }

    /// Guards something that `remove` removes, a container for instance. `directory` only says that it is there; a file
    /// `started` in it says that nobody is creating it any more.
    pub(crate) fn of_command(directory: &Path, remove: &[OsString]) -> Result<Self, Error> {
        Self::spawn(directory, "TERM", remove)
    }

    fn spawn(directory: &Path, signal: &str, remove: &[OsString]) -> Result<Self, Error> {
        let process = Command::new("/bin/sh")
            .args(["-c", include_str!("guard.sh"), "guard"])
            .arg(directory)
            .arg(signal)
            .args(remove)
            .current_dir("/")
            // The write end is ours alone: the standard library marks it close-on-exec.
            .stdin(Stdio::piped())
            // Inherited, they would keep whoever reads the tests' output waiting for the guard.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of the terminal's foreground group.
            .process_group(0)
            .spawn()
            .map_err(Error::during("cannot start /bin/sh, the guard of a server"))?;
        Ok(Self { process })
    }
}

impl Drop for Guard {
    /// Lets the guard do its work and waits for it: after this, the server is gone.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // An error would mean that it's gone already; there's nothing left to wait for.
        let _ = self.process.wait();
    }
}
