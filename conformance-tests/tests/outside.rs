//! The suite can be used from outside the workspace: a crate there builds with it, and runs all of it.

use std::path::Path;
use std::process::Command;

use conformance_tests::Case;

#[test]
fn a_backend_outside_the_workspace_runs_the_whole_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let outside = here.join("tests/outside_backend");
    // The same versions of everything: nothing is downloaded, and what is built already is used.
    std::fs::copy(here.join("../Cargo.lock"), outside.join("Cargo.lock"))
        .expect("the workspace has a lock file");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let output = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--test", "contract", "--target-dir"])
        .arg(target)
        .current_dir(&outside)
        .output()
        .expect("cargo runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let passed = format!("test result: ok. {} passed; 0 failed; 0 ignored", Case::all().count());
    assert!(stdout.contains(&passed), "{stdout}");
}
