use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::systems::Program;

/// Where everything lies that is built.
#[derive(Debug)]
pub(crate) struct Programs {
    root: PathBuf,
    target: PathBuf,
    profile: String,
}

impl Programs {
    /// `benchmarks/`, and a profile of cargo's.
    pub(crate) fn new(profile: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Self { root, target, profile: profile.to_owned() }
    }

    /// `benchmarks/`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Builds what is needed; nothing that is not.
    pub(crate) fn build(&self, programs: &BTreeSet<Program>) -> Result<()> {
        for program in programs {
            match program {
                Program::None => {}
                Program::Python => self.install_python()?,
                Program::Ours => self.cargo(&self.root, package(*program), &self.target)?,
                peer => self.cargo(&self.root.join("peers"), package(*peer), &self.target_of(*peer))?,
            }
        }
        Ok(())
    }

    /// Builds what makes flushes slow, and says where it lies.
    pub(crate) fn build_slow_flush(&self) -> Result<PathBuf> {
        self.cargo(&self.root, "slow-flush", &self.target)?;
        Ok(self.target.join(self.directory()).join("libslow_flush.so"))
    }

    /// What starts the program; a task's arguments are still to come.
    pub(crate) fn command(&self, program: Program) -> Command {
        match program {
            Program::Python => {
                let mut command = Command::new(self.virtual_environment().join("bin/python"));
                command.arg(self.root.join("peers-python/main.py"));
                command
            }
            built => Command::new(self.target_of(built).join(self.directory()).join(package(built))),
        }
    }

    /// Where a profile's programs lie.
    fn directory(&self) -> &str {
        if self.profile == "dev" { "debug" } else { &self.profile }
    }

    fn cargo(&self, workspace: &Path, package: &str, target: &Path) -> Result<()> {
        let mut command = Command::new("cargo");
        command.args(["build", "--locked", "--quiet", "--profile", &self.profile, "--package", package]);
        command.arg("--manifest-path").arg(workspace.join("Cargo.toml"));
        command.arg("--target-dir").arg(target);
        run(&mut command)
    }

    /// Another one for each workspace, so that neither waits for the other or throws out what it has built.
    fn target_of(&self, program: Program) -> PathBuf {
        if program == Program::Ours { self.target.clone() } else { self.target.join("peers") }
    }

    fn install_python(&self) -> Result<()> {
        let environment = self.virtual_environment();
        let requirements = self.root.join("peers-python/requirements.txt");
        let wanted = std::fs::read_to_string(&requirements).map_err(Error::during(requirements.display()))?;
        // What was installed is written down at the end, so that half an installation is begun anew.
        let installed = environment.join("installed.txt");
        if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let mut install = Command::new(environment.join("bin/python"));
        run(install
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements))?;
        std::fs::write(&installed, wanted).map_err(Error::during(installed.display()))
    }

    fn virtual_environment(&self) -> PathBuf {
        self.target.join("python")
    }
}

fn package(program: Program) -> &'static str {
    match program {
        Program::Ours => "ours",
        Program::PeersMemory => "peers-memory",
        Program::PeersSqlite => "peers-sqlite",
        Program::PeersPostgres => "peers-postgres",
        Program::PeersUmadb => "peers-umadb",
        Program::Python | Program::None => "",
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(Error::during(format!("{command:?}")))?;
    if status.success() { Ok(()) } else { Err(Error::new(format!("{command:?}: {status}"))) }
}
