use std::process::{Command, Stdio};

use crate::failure::Failure;

const PACKAGES: [&str; 4] = ["install", "--yes", "--no-install-recommends", "postgresql"];

/// Installs PostgreSQL's binaries where that is possible and nobody has to be asked: on Debian and its relatives, as root
/// or with a `sudo` that wants no password.
pub(crate) fn install_postgres() -> Result<(), Failure> {
    if !succeeds(Command::new("apt-get").arg("--version")) {
        return Err(Failure::new("this machine has no apt-get, so PostgreSQL is yours to install"));
    }
    let sudo: &[&str] = if is_root() {
        &[]
    } else if succeeds(Command::new("sudo").args(["--non-interactive", "true"])) {
        &["sudo", "--non-interactive"]
    } else {
        return Err(Failure::new(
            "installing PostgreSQL takes root:\n\
             sudo apt-get install --no-install-recommends postgresql",
        ));
    };
    eprintln!("  Installing PostgreSQL's binaries with apt-get");
    apt_get(sudo, &["update"])?;
    apt_get(sudo, &PACKAGES)
}

fn apt_get(sudo: &[&str], arguments: &[&str]) -> Result<(), Failure> {
    // Binaries are wanted; a service that listens on port 5432 from now on is not. Debian starts none in runlevel 1.
    let words = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "--quiet=2"];
    let words: Vec<&str> = sudo.iter().chain(&words).chain(arguments).copied().collect();
    let status = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .status()
        .map_err(Failure::during(words.join(" ")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{}` failed", words.join(" ")))) }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
