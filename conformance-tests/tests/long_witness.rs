//! A minute of trouble, on all stores at once: 64 writers, and groups and relays whose members are killed, paused past their
//! lease and restarted at random. The witness judges what is left.
//!
//! `CONTRACT_WITNESS_SECONDS` is how long, 60 unless told; `CONTRACT_SEED` decides what is random. Names, `--exact`,
//! `--skip` and `--list` mean what they mean to any test.

#[path = "support/jetstream.rs"]
mod jetstream;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/selection.rs"]
mod selection;
#[path = "support/sqlite.rs"]
mod sqlite;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use conformance_tests::{Body, Case, Harness, child, judge_for};
use eventsource_postgres::CommitMode;

use memory::Memory;
use postgres::Postgres;
use selection::Selection;
use sqlite::Sqlite;

/// What is run on every store: groups and relays in processes, where there can be several, else in tasks.
const TRIALS: &[(&str, &str, &str)] = &[
    ("memory", "group", "members_that_are_paused_and_killed_lose_and_reorder_nothing"),
    ("memory", "relay", "relays_that_are_paused_and_killed_publish_everything_in_order"),
    ("sqlite", "group_processes", "processes_that_are_paused_and_killed_leave_the_view_exact"),
    ("sqlite", "relay_processes", "processes_that_are_paused_and_killed_publish_everything_in_order"),
    ("sqlite", "jetstream", jetstream::HOLDS_EACH_EVENT_ONCE),
    ("postgres", "group_processes", "processes_that_are_paused_and_killed_leave_the_view_exact"),
    ("postgres", "relay_processes", "processes_that_are_paused_and_killed_publish_everything_in_order"),
    ("postgres", "jetstream", jetstream::HOLDS_EACH_EVENT_ONCE),
];

fn main() -> ExitCode {
    if let Some((program, store)) = child::program() {
        match program.as_str() {
            jetstream::PROGRAM => child::run_program(harness(&store), |cx| Box::pin(jetstream::relay(cx))),
            _ => child::run(harness(&store)),
        }
        return ExitCode::SUCCESS;
    }
    let selection = match Selection::parse(std::env::args().skip(1)) {
        Ok(selection) => selection,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::from(101);
        }
    };
    let trials =
        TRIALS.iter().map(|(store, group, case)| (*store, *group, format!("{store}::{group}::{case}")));
    let trials: Vec<_> = trials.filter(|(.., name)| selection.takes(name)).collect();
    if selection.is_list() {
        trials.iter().for_each(|(.., name)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let (count, filtered_out) = (trials.len(), TRIALS.len() - trials.len());
    let seed = conformance_tests::seed();
    println!("\nrunning {count} trials at once for {:?}, seed {seed:#x}", duration());
    let running = trials.into_iter().map(|(store, group, name)| {
        thread::spawn(move || {
            let begun = Instant::now();
            let verdict = judge_for(harness(store), &name, body(store, group), seed, duration());
            (name, verdict, begun.elapsed())
        })
    });
    let mut failed = 0;
    for trial in running.collect::<Vec<_>>() {
        let (name, verdict, time) = trial.join().expect("a failure is told, not thrown");
        match verdict {
            Ok(()) => println!("trial {name} ... ok, {} s", time.as_secs()),
            Err(failure) => {
                failed += 1;
                println!("trial {name} ... FAILED after {} s: {failure}", time.as_secs());
                println!(
                    "    repeat: CONTRACT_SEED={seed:#x} CONTRACT_WITNESS_SECONDS={} cargo test \
                     -p conformance-tests --features nats-server --test long_witness -- {name} --exact",
                    duration().as_secs(),
                );
            }
        }
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {filtered_out} filtered out",
        if failed == 0 { "ok" } else { "FAILED" },
        count - failed,
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn duration() -> Duration {
    let seconds = std::env::var("CONTRACT_WITNESS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

fn harness(store: &str) -> Arc<dyn Harness> {
    match store {
        "memory" => Arc::new(Memory),
        "sqlite" => Arc::new(Sqlite),
        "postgres" => Arc::new(Postgres::committing(CommitMode::Flushed)),
        _ => panic!("there is no store {store}"),
    }
}

fn body(store: &str, group: &str) -> Body {
    match TRIALS.iter().find(|(at, what, _)| (*at, *what) == (store, group)) {
        Some((.., jetstream::HOLDS_EACH_EVENT_ONCE)) => |cx| Box::pin(jetstream::holds_each_event_once(cx)),
        Some((.., case)) => Case::find(group, case).body_for(harness(store).lacks()),
        None => panic!("there is no trial {store}::{group}"),
    }
}
