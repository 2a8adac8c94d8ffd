//! Randomness that a seed repeats.

use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::Cx;

/// Random numbers that the case's seed and this number repeat.
#[must_use]
pub fn numbers(cx: &Cx, which: u64) -> TestRng {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&cx.seed().to_le_bytes());
    seed[8..16].copy_from_slice(&which.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &seed)
}
