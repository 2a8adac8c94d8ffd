use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    Error, EventId, EventPublisher, Filter, Outbox, RecordedEvent, Relay, RelayConfig, Result, RetryPolicy,
};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::worker::Input;
use super::{Crew, LEASE, Worker, Writers, until_done};
use crate::cases::outbox::outbox_of;
use crate::given::log_of;
use crate::publishing::Moody;
use crate::witness::{Delivery, OutboxLook, Publication, Witness};
use crate::{CaseResult, Cx, Failure, Setup, child};

const RELAYS: usize = 4;

/// How many different events the other end was given.
type Delivered<'a> = &'a (dyn Fn() -> BoxFuture<'static, CaseResult<u64>> + Sync);

/// Relays in this process, and a publisher that fails, hangs, and loses acknowledgements.
pub(crate) async fn publish_in_tasks(cx: &Cx) -> CaseResult {
    let cx = cx.fresh(Setup::with_outbox(Filter::all())).await?;
    let (publisher, outbox) = (Arc::new(Moody::mostly_good(&cx)), outbox_of(&cx)?);
    let other_end = publisher.clone();
    publish(&cx, publisher, |number| {
        let relay = relay(number, outbox.clone(), other_end.clone())?;
        let (stop, stopped) = oneshot::channel::<()>();
        let run = async move {
            relay.run(async { drop(stopped.await) }).await?;
            Ok(())
        };
        Ok(Worker::task(run, move || drop(stop)))
    })
    .await
}

/// Relays in processes of their own, and the same publisher in this one.
pub(crate) async fn publish_over_pipes(cx: &Cx) -> CaseResult {
    let cx = cx.fresh(Setup::with_outbox(Filter::all())).await?;
    let publisher = Arc::new(Moody::mostly_good(&cx));
    let other_end = publisher.clone();
    let processes = cx.clone();
    publish(&cx, publisher, move |number| {
        let other_end = other_end.clone();
        Worker::process(&processes, "relay", &number.to_string(), move |note, input| {
            take(note, other_end.clone(), input.clone());
        })
    })
    .await
}

/// Lets relays in processes of their own run `program`, which calls [`run_relay`], with `arguments` and a number behind
/// them, on a fresh log whose events are all to be published; they are killed, paused past their lease and restarted
/// while many write. `delivered` counts what the other end holds; when everything is settled, `deliveries` tells it, and the
/// witness judges it: each event once, each stream in order.
///
/// # Errors
/// Whatever was not as promised.
pub async fn publish_in_processes(
    cx: &Cx,
    program: &str,
    arguments: &str,
    delivered: &(dyn Fn() -> BoxFuture<'static, CaseResult<u64>> + Sync),
    deliveries: impl Future<Output = CaseResult<Vec<EventId>>> + Send,
) -> CaseResult {
    let cx = cx.fresh(Setup::with_outbox(Filter::all())).await?;
    let processes = cx.clone();
    let (program, arguments) = (program.to_owned(), arguments.to_owned());
    let start =
        move |number| Worker::process(&processes, &program, &format!("{arguments} {number}"), |_, _| {});
    let publication = trial(&cx, start, delivered).await?;
    let log = log_of(&**cx.store()).await?;
    let log: HashMap<_, _> = log.into_iter().map(|event| (event.id(), event)).collect();
    let known = |id| log.get(&id).cloned().ok_or_else(|| Failure::new(format!("{id} is not in the log")));
    let deliveries = deliveries.await?.into_iter().map(known).collect::<CaseResult<_>>()?;
    judge(&cx, Publication { deliveries, delivery: Delivery::ExactlyOnce, ..publication }).await
}

async fn publish(
    cx: &Cx,
    publisher: Arc<Moody>,
    start: impl FnMut(usize) -> CaseResult<Worker> + Send,
) -> CaseResult {
    let other_end = publisher.clone();
    let delivered = move || -> BoxFuture<'static, CaseResult<u64>> {
        let count = other_end.count_delivered();
        Box::pin(async move { Ok(count) })
    };
    let publication = trial(cx, start, &delivered).await?;
    let deliveries = publisher.deliveries();
    judge(cx, Publication { deliveries, delivery: Delivery::AtLeastOnce, ..publication }).await
}

/// All but what was delivered, which is known when it is over.
async fn trial(
    cx: &Cx,
    start: impl FnMut(usize) -> CaseResult<Worker> + Send,
    delivered: Delivered<'_>,
) -> CaseResult<Publication> {
    let outbox = outbox_of(cx)?;
    let duration = cx.trouble(Duration::from_secs(5));
    let over = AtomicBool::new(false);
    let looking = look(&*outbox, delivered, &over);
    let suffering = async {
        let writers = Writers::start(cx);
        let mut crew = Crew::start(cx, 72, RELAYS, start)?;
        let blows = crew.suffer(duration).await?;
        writers.finish().await?;
        let goal = log_of(&**cx.store()).await?.len();
        until_done(goal, || async { Ok(usize::try_from(outbox.statistics().await?.published)?) }).await?;
        crew.stop().await?;
        over.store(true, Ordering::SeqCst);
        CaseResult::Ok(blows)
    };
    let (looks, blows) = futures_util::future::try_join(looking, suffering).await?;
    println!("[{}] {}: {blows:?}, {} looks", cx.backend(), cx.case(), looks.len());
    // What nobody has seen can't be judged.
    if looks.len() <= 10 {
        return Err(Failure::new(format!("nobody watched the relays: {} looks", looks.len())));
    }
    Ok(Publication { looks, end: outbox.statistics().await?, ..Publication::default() })
}

/// Looks whether more is settled than was published: first at what is settled.
async fn look(
    outbox: &dyn Outbox,
    delivered: Delivered<'_>,
    over: &AtomicBool,
) -> CaseResult<Vec<OutboxLook>> {
    let mut looks = Vec::new();
    while !over.load(Ordering::SeqCst) {
        match outbox.statistics().await {
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error.into()),
            Ok(statistics) => {
                // Whoever can't tell now is asked again.
                if let Ok(delivered) = delivered().await {
                    looks.push(OutboxLook { settled: statistics.published, delivered });
                }
            }
        }
        sleep(Duration::from_millis(250)).await;
    }
    Ok(looks)
}

