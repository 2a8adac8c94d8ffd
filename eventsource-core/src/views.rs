use async_trait::async_trait;

use crate::snapshot_policy::Progress;
use crate::snapshots::{At, StateSnapshots};
use crate::{Filter, Position, Reach, RecordedEvent, Result, SnapshotKey, Snapshots, View};

/// Everything that a decision must know: one [`View`], a tuple of up to eight, or a `Vec` of views of one kind; also
/// tuples of those.
///
/// They are read in one query. Each event is given to those views whose filter it matches, and to no other.
pub trait Views: Send + Sync {
    /// What is known: a view's state, or the states in the same order.
    type State: Send;

    /// What they know of these events alone, in log order: for tests, and for looking back.
    ///
    /// # Errors
    /// As for [`View::filter`] and [`View::evolve`].
    fn known_from<'e>(&self, events: impl IntoIterator<Item = &'e RecordedEvent>) -> Result<Self::State> {
        let mut foldings = self.begin()?;
        let mut slots = Self::slots(&mut foldings);
        let mut newest = vec![None; slots.len()];
        for event in events {
            for (slot, newest) in slots.iter_mut().zip(&mut newest) {
                match slot.reach() {
                    _ if !slot.filter().matches(event) => {}
                    Reach::All => slot.take(event)?,
                    Reach::Newest => *newest = Some(event),
                }
            }
        }
        for (slot, newest) in slots.iter_mut().zip(newest) {
            newest.map_or(Ok(()), |newest| slot.take(newest))?;
        }
        drop(slots);
        Ok(Self::finish(foldings))
    }

    #[doc(hidden)]
    type Foldings<'v>: Send
    where
        Self: 'v;

    #[doc(hidden)]
    fn begin(&self) -> Result<Self::Foldings<'_>>;

    #[doc(hidden)]
    fn slots<'f>(foldings: &'f mut Self::Foldings<'_>) -> Vec<&'f mut dyn Slot>;

    #[doc(hidden)]
    fn finish(foldings: Self::Foldings<'_>) -> Self::State;
}

/// What views know of a log that holds these events, which come in its order: for whoever has the events already, as
/// tests do. A [`DecisionMaker`](crate::DecisionMaker) reads them.
///
/// # Errors
/// `InvalidInput` if a view's filter makes no sense; `Corrupt` if an event can't be decoded.
pub fn known_of<V: Views>(views: &V, log: &[RecordedEvent]) -> Result<V::State> {
    let mut foldings = views.begin()?;
    for slot in V::slots(&mut foldings) {
        let mut matching = log.iter().filter(|event| slot.filter().matches(event)).collect::<Vec<_>>();
        if slot.reach() == Reach::Newest {
            matching.drain(..matching.len().saturating_sub(1));
        }
        matching.into_iter().try_for_each(|event| slot.take(event))?;
    }
    Ok(V::finish(foldings))
}

/// A view that is being folded, whatever its state.
#[doc(hidden)]
#[async_trait]
pub trait Slot: Send + Sync {
    fn filter(&self) -> &Filter;
    fn guard(&self) -> Option<&Filter>;
    fn reach(&self) -> Reach;
    /// After which position to read on: from the snapshot's own event on, as long as the log has not shown it.
    fn reads_after(&self) -> Position;
    /// Whether its state is from a snapshot whose event the log has not shown yet.
    fn is_unproven(&self) -> bool;
    /// Folds the next event that matches, unless it is in the state already. False if the snapshot that the state is from
    /// is not one of this log.
    fn offer(&mut self, event: &RecordedEvent) -> Result<bool>;
    fn take(&mut self, event: &RecordedEvent) -> Result<()>;
    async fn restore(&mut self, snapshots: &Snapshots) -> Result<()>;
    async fn drop_snapshot(&mut self, snapshots: &Snapshots) -> Result<()>;
    async fn consider_snapshot(&mut self, snapshots: &Snapshots) -> Result<()>;
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Folding<'v, V: View> {
    view: &'v V,
    filter: Filter,
    guard: Option<Filter>,
    state: V::State,
    /// The last event in the state.
    last: Option<At>,
    basis: Basis,
    since_snapshot: Progress,
}

/// What a state was folded from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Basis {
    Nothing,
    /// A snapshot, of which nothing is known but that it was found.
    Snapshot,
    /// A snapshot of this log.
    ProvenSnapshot,
}

impl<'v, V: View> Folding<'v, V> {
    fn begin(view: &'v V) -> Result<Self> {
        Ok(Self {
            view,
            filter: view.filter()?,
            guard: view.guard()?,
            state: view.initial(),
            last: None,
            basis: Basis::Nothing,
            since_snapshot: Progress::default(),
        })
    }

    fn snapshots(&self, snapshots: &Snapshots) -> Result<Option<(SnapshotKey, StateSnapshots<V::State>)>> {
        let Some(own) = self.view.snapshot() else { return Ok(None) };
        let key = SnapshotKey::view(own.name, self.filter.fingerprint())?;
        Ok(Some((key, StateSnapshots { snapshots: snapshots.clone(), codec: own.codec })))
    }
}

