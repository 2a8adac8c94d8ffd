//! Other processes: the same test binary once more, told to run a [`Program`] in place of the case.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::{CaseResult, Cx, Failure, Harness, cases, chaos, crash};

/// What a child process does with the store; its arguments are [`arguments`].
pub type Program = fn(Cx) -> BoxFuture<'static, CaseResult>;

/// What child processes can be told to do.
const PROGRAMS: &[(&str, Program)] = &[
    ("append", |cx| Box::pin(cases::sharing::append_in_child(cx))),
    ("workload", |cx| Box::pin(crash::run_workload(cx))),
    ("claim", |cx| Box::pin(cases::sharing::claim_in_child(cx))),
    ("member", |cx| Box::pin(chaos::run_member(cx))),
    ("inline", |cx| Box::pin(cases::inline_under_load::append_in_child(cx))),
    ("count", |cx| Box::pin(cases::sharing::count_in_child(cx))),
    ("relay", |cx| Box::pin(chaos::run_piped_relay(cx))),
];

/// How long a child may take to end when it is told to.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const PROGRAM: &str = "CONTRACT_CHILD";
const STORE: &str = "CONTRACT_CHILD_STORE";
const ADDRESS: &str = "CONTRACT_CHILD_ADDRESS";
const ARGUMENTS: &str = "CONTRACT_CHILD_ARGUMENTS";

/// Starts a child process that runs `program` on the case's log. Its standard output is piped and has libtest's own
/// lines among the program's; it is killed when the handle is dropped.
///
/// # Errors
/// If the log has no address, or if there is no process to be had.
pub fn spawn(cx: &Cx, program: &str, arguments: &str) -> CaseResult<Child> {
    let address = cx.log().address().ok_or_else(|| Failure::new("the log has no address"))?;
    Ok(Command::new(std::env::current_exe()?)
        .args([cx.case(), "--exact", "--nocapture", "--test-threads=1"])
        .env(PROGRAM, program)
        .env(STORE, cx.backend())
        .env(ADDRESS, address)
        .env(ARGUMENTS, arguments)
        .env("CONTRACT_SEED", format!("{:#x}", cx.seed()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?)
}

/// Where the log lies that this process's program works on.
#[must_use]
pub fn address() -> String {
    std::env::var(ADDRESS).unwrap_or_default()
}

/// The arguments that this process's program was given.
#[must_use]
pub fn arguments() -> String {
    std::env::var(ARGUMENTS).unwrap_or_default()
}

/// The program that this process was started to run, and the [name](Harness::name) of the backend that it is for; none if
/// this process is no child.
#[must_use]
pub fn program() -> Option<(String, String)> {
    std::env::var(PROGRAM).ok().zip(std::env::var(STORE).ok())
}

/// The lines of this process's standard input, until it ends: also when the process at its other end is gone.
pub(crate) fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    // Of its own: a runtime would wait for a line before it ends.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Runs the program that this process was started for.
///
/// # Panics
/// If there is no such program, or it fails.
pub fn run(harness: Arc<dyn Harness>) {
    let (wanted, _) = program().unwrap_or_default();
    let Some((_, program)) = PROGRAMS.iter().find(|(name, _)| *name == wanted) else {
        panic!("there is no child program {wanted}");
    };
    run_program(harness, *program);
}

/// Runs this program on the log of the process that has started this one.
///
/// # Panics
/// If it fails.
pub fn run_program(harness: Arc<dyn Harness>, program: Program) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outcome = runtime.block_on(async {
        let store = harness.attach(&std::env::var(ADDRESS)?).await?;
        program(Cx::attached(harness, store)).await
    });
    if let Err(failure) = outcome {
        panic!("a child: {failure}");
    }
}
