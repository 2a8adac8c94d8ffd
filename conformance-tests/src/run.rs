use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use eventsource_consumers::ConsumerStore;
use eventsource_core::{
    Capability, CheckpointStore, DeadLetters, EventStore, Leases, LogIdentity, Result, SnapshotStore,
    TenantId,
};
use futures_util::FutureExt as _;
use tokio::runtime;
use uuid::Uuid;

use crate::{
    Body, Case, CaseResult, Failure, FailureKind, Fixture, Harness, Log, Setup, Stores, View, chaos, child,
};

/// How long a case may take before it has failed.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a case is given: a store on an empty log of its own, and what belongs to it.
#[derive(Clone)]
pub struct Cx {
    harness: Arc<dyn Harness>,
    fixture: Arc<Fixture>,
    case: String,
    seed: u64,
    trouble: Duration,
}

impl Cx {
    /// The store under test.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.fixture.stores.events
    }

    /// The store under test, and what it stores beside the log.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.fixture.stores
    }

    /// The view that `tenant` has of the store under test.
    #[must_use]
    pub fn of_tenant(&self, tenant: TenantId) -> Arc<dyn EventStore> {
        self.harness.tenant_store(self.store().clone(), tenant)
    }

    /// The snapshots of `tenant` in the store under test. For [`Capability::Snapshots`].
    ///
    /// # Errors
    /// As for [`snapshots`](Self::snapshots).
    pub fn snapshots_of_tenant(&self, tenant: TenantId) -> CaseResult<Arc<dyn SnapshotStore>> {
        let snapshots = self.snapshots()?.clone();
        Ok(self.harness.tenant_snapshots(self.store().clone(), snapshots, tenant))
    }

    /// Where checkpoints are kept; for cases that require them.
    ///
    /// # Panics
    /// If the harness gave none.
    #[must_use]
    pub fn checkpoints(&self) -> &Arc<dyn CheckpointStore> {
        self.stores().checkpoints.as_ref().expect("the harness gives what it does not lack")
    }

    /// Which log it is; for cases that require checkpoints.
    ///
    /// # Panics
    /// If the harness gave none.
    #[must_use]
    pub fn identity(&self) -> &Arc<dyn LogIdentity> {
        self.stores().identity.as_ref().expect("the harness gives what it does not lack")
    }

    /// Where events are parked; for cases that require it.
    ///
    /// # Panics
    /// If the harness gave none.
    #[must_use]
    pub fn dead_letters(&self) -> &Arc<dyn DeadLetters> {
        self.stores().dead_letters.as_ref().expect("the harness gives what it does not lack")
    }

    /// The leases; for cases that require them.
    ///
    /// # Panics
    /// If the harness gave none.
    #[must_use]
    pub fn leases(&self) -> &Arc<dyn Leases> {
        self.stores().leases.as_ref().expect("the harness gives what it does not lack")
    }

    /// A view in the log's own database; for cases that require transactions.
    ///
    /// # Panics
    /// If the harness gave none.
    #[must_use]
    pub fn view(&self) -> &Arc<dyn View> {
        self.stores().view.as_ref().expect("the harness gives what it does not lack")
    }

    /// All that a consumer needs.
    pub(crate) fn consumer_store(&self) -> ConsumerStore {
        ConsumerStore {
            events: self.store().clone(),
            identity: self.identity().clone(),
            checkpoints: self.checkpoints().clone(),
            dead_letters: self.dead_letters().clone(),
        }
    }

    /// One more store on its log.
    ///
    /// # Errors
    /// As for [`Log::open`].
    pub async fn open(&self) -> Result<Arc<dyn EventStore>> {
        Ok(self.log().open().await?.events)
    }

    /// Where it keeps snapshots. For [`Capability::Snapshots`].
    ///
    /// # Errors
    /// If the harness brings none, though the store declares it.
    pub fn snapshots(&self) -> CaseResult<&Arc<dyn SnapshotStore>> {
        let snapshots = self.fixture.stores.snapshots.as_ref();
        snapshots.ok_or_else(|| Failure::new("the harness brings no store of snapshots"))
    }

    /// Where its log lies.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.fixture.log
    }

    /// What a random case derives everything random from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// `group::case`.
    #[must_use]
    pub fn case(&self) -> &str {
        &self.case
    }

    /// What failures call the backend.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.harness.name()
    }

    /// For how long a case makes trouble: as long as it was asked for, else for this long.
    pub(crate) fn trouble(&self, by_itself: Duration) -> Duration {
        Some(self.trouble).filter(|asked| !asked.is_zero()).unwrap_or(by_itself)
    }

    /// The capabilities that the harness says are missing.
    #[must_use]
    pub fn lacks(&self) -> &'static [(Capability, &'static str)] {
        self.harness.lacks()
    }

    /// Another empty log, apart from the case's own.
    ///
    /// # Errors
    /// As for [`Harness::fresh`].
    pub async fn fresh(&self, setup: Setup) -> Result<Self> {
        let fixture = Arc::new(self.harness.fresh(setup).await?);
        Ok(Self { fixture, ..self.clone() })
    }

    /// A store on the log at an address, as another process would get it.
    ///
    /// # Errors
    /// As for [`Harness::attach`].
    pub async fn attach(&self, address: &str) -> Result<Stores> {
        self.harness.attach(address).await
    }

    /// The same with the view kept inline.
    ///
    /// # Errors
    /// As for [`Harness::attach_inline`].
    pub async fn attach_inline(&self, address: &str) -> Result<Stores> {
        self.harness.attach_inline(address).await
    }

    /// A store of this process, which is a child, that was found by an address.
    pub(crate) fn attached(harness: Arc<dyn Harness>, stores: Stores) -> Self {
        let (fixture, case) = (Arc::new(Fixture::new(stores)), "child".to_owned());
        Self { harness, fixture, case, seed: seed(), trouble: Duration::ZERO }
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("case", &self.case).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// Runs one case on one backend: what each test of [`suite!`](crate::suite) does.
///
/// # Panics
/// If the promise does not hold. The message names the backend, the case, the seed and the command that repeats it.
pub fn run(harness: impl Harness, group: &str, case: &str) {
    let harness = Arc::new(harness);
    let case = Case::find(group, case);
    if child::program().is_some() {
        return child::run(harness);
    }
    let (store, name, seed) = (harness.name(), case.name(), seed());
    if let Err(failure) = judge(harness, &case, seed) {
        panic!("[{store}] {name}: {failure}; seed {seed:#x}; repeat: {}", repeat_command(&name, seed));
    }
}

/// Whether a case holds for a backend; if not, why. A missing capability swaps in its refusal.
///
/// # Errors
/// The failure: an error, a broken assertion, or that it took too long; its kind tells them apart.
pub fn judge(harness: Arc<dyn Harness>, case: &Case, seed: u64) -> CaseResult {
    let body = case.body_for(harness.lacks());
    judge_for(harness, &case.name(), body, seed, chaos::asked_for())
}

/// Whether a body holds for a backend, be it a case's or another, that makes trouble for so long if it makes any; if not,
/// why.
///
/// # Errors
/// As for [`judge`]. What follows the trouble may take several times as long.
pub fn judge_for(
    harness: Arc<dyn Harness>,
    name: &str,
    body: Body,
    seed: u64,
    trouble: Duration,
) -> CaseResult {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .map_err(|error| Failure::nowhere(FailureKind::NotBegun, format!("no runtime: {error}")))?;
    let case = name.to_owned();
    // A task of its own, waited for outside the runtime: also a body that never lets go of any thread, so that the
    // runtime's own timers stand still, runs into the time limit.
    let task = runtime.spawn(async move {
        let fixture = Arc::new(begin(&*harness).await?);
        let cx = Cx { harness, fixture, case, seed, trouble };
        let verdict = body(cx.clone()).await;
        let ended = async {
            cx.store().close().await?;
            CaseResult::Ok(cx.log().remove().await?)
        };
        // What the case says comes first: a store that can't be closed may be what has become of it.
        verdict.and(ended.await)
    });
    let limit = TIMEOUT + trouble * 8;
    let (tell, told) = mpsc::channel();
    runtime.spawn(async move {
        let _ = tell.send(match task.await {
            Err(error) if error.is_panic() => {
                Err(Failure::nowhere(FailureKind::Judged, message_of(&*error.into_panic())))
            }
            Err(error) => Err(error.into()),
            Ok(verdict) => verdict,
        });
    });
    let verdict = told.recv_timeout(limit).unwrap_or_else(|_| {
        Err(Failure::nowhere(FailureKind::TimedOut, format!("not done within {} s", limit.as_secs())))
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    verdict
}

/// The empty log that the case is given. Whatever fails here says nothing about the promise.
async fn begin(harness: &dyn Harness) -> CaseResult<Fixture> {
    let not_begun = |text| Failure::nowhere(FailureKind::NotBegun, text);
    match AssertUnwindSafe(harness.fresh(Setup::default())).catch_unwind().await {
        Ok(fixture) => fixture.map_err(|error| not_begun(format!("{error:?}"))),
        Err(panic) => Err(not_begun(message_of(&*panic))),
    }
}

/// The seed that the environment asks for, else a new one.
///
/// # Panics
/// If the environment asks for something that is none.
#[must_use]
pub fn seed() -> u64 {
    match std::env::var("CONTRACT_SEED") {
        Err(_) => Uuid::now_v7().as_u64_pair().1,
        Ok(text) => u64::from_str_radix(text.trim_start_matches("0x"), 16)
            .unwrap_or_else(|_| panic!("CONTRACT_SEED is a hexadecimal number such as 0x5e1f, not {text}")),
    }
}

fn repeat_command(case: &str, seed: u64) -> String {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "conformance-tests".to_owned());
    let binary = std::env::current_exe().ok();
    let stem = binary.as_deref().and_then(|path| path.file_stem()).and_then(|stem| stem.to_str());
    let target = stem.and_then(|stem| stem.rsplit_once('-')).map_or("<target>", |(target, _)| target);
    format!("CONTRACT_SEED={seed:#x} cargo test -p {package} --test {target} -- {case} --exact")
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
