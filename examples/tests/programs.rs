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
                "Shipping it again is rejected: an order that is shipped can't be shipped\n",
                "6. Verifying what is stored...",
                "Loaded version: 2\n",
                "Loaded status: shipped\n",
                "Status at version 1: created\n",
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

/// What `tenants` says where all share one log, and where each has its own.
fn tenants_say(place: &str, of_its_own: bool) -> Vec<String> {
    let (tried, seen) = match of_its_own {
        true => ("globex has an order of the same id, in a log of its own", 2),
        false => ("refused: stream Order belongs to another tenant", 1),
    };
    [
        place,
        "claimed: ann at acme",
        "claimed: ann at globex",
        "acme's order is at version 1",
        tried,
        "acme sees 2 events of its own",
        &format!("globex sees {seen} events of its own"),
        "SUCCESS: no tenant saw another's events",
    ]
    .map(|line| format!("{line}\n"))
    .to_vec()
}

fn assert_tenants_say(output: &str, place: &str, of_its_own: bool) {
    let said = tenants_say(place, of_its_own);
    assert_lines_in_order(output, &said.iter().map(String::as_str).collect::<Vec<_>>());
}

fn run_tenants(directory: &Path, arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_tenants");
    let Output { status, stdout, stderr } =
        Command::new(program).current_dir(directory).args(arguments).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("programs print text");
    assert!(status.success(), "{arguments:?}: {}", text(stderr));
    text(stdout)
}

#[tokio::test]
async fn tenants_share_a_schema_on_every_store() {
    for (store, place) in [
        ("memory", "All tenants share this process's memory"),
        ("sqlite", "All tenants share the file tenants.db"),
        ("postgres", "All tenants share the PostgreSQL server"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let output = run(env!("CARGO_BIN_EXE_tenants"), store, directory.path()).await;
        assert_tenants_say(&output, place, false);
    }
}

#[tokio::test]
async fn tenants_have_a_schema_each() {
    let url = test_servers::Postgres::shared().await.create_database("schemas").await.unwrap();
    let arguments = ["--pattern", "schema-per-tenant", "--backend", "postgres", "--url", &url];
    let output = run_tenants(Path::new("."), &arguments);
    assert_tenants_say(&output, "Each tenant has a schema of the PostgreSQL database", true);
}

#[tokio::test]
async fn tenants_have_a_database_each() {
    let directory = tempfile::tempdir().unwrap();
    let pattern = ["--pattern", "database-per-tenant", "--backend"];
    let output = run_tenants(directory.path(), &[&pattern[..], &["sqlite"]].concat());
    assert_tenants_say(&output, "Each tenant has a file in tenants", true);
    assert!(directory.path().join("tenants/acme.db").exists());
    assert!(directory.path().join("tenants/globex.db").exists());

    let output = run_tenants(directory.path(), &[&pattern[..], &["memory"]].concat());
    assert_tenants_say(&output, "Each tenant has a memory store", true);

    let server = test_servers::Postgres::shared().await;
    let acme = server.create_database("of_acme").await.unwrap();
    let globex = server.create_database("of_globex").await.unwrap();
    let url = acme.replace("acme", "{tenant}");
    assert_eq!(url.replace("{tenant}", "globex"), globex);
    let output = run_tenants(directory.path(), &[&pattern[..], &["postgres", "--url", &url]].concat());
    assert_tenants_say(&output, "Each tenant has a PostgreSQL database", true);
}

#[tokio::test]
async fn the_outbox_worker_publishes_everything_in_order_through_a_broker_that_fails() {
    for store in STORES {
        let directory = tempfile::tempdir().unwrap();
        let output = run(env!("CARGO_BIN_EXE_outbox_worker"), store, directory.path()).await;
        assert_lines_in_order(
            &output,
            &[
                "appended: 4 events, 3 of them to be published\n",
                "waiting in the outbox: 3\n",
                "the broker is down: OrderPlaced of the first order\n",
                "published: OrderPlaced of the first order\n",
                "published: OrderShipped of the first order\n",
                "the worker has stopped: 3 published, 1 retried, 0 given up\n",
                "SUCCESS: every event was published, each order's in its order\n",
            ],
        );
        // Orders do not wait for each other.
        assert_lines_in_order(
            &output,
            &["published: OrderPlaced of the second order\n", "the worker has stopped"],
        );
        assert!(!output.contains("published: NoteTaken"), "{output}");
    }
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
