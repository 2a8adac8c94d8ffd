use std::cell::Cell;

use futures_util::future::BoxFuture;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRng, TestRunner};
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
        smallest_failure(values, random::numbers(&cx, 0), &strategy, |value| {
            runtime.block_on(on_its_own_log(&cx, value, check))
        })
    });
    explored.await?
}

/// Checks so many values, and fails as the smallest does that can be found and still fails.
fn smallest_failure<S: Strategy>(
    values: u32,
    numbers: TestRng,
    strategy: &S,
    check: impl Fn(S::Value) -> CaseResult,
) -> CaseResult {
    // The kind of the last failure, which is that of the smallest value: what passes after it leaves it as it was. A panic,
    // which sets none, is an assertion's.
    let kind = Cell::new(FailureKind::Judged);
    let config = Config {
        cases: values,
        failure_persistence: None,
        max_shrink_iters: 400,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, numbers)
        .run(strategy, |value| {
            let before = kind.replace(FailureKind::Judged);
            let checked = check(value);
            kind.set(checked.as_ref().err().map_or(before, Failure::kind));
            checked.map_err(|failure| TestCaseError::fail(failure.to_string()))
        })
        .map_err(|error| Failure::new(error.to_string()).of_kind(kind.get()))
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

#[cfg(test)]
mod tests {
    use proptest::test_runner::RngAlgorithm;

    use super::*;

    /// The kind of what is told if such values fail with `failure`.
    fn kind_of(failure: fn() -> CaseResult, fails: impl Fn(u32) -> bool) -> FailureKind {
        let numbers = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let told =
            smallest_failure(
                50,
                numbers,
                &(0..1_000_u32),
                |value| {
                    if fails(value) { failure() } else { Ok(()) }
                },
            );
        told.expect_err("one of fifty fails").kind()
    }

    fn erring() -> CaseResult {
        Err(std::io::Error::other("it is full").into())
    }

    #[test]
    fn the_smallest_failure_says_whether_the_promise_was_judged() {
        assert_eq!(kind_of(erring, |value| value > 10), FailureKind::Erred);
        assert_eq!(kind_of(|| Err(Failure::new("it is wrong")), |value| value > 10), FailureKind::Judged);
        assert_eq!(kind_of(|| panic!("as an assertion does"), |value| value > 10), FailureKind::Judged);
    }

    #[test]
    fn what_passes_after_it_does_not_change_what_a_failure_says() {
        let failed = Cell::new(false);
        assert_eq!(kind_of(erring, |value| value > 10 && !failed.replace(true)), FailureKind::Erred);
    }
}
