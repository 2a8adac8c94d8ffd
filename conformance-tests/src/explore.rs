use std::cell::Cell;

use futures_util::future::BoxFuture;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Handle;

use crate::{CaseResult, Cx, Failure, FailureKind, Setup, random};

/// Draws so many values by the case's seed, and runs `check` with each of them on an empty log of its own. A value
/// that fails is made as small as it can be and still fail.
pub(crate) async fn explore<S>(
    cx: &Cx,
    values: u32,
    strategy: S,
    check: fn(Cx, S::Value) -> BoxFuture<'static, CaseResult>,
) -> CaseResult
where
    S: Strategy + Send + 'static,
{
    let (cx, runtime) = (cx.clone(), Handle::current());
    // Its runner blocks: not on a thread that runs tasks.
    let explored = tokio::task::spawn_blocking(move || {
        // The kind of the last failure, which is that of the smallest value. A panic, which sets none, is an assertion's.
        let kind = Cell::new(FailureKind::Judged);
        let config = Config {
            cases: values,
            failure_persistence: None,
            max_shrink_iters: 400,
            max_shrink_time: 60_000,
            ..Config::default()
        };
        TestRunner::new_with_rng(config, random::numbers(&cx, 0))
            .run(&strategy, |value| {
                kind.set(FailureKind::Judged);
                runtime.block_on(on_its_own_log(&cx, value, check)).map_err(|failure| {
                    kind.set(failure.kind());
                    TestCaseError::fail(failure.to_string())
                })
            })
            .map_err(|error| Failure::new(error.to_string()).of_kind(kind.get()))
    });
    explored.await?
}

async fn on_its_own_log<V>(
    cx: &Cx,
    value: V,
    check: fn(Cx, V) -> BoxFuture<'static, CaseResult>,
) -> CaseResult {
    let cx = cx.fresh(Setup::default()).await?;
    let checked = check(cx.clone(), value).await;
    cx.store().close().await?;
    cx.log().remove().await?;
    checked
}
