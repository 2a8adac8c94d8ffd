//! Whoever uses this crate may use `sqlx` beside it. Cargo allows one `libsqlite3-sys` in a program, and the `sqlx` facade
//! asks for one even where its `sqlite` feature is off, as soon as `json`, `uuid`, `chrono` or `migrate` is on. That is why
//! `rusqlite` is held at 0.39 (docs/adr/0001).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SQLX_FEATURES: &str = r#"["postgres", "json", "uuid", "chrono", "migrate", "runtime-tokio"]"#;

#[test]
fn a_users_sqlx_resolves_beside_this_crate() {
    let project = Project::create("user");
    let this_crate = env!("CARGO_MANIFEST_DIR");
    project.write_manifest(&format!(
        "eventsource-sqlite = {{ path = {this_crate:?} }}\n\
         sqlx = {{ version = \"0.9\", default-features = false, features = {SQLX_FEATURES} }}\n"
    ));
    // The versions that this workspace was tested with, as far as the user's manifest allows.
    fs::copy(Path::new(this_crate).join("../Cargo.lock"), project.file("Cargo.lock")).expect("a lock file");

    project.resolve().unwrap_or_else(|complaint| panic!("{complaint}"));
    let lock = fs::read_to_string(project.file("Cargo.lock")).expect("a lock file");
    for package in ["sqlx", "eventsource-sqlite", "libsqlite3-sys"] {
        let count = lock.lines().filter(|line| *line == format!("name = {package:?}")).count();
        assert_eq!(count, 1, "{package} in the lock file");
    }
}

/// Without this one, the test above could be green because it checks nothing.
#[test]
fn a_newer_rusqlite_does_not_resolve_beside_sqlx() {
    let project = Project::create("control");
    project.write_manifest(&format!(
        "rusqlite = {{ version = \"=0.40.0\", features = [\"bundled\"] }}\n\
         sqlx = {{ version = \"=0.9.0\", default-features = false, features = {SQLX_FEATURES} }}\n"
    ));
    let complaint = project.resolve().expect_err("two versions of libsqlite3-sys");
    assert!(complaint.contains("links to the native library `sqlite3`"), "{complaint}");
}

/// A user's project, with a workspace of its own.
struct Project {
    directory: PathBuf,
}

impl Project {
    fn create(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("resolves_beside_sqlx-{name}"));
        // Left by an earlier run.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("src")).expect("a directory");
        fs::write(directory.join("src/lib.rs"), "").expect("a library");
        Self { directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write_manifest(&self, dependencies: &str) {
        let manifest = format!(
            "[package]\nname = \"user\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n\
             [workspace]\n\n[dependencies]\n{dependencies}"
        );
        fs::write(self.file("Cargo.toml"), manifest).expect("a manifest");
    }

    /// Resolves the dependencies and downloads none: with what cargo has seen already, else by asking the registry.
    fn resolve(&self) -> Result<(), String> {
        self.update(&["--offline"]).or_else(|_| self.update(&[]))
    }

    fn update(&self, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new(env!("CARGO"))
            .args(["update", "--workspace"])
            .args(arguments)
            .current_dir(&self.directory)
            .output()
            .expect("cargo runs");
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}
