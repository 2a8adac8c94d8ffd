//! A server is gone, with everything that it wrote, when the process that asked for it was killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

#[test]
fn a_local_server_is_gone_when_its_owner_was_killed() {
    a_server_is_gone_when_its_owner_was_killed("local");
}

#[test]
fn a_container_is_gone_when_its_owner_was_killed() {
    a_server_is_gone_when_its_owner_was_killed("docker");
}

#[test]
fn a_local_server_is_gone_when_its_owner_was_killed_too_early() {
    a_server_is_gone_when_its_owner_was_killed_too_early("local");
}

#[test]
fn a_container_is_gone_when_its_owner_was_killed_too_early() {
    a_server_is_gone_when_its_owner_was_killed_too_early("docker");
}

fn a_server_is_gone_when_its_owner_was_killed(kind: &str) {
    let parent = Directory::create(&format!("killed-{kind}"));
    let mut owner = start_owner(kind, &parent.path);
    let address = address_told_by(&mut owner);
    assert!(TcpStream::connect(&address).is_ok(), "the server answers at {address}");
    assert_eq!(parent.entries().len(), 1, "one server has one directory");

    owner.kill().expect("the owner is killed");
    owner.wait().expect("the owner is gone");

    wait_until("the server's directory is removed", || parent.entries().is_empty());
    assert!(TcpStream::connect(&address).is_err(), "nobody answers at {address}");
}

/// Whatever it was doing then: nobody has waited for its server to start.
fn a_server_is_gone_when_its_owner_was_killed_too_early(kind: &str) {
    for delay in [1, 30, 100, 200, 400] {
        let parent = Directory::create(&format!("early-{kind}-{delay}"));
        let mut owner = start_owner(kind, &parent.path);
        wait_until("the server's directory is there", || !parent.entries().is_empty());
        let names = parent.entries();
        thread::sleep(Duration::from_millis(delay));
        owner.kill().expect("the owner is killed");
        owner.wait().expect("the owner is gone");
        wait_until("the server's directory is removed", || parent.entries().is_empty());
        wait_until("no process mentions it", || processes_that_mention(&parent.path).is_empty());
        if kind == "docker" {
            assert_eq!(containers_called(&names), "", "killed after {delay} ms");
        }
    }
}

fn start_owner(kind: &str, parent: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_throwaway-postgres"))
        .env("EVENTSOURCE_TEST_SERVERS_DIR", parent)
        .env("EVENTSOURCE_POSTGRES_SERVER", kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process")
}

fn address_told_by(owner: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(owner.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let (_, address) = line.split_once('@').expect("a URL");
    address.split('/').next().expect("an address").to_owned()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !holds() {
        assert!(Instant::now() < deadline, "within seconds, {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn processes_that_mention(path: &Path) -> Vec<String> {
    let path = path.to_str().expect("a name of ours");
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let commands = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    commands.filter(|command| command.contains(path)).collect()
}

/// Containers have the names of their directories.
fn containers_called(directories: &[PathBuf]) -> String {
    let names = directories.iter().filter_map(|path| path.file_name()?.to_str());
    let filters = names.map(|name| format!("--filter=name={name}"));
    let output =
        Command::new("docker").args(["ps", "--all", "--quiet"]).args(filters).output().expect("docker runs");
    assert!(output.status.success(), "docker ps");
    String::from_utf8(output.stdout).expect("ids")
}

/// The parent of the servers' directories, for one test.
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn create(name: &str) -> Self {
        let path = env::temp_dir().join(format!("eventsource-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Self { path }
    }

    fn entries(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.path).expect("the directory").flatten().map(|entry| entry.path()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A test that failed may leave servers in it, whose guards remove them.
        let _ = fs::remove_dir(&self.path);
    }
}
