use std::future::Future;
use std::sync::Arc;

use eventsource_core::{Appended, Result};
use tokio::sync::Barrier;

use crate::{CaseResult, Failure};

/// What each racer of a round was answered.
pub(crate) type Round = Vec<Result<Appended>>;

/// Lets so many racers loose at the same moment, round after round: `run(racer, round, start)` prepares, waits at the
/// start, and appends.
pub(crate) async fn race<F>(
    racers: usize,
    rounds: usize,
    run: impl Fn(usize, usize, Arc<Barrier>) -> F + Clone + Send + 'static,
) -> CaseResult<Vec<Round>>
where
    F: Future<Output = CaseResult<Result<Appended>>> + Send,
{
    let start = Arc::new(Barrier::new(racers));
    let tasks: Vec<_> = (0..racers)
        .map(|racer| {
            let (start, run) = (start.clone(), run.clone());
            tokio::spawn(async move {
                let mut answers = Vec::with_capacity(rounds);
                for round in 0..rounds {
                    answers.push(run(racer, round, start.clone()).await?);
                }
                Ok::<_, Failure>(answers)
            })
        })
        .collect();
    let mut by_round: Vec<Round> = (0..rounds).map(|_| Vec::with_capacity(racers)).collect();
    for task in tasks {
        for (round, answer) in by_round.iter_mut().zip(task.await??) {
            round.push(answer);
        }
    }
    Ok(by_round)
}

/// The one answer of a round that is an acknowledgement.
pub(crate) fn only_winner(number: usize, round: &Round) -> CaseResult<&Appended> {
    let winners: Vec<_> = round.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    match winners[..] {
        [winner] => Ok(winner),
        _ => Err(Failure::new(format!("round {number} has {} winners: {round:?}", winners.len()))),
    }
}
