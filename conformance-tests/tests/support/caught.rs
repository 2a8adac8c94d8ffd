use std::sync::Arc;

use conformance_tests::{Case, Failure, FailureKind, Harness, judge};

/// The case holds for the whole thing, and fails for the broken one because of what is broken.
///
/// That is so if the case judges it: by an assertion, by a sentence of its own, by the witness. An error of something that the
/// case has called counts only if it `says` what is expected here; a store that was not there, or a case that was not done in
/// time, counts never. What is judged has to say it as well, if anything is expected.
#[track_caller]
pub(crate) fn is_caught(whole: Arc<dyn Harness>, broken: Arc<dyn Harness>, case: &Case, says: &[&str]) {
    let name = case.name();
    if let Err(failure) = judge(whole, case, 1) {
        panic!("{name} fails for what is not broken: {failure}");
    }
    // What takes luck to see is seen by one of a few tries.
    let mut other = None;
    for seed in 1..=5 {
        match judge(broken.clone(), case, seed) {
            Err(failure) if shows(&failure, says) => return,
            Err(failure) => {
                let hangs = failure.kind() == FailureKind::TimedOut;
                other = Some(failure);
                if hangs {
                    break;
                }
            }
            Ok(()) => {}
        }
    }
    match other {
        None => panic!("{name} does not see it"),
        Some(failure) => panic!("{name} does not judge it {says:?}, but: {:?}: {failure}", failure.kind()),
    }
}

fn shows(failure: &Failure, says: &[&str]) -> bool {
    let text = failure.to_string();
    let said = says.iter().all(|part| text.contains(part));
    match failure.kind() {
        FailureKind::Judged => said,
        FailureKind::Erred => said && !says.is_empty(),
        _ => false,
    }
}
