use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use eventsource_core::Position;
use futures_util::future::{Either, select};
use tokio::sync::watch;

/// Pauses, resumes and stops what runs, and tells how it stands. Cloning it gives another handle.
#[derive(Clone, Debug)]
pub struct Control(Arc<Channels>);

#[derive(Debug)]
struct Channels {
    wanted: watch::Sender<Wanted>,
    status: watch::Sender<Status>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Run,
    Pause,
    Stop,
}

/// How a consumer stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What it does.
    pub state: State,
    /// Everything up to here is done and recorded.
    pub position: Position,
    /// The log's head when it last looked.
    pub head: Position,
    /// How many events it has done since it began, or was reset.
    pub events_processed: u64,
    /// How many events it has parked since it was started.
    pub parked: u64,
    /// How often its handler has failed since it was started.
    pub failures: u64,
}

/// What a consumer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It has not begun.
    #[default]
    Idle,
    /// It works on what is stored.
    CatchingUp,
    /// It has done all there was, and waits for more.
    Live,
    /// The store is away, or the handler failed; it will try again.
    Retrying,
    /// It was told to pause.
    Paused,
    /// It has ended.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::CatchingUp => "catching up",
            Self::Live => "live",
            Self::Retrying => "retrying",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

impl Control {
    pub(crate) fn new() -> Self {
        let (wanted, status) = (watch::Sender::new(Wanted::Run), watch::Sender::new(Status::default()));
        Self(Arc::new(Channels { wanted, status }))
    }

    /// Takes no further events until [`resume`](Self::resume); what is in hand is finished and recorded.
    pub fn pause(&self) {
        self.want(Wanted::Pause);
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        self.want(Wanted::Run);
    }

    /// Ends it: what is in hand is finished and recorded first. There is no way back.
    pub fn stop(&self) {
        self.0.wanted.send_replace(Wanted::Stop);
    }

    /// How it stands now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status.borrow().clone()
    }

    /// Waits until it stands as asked for.
    pub async fn wait_until(&self, mut is_reached: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.0.status.subscribe();
        // This handle keeps the other end.
        match status.wait_for(|status| is_reached(status)).await {
            Ok(status) => status.clone(),
            Err(_) => self.status(),
        }
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        self.0.status.send_modify(change);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.0.wanted.borrow() == Wanted::Stop
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.0.wanted.borrow() == Wanted::Pause
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        *self.0.wanted.borrow() != Wanted::Run
    }

    /// Waits until it is to pause or to stop.
    pub(crate) async fn interrupted(&self) {
        self.wait(|wanted| wanted != Wanted::Run).await;
    }

    /// Waits until it is to stop.
    pub(crate) async fn stopped(&self) {
        self.wait(|wanted| wanted == Wanted::Stop).await;
    }

    /// Does `work`, which `follower` controls, and hands on to it meanwhile what this is told.
    pub(crate) async fn leading<T>(&self, follower: &Self, work: impl Future<Output = T>) -> T {
        let handing_on = async {
            let mut wanted = self.0.wanted.subscribe();
            loop {
                follower.want(*wanted.borrow_and_update());
                if wanted.changed().await.is_err() {
                    return;
                }
            }
        };
        // What it is told first: before the work takes more.
        match select(pin!(handing_on), pin!(work)).await {
            Either::Right((done, _)) => done,
            Either::Left(((), work)) => work.await,
        }
    }

    /// Waits while it is to pause; true if it is to go on then.
    pub(crate) async fn may_go_on(&self) -> bool {
        if *self.0.wanted.borrow() == Wanted::Pause {
            let before = self.status().state;
            self.update(|status| status.state = State::Paused);
            self.wait(|wanted| wanted != Wanted::Pause).await;
            self.update(|status| status.state = before);
        }
        !self.is_stopped()
    }

    async fn wait(&self, is_reached: impl Fn(Wanted) -> bool) {
        let mut wanted = self.0.wanted.subscribe();
        // This handle keeps the other end, so it never fails.
        let _ = wanted.wait_for(|wanted| is_reached(*wanted)).await;
    }

    fn want(&self, next: Wanted) {
        self.0.wanted.send_if_modified(|wanted| {
            let changes = *wanted != Wanted::Stop && *wanted != next;
            if changes {
                *wanted = next;
            }
            changes
        });
    }
}