async fn judge(cx: &Cx, publication: Publication) -> CaseResult {
    let log = log_of(&**cx.store()).await?;
    Witness::of(&log).judge_publication(&publication)?;
    let deliveries = publication.deliveries.len();
    println!("[{}] {}: {deliveries} deliveries of {} events", cx.backend(), cx.case(), log.len());
    cx.store().close().await?;
    Ok(cx.log().remove().await?)
}

fn relay(number: usize, outbox: Arc<dyn Outbox>, publisher: Arc<dyn EventPublisher>) -> Result<Relay> {
    let config = RelayConfig::new(format!("relay {number}"))
        .batch(24)
        .lease(LEASE)
        .retry(
            RetryPolicy::default()
                .attempts(u32::MAX)
                .pauses(Duration::from_millis(10), Duration::from_millis(200)),
        )
        .publish_timeout(Duration::from_millis(600))
        .poll_interval(Duration::from_millis(100));
    Relay::new(outbox, publisher, config)
}

/// A child's program: a relay to `publisher`, until the child's standard input ends.
///
/// # Errors
/// As for [`Relay::run`].
pub async fn run_relay(cx: Cx, publisher: Arc<dyn EventPublisher>) -> CaseResult {
    let mut lines = child::lines();
    run(&cx, publisher, async move { while lines.recv().await.is_some() {} }).await
}

/// A child's program: a relay to the process that has started it.
pub(crate) async fn run_piped_relay(cx: Cx) -> CaseResult {
    let publisher = Arc::new(Piped::default());
    let mut lines = child::lines();
    let other_end = publisher.clone();
    run(&cx, publisher, async move {
        while let Some(line) = lines.recv().await {
            other_end.hear(&line);
        }
    })
    .await
}

async fn run(
    cx: &Cx,
    publisher: Arc<dyn EventPublisher>,
    ended: impl Future<Output = ()> + Send,
) -> CaseResult {
    let number = child::arguments().rsplit(' ').next().unwrap_or_default().parse()?;
    relay(number, outbox_of(cx)?, publisher)?.run(ended).await?;
    Ok(())
}

/// Takes what a relay's process wants published, and answers it.
fn take(note: &str, publisher: Arc<Moody>, input: Input) {
    let Some((number, event)) = note.strip_prefix("publish ").and_then(|rest| rest.split_once(' ')) else {
        return;
    };
    // The last line of one that was killed may be cut.
    let Ok(event) = RecordedEvent::from_json(event) else { return };
    let number = number.to_owned();
    tokio::spawn(async move {
        let answer = if publisher.publish(&event).await.is_ok() { "taken" } else { "refused" };
        input.say(format!("{number} {answer}"));
    });
}

/// The relay's end of it.
#[derive(Debug, Default)]
struct Piped {
    numbers: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<bool>>>,
}

impl Piped {
    fn hear(&self, line: &str) {
        let Some((number, answer)) = line.split_once(' ') else { return };
        let Ok(number) = number.parse() else { return };
        if let Some(waiting) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number) {
            // Who has waited for too long is gone.
            let _ = waiting.send(answer == "taken");
        }
    }
}

#[async_trait]
impl EventPublisher for Piped {
    async fn publish(&self, event: &RecordedEvent) -> Result<()> {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        let (tell, told) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, tell);
        println!("@@publish {number} {}", event.to_json()?);
        match told.await {
            Ok(true) => Ok(()),
            _ => Err(Error::unavailable("the other end says no")),
        }
    }
}