#[async_trait]
impl<V: View> Slot for Folding<'_, V> {
    fn filter(&self) -> &Filter {
        &self.filter
    }

    fn guard(&self) -> Option<&Filter> {
        self.guard.as_ref()
    }

    fn reach(&self) -> Reach {
        self.view.reach()
    }

    fn reads_after(&self) -> Position {
        match (self.last, self.basis) {
            (None, _) => Position::START,
            (Some(last), Basis::Snapshot) => last.position.just_before(),
            (Some(last), _) => last.position,
        }
    }

    fn is_unproven(&self) -> bool {
        self.basis == Basis::Snapshot
    }

    fn offer(&mut self, event: &RecordedEvent) -> Result<bool> {
        if let Some(last) = self.last
            && event.position() <= last.position
        {
            if event.id() == last.event_id && self.is_unproven() {
                self.basis = Basis::ProvenSnapshot;
            }
            return Ok(true);
        }
        if self.is_unproven() {
            return Ok(false);
        }
        self.take(event)?;
        Ok(true)
    }

    fn take(&mut self, event: &RecordedEvent) -> Result<()> {
        self.last = Some(At::event(event));
        self.since_snapshot.add(event.byte_count());
        self.view.evolve(&mut self.state, event)
    }

    async fn restore(&mut self, snapshots: &Snapshots) -> Result<()> {
        // The newest event alone is as quick to read as it is to check.
        if self.reach() == Reach::All
            && let Some((key, own)) = self.snapshots(snapshots)?
            && let Some(restored) = own.load(key).await
        {
            self.state = restored.state;
            self.last = Some(restored.at);
            self.basis = Basis::Snapshot;
            self.since_snapshot = restored.progress;
        }
        Ok(())
    }

    async fn drop_snapshot(&mut self, snapshots: &Snapshots) -> Result<()> {
        if let Some((key, own)) = self.snapshots(snapshots)? {
            own.drop_ahead(key).await;
        }
        self.state = self.view.initial();
        (self.last, self.basis) = (None, Basis::Nothing);
        self.since_snapshot = Progress::default();
        Ok(())
    }

    async fn consider_snapshot(&mut self, snapshots: &Snapshots) -> Result<()> {
        if self.reach() == Reach::All
            && let Some(last) = self.last
            && let Some((key, own)) = self.snapshots(snapshots)?
        {
            if self.basis == Basis::ProvenSnapshot {
                own.used();
            }
            // A view is no stream's, though its events may be.
            let at = At { version: None, ..last };
            own.consider(|| Some(key), at, &self.state, &mut self.since_snapshot).await;
        }
        Ok(())
    }
}

impl<V: View> Views for V {
    type State = V::State;
    type Foldings<'v>
        = Folding<'v, V>
    where
        V: 'v;

    fn begin(&self) -> Result<Folding<'_, V>> {
        Folding::begin(self)
    }

    fn slots<'f>(folding: &'f mut Folding<'_, V>) -> Vec<&'f mut dyn Slot> {
        vec![folding]
    }

    fn finish(folding: Folding<'_, V>) -> V::State {
        folding.state
    }
}

/// A decision that must know nothing.
impl Views for () {
    type State = ();
    type Foldings<'v> = ();

    fn begin(&self) -> Result<()> {
        Ok(())
    }

    fn slots((): &mut ()) -> Vec<&mut dyn Slot> {
        Vec::new()
    }

    fn finish(_: ()) {}
}

impl<V: Views> Views for Vec<V> {
    type State = Vec<V::State>;
    type Foldings<'v>
        = Vec<V::Foldings<'v>>
    where
        V: 'v;

    fn begin(&self) -> Result<Vec<V::Foldings<'_>>> {
        self.iter().map(V::begin).collect()
    }

    fn slots<'f>(foldings: &'f mut Vec<V::Foldings<'_>>) -> Vec<&'f mut dyn Slot> {
        foldings.iter_mut().flat_map(V::slots).collect()
    }

    fn finish(foldings: Vec<V::Foldings<'_>>) -> Vec<V::State> {
        foldings.into_iter().map(V::finish).collect()
    }
}

/// Views that are somebody else's.
pub(crate) struct Borrowed<'b, V>(pub(crate) &'b V);

impl<V: Views> Views for Borrowed<'_, V> {
    type State = V::State;
    type Foldings<'v>
        = V::Foldings<'v>
    where
        Self: 'v;

    fn begin(&self) -> Result<V::Foldings<'_>> {
        self.0.begin()
    }

    fn slots<'f>(foldings: &'f mut V::Foldings<'_>) -> Vec<&'f mut dyn Slot> {
        V::slots(foldings)
    }

    fn finish(foldings: V::Foldings<'_>) -> V::State {
        V::finish(foldings)
    }
}

macro_rules! tuples {
    ($(($($views:ident $index:tt),+))+) => { $(
        impl<$($views: Views),+> Views for ($($views,)+) {
            type State = ($($views::State,)+);
            type Foldings<'v> = ($($views::Foldings<'v>,)+) where Self: 'v;

            fn begin(&self) -> Result<Self::Foldings<'_>> {
                Ok(($(self.$index.begin()?,)+))
            }

            fn slots<'f>(foldings: &'f mut Self::Foldings<'_>) -> Vec<&'f mut dyn Slot> {
                let mut slots = Vec::new();
                $( slots.append(&mut $views::slots(&mut foldings.$index)); )+
                slots
            }

            fn finish(foldings: Self::Foldings<'_>) -> Self::State {
                ($($views::finish(foldings.$index),)+)
            }
        }
    )+ };
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
