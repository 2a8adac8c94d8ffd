//! Other processes: the same test binary once more, told to run a [`Program`] in place of the case.

use std::process::Stdio;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::process::{Child, Command};

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
];

const PROGRAM: &str = "CONTRACT_CHILD";
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

/// Whether this process is a child that is to run a program.
pub(crate) fn is_one() -> bool {
    std::env::var_os(PROGRAM).is_some()
}

/// Runs the program that this process was started for.
pub(crate) fn run(harness: Arc<dyn Harness>, case: &str) {
    let wanted = std::env::var(PROGRAM).unwrap_or_default();
    let Some((_, program)) = PROGRAMS.iter().find(|(name, _)| *name == wanted) else {
        panic!("there is no child program {wanted}");
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outcome = runtime.block_on(async {
        let store = harness.attach(&std::env::var(ADDRESS)?).await?;
        program(Cx::attached(harness, store, case)).await
    });
    if let Err(failure) = outcome {
        panic!("child {wanted}: {failure}");
    }
}
