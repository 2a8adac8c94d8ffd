use common::Outcome;

use crate::results::FAILED;

/// What one round came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

impl Figure {
    /// The figure, or why there is none.
    pub(crate) fn of(outcome: &Outcome) -> std::result::Result<Self, String> {
        match outcome {
            Outcome::Rate { done, seconds, latencies, .. } => Ok(Self {
                value: rounded(*done as f64 / seconds.max(1e-9)),
                p50_ms: quantile(latencies, 0.5),
                p99_ms: quantile(latencies, 0.99),
            }),
            Outcome::Latencies { latencies } => {
                // What a latency is judged by.
                let p99 = quantile(latencies, 0.99).ok_or("nothing was delivered")?;
                Ok(Self { value: p99, p50_ms: quantile(latencies, 0.5), p99_ms: Some(p99) })
            }
            Outcome::Figure { value } => Ok(Self { value: rounded(*value), p50_ms: None, p99_ms: None }),
            Outcome::Absent { reason } => Err(reason.clone()),
            Outcome::Broken { reason } => Err(format!("{FAILED}{reason}")),
        }
    }
}

/// Milliseconds, of nanoseconds and how often they were seen, in order.
fn quantile(latencies: &[(u64, u64)], share: f64) -> Option<f64> {
    let total: u64 = latencies.iter().map(|(_, count)| count).sum();
    let wanted = ((total as f64 * share).ceil() as u64).max(1);
    let mut seen = 0;
    let (nanoseconds, _) = latencies.iter().find(|(_, count)| {
        seen += count;
        seen >= wanted
    })?;
    Some((*nanoseconds as f64).round() / 1e6)
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(rounded((values[middle - 1] + values[middle]) / 2.0)),
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_seen() {
        let latencies = [(1_000_000, 98), (2_000_000, 1), (5_000_000, 1)];
        assert_eq!(quantile(&latencies, 0.5), Some(1.0));
        assert_eq!(quantile(&latencies, 0.99), Some(2.0));
        assert_eq!(quantile(&latencies, 1.0), Some(5.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
