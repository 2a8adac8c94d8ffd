use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::Error;
use crate::account::Account;

/// A server, or a tool that prepares one, as a child of this process. Its process id lies in `server.pid`, for the guard.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    log: PathBuf,
    pid_file: PathBuf,
}

impl ServerProcess {
    /// Starts `program` under `account`, in `directory`; what it prints is added to `server.log` there.
    pub(crate) fn start(
        directory: &Path,
        account: Account,
        program: &Path,
        arguments: &[String],
    ) -> Result<Self, Error> {
        let log = directory.join("server.log");
        let pid_file = directory.join("server.pid");
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(Error::during(format!("cannot write {}", log.display())))?;
        let errors = output.try_clone().map_err(Error::during(log.display()))?;
        // The id is written before the program runs, by the very process that becomes it: there is no moment in which it
        // runs and the guard doesn't know it. Where the guard was faster, the directory is gone and nothing starts.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"echo $$ >"$0" && exec "$@""#])
            .arg(&pid_file)
            .arg(program)
            .args(arguments)
            .current_dir(directory)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        account.apply(&mut command);
        let child = command.spawn().map_err(Error::during(format!("cannot start {}", program.display())))?;
        Ok(Self { child, log, pid_file })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(Error::during("cannot ask for a server's state"))
    }

    /// Kills it as if the power had failed: SIGKILL, no last word.
    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        self.child.kill().map_err(Error::during("cannot kill a server"))?;
        self.child.wait().map_err(Error::during("cannot wait for a killed server"))?;
        self.forget_pid()
    }

    /// The last lines of its log, for an error message.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// The system may give its process id to somebody else now, whom the guard must not stop.
    fn forget_pid(&self) -> Result<(), Error> {
        match fs::remove_file(&self.pid_file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::during(self.pid_file.display())(error))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for ServerProcess {
    /// A guard has stopped it already, and only its parent can bury it; else something failed while it started.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Best effort: what survives this is left to the guard.
            let _ = self.kill();
        }
    }
}
