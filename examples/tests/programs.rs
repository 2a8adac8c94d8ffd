//! The programs, run as a newcomer runs them; what they print is what their documentation promises.

use std::path::Path;
use std::process::{Command, Output};

const STORES: [&str; 3] = ["memory", "sqlite", "postgres"];

/// Runs a program on a store in a directory of its own, and returns what it printed.
async fn run(program: &str, store: &str, directory: &Path) -> String {
    let mut command = Command::new(program);
    command.current_dir(directory).args(["--backend", store]);
    if store == "postgres" {
        let name =
            Path::new(program).file_name().and_then(|name| name.to_str()).expect("a program has a name");
        let url = test_servers::Postgres::shared().await.create_database(name).await.expect("a database");
        command.args(["--url", &url]);
    }
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("programs print text");
    let (stdout, stderr) = (text(stdout), text(stderr));
    assert!(status.success(), "{program} on {store}: {status}\n{stdout}\n{stderr}");
    stdout
}

fn assert_lines_in_order(output: &str, lines: &[&str]) {
    let mut rest = output;
    for line in lines {
        let at = rest
            .find(line)
            .unwrap_or_else(|| panic!("{line:?} is missing, or not in its place, in:\n{output}"));
        rest = &rest[at + line.len()..];
    }
}

#[tokio::test]
async fn the_order_tutorial_tells_its_eight_steps_on_every_store() {
    for store in STORES {
        let directory = tempfile::tempdir().unwrap();
        let output = run(env!("CARGO_BIN_EXE_order_tutorial"), store, directory.path()).await;
        assert_lines_in_order(
            &output,
            &[
                "1. Opening the event store...",
                "2. Setting up the schema...",
                "3. Creating the aggregate repository...",
                "4. Creating an order...",
                "Order created: ",
                "Version: 1\n",
                "Status: created\n",
                "Customer: customer-456\n",
                "Total: $299.99\n",
                "5. Loading and shipping the order...",
                "Order shipped!",
                "Version: 2\n",
                "Status: shipped\n",
                "Tracking: TRACK-123456\n",
                "6. Verifying what is stored...",
                "Loaded version: 2\n",
                "Loaded status: shipped\n",
                "7. Reading the events from ",
                "Found 2 events:\n",
                "- v1: OrderCreated\n",
                "- v2: OrderShipped\n",
                "8. Connection statistics...",
                "SUCCESS: the ",
                "The store is closed.",
            ],
        );
    }
}

#[tokio::test]
async fn the_order_tutorial_names_its_file_and_finds_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = run(env!("CARGO_BIN_EXE_order_tutorial"), "sqlite", directory.path()).await;
    assert_lines_in_order(&first, &["the file order_tutorial.db", "the log's head is at 0\n", "SUCCESS"]);
    assert!(directory.path().join("order_tutorial.db").exists());
    let second = run(env!("CARGO_BIN_EXE_order_tutorial"), "sqlite", directory.path()).await;
    assert_lines_in_order(&second, &["the log's head is at 2\n", "Found 2 events:", "SUCCESS"]);
}

#[tokio::test]
async fn of_two_students_one_gets_the_last_place() {
    for store in STORES {
        let directory = tempfile::tempdir().unwrap();
        let output = run(env!("CARGO_BIN_EXE_course_subscriptions"), store, directory.path()).await;
        assert_lines_in_order(
            &output,
            &[
                "subscribed: ann (1 of 2)\n",
                "subscribed: bob (2 of 2)\n",
                "conflict: cid decided on what was no longer so: the event StudentSubscribed at position",
                "rejected: course is full (2 of 2)\n",
                "SUCCESS: no place was given twice\n",
            ],
        );
    }
}

#[tokio::test]
async fn of_two_readers_one_gets_the_book() {
    for store in STORES {
        let directory = tempfile::tempdir().unwrap();
        let output = run(env!("CARGO_BIN_EXE_library_lending"), store, directory.path()).await;
        assert_lines_in_order(
            &output,
            &[
                "lent: Dune to the first reader\n",
                "conflict: the second reader was too late: the event BookCopyLentToReader at position",
                "rejected: Ulysses, the reader has too many books\n",
                "returned: Dune by the first reader\n",
                "lent: Dune to the second reader\n",
                "SUCCESS: no book was lent twice\n",
            ],
        );
    }
}

#[test]
fn the_order_dashboard_is_what_the_log_says() {
    let directory = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_order_dashboard");
    let output = Command::new(program).env("TMPDIR", directory.path()).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert_lines_in_order(
        &stdout,
        &[
            "1. Placing 60 orders while the dashboard is kept...",
            "the consumer was killed in the middle\n",
            "ann: 20 orders, $200.00\n",
            "bob: 20 orders, $200.00\n",
            "cid: 20 orders, $200.00\n",
            "2. An order that nobody believes, and one behind it...",
            "ann: 20 orders, $200.00\n",
            "bob: 21 orders, $210.00\n",
            "tried again: 2 resolved, 0 failed\n",
            "ann: 22 orders, $50210.00\n",
            "3. Rebuilding the dashboard beside the live one...",
            "rebuilt from 63 events\n",
            "4. Reading what was just written...",
            "ann: 22 orders, $50210.00\n",
            "cid: 21 orders, $210.00\n",
            "SUCCESS: the dashboard is what the log says\n",
        ],
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it leaves something behind");
}

#[test]
fn nonsense_is_answered_with_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_order_tutorial");
    for arguments in [
        vec!["--backend", "oracle"],
        vec!["--backend", "postgres"],
        vec!["--backend", "postgres", "--url", "not a url"],
        vec!["--backend", "sqlite", "--url", "no/such/directory/file.db"],
    ] {
        let output = Command::new(program).current_dir(directory.path()).args(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(!stderr.contains("panicked") && !stderr.trim().is_empty(), "{arguments:?}: {stderr}");
    }
}
