use std::fmt;
use std::marker::PhantomData;

use crate::views::Borrowed;
use crate::{Appended, DomainEvent, Views};

/// A decision over a boundary: what it must know, and what follows from that. A [`DecisionMaker`] makes it.
///
/// Most are made by [`decision`] out of views and a closure; a type of its own is for those that carry much.
///
/// [`DecisionMaker`]: crate::DecisionMaker
///
/// ```
/// use eventsource_core::{Boundary, Decision, DomainEvent, Views};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # #[serde(tag = "type", content = "data")]
/// # enum AccountEvent { UsernameClaimed { name: String } }
/// # impl DomainEvent for AccountEvent {}
///
/// struct ClaimUsername {
///     name: String,
/// }
///
/// impl Decision for ClaimUsername {
///     type Known = bool;
///     type Event = AccountEvent;
///     type Rejection = &'static str;
///
///     fn views(&self) -> impl Views<State = bool> {
///         Boundary::of_tag("username", &self.name).exists()
///     }
///
///     fn decide(&self, is_claimed: bool) -> Result<Vec<AccountEvent>, &'static str> {
///         if is_claimed {
///             return Err("the name is taken");
///         }
///         Ok(vec![AccountEvent::UsernameClaimed { name: self.name.clone() }])
///     }
/// }
/// ```
pub trait Decision: Send + Sync {
    /// What it must know: the state of its views.
    type Known: Send;
    /// What can follow.
    type Event: DomainEvent;
    /// Why the domain says no.
    type Rejection;

    /// How it comes to know that.
    fn views(&self) -> impl Views<State = Self::Known>;

    /// What follows: events, none if there is nothing to do, or a rejection. Pure: it is asked again, with what is
    /// known then, if somebody else was faster.
    ///
    /// # Errors
    /// The domain's own, where the domain says no.
    fn decide(&self, known: Self::Known) -> Result<Vec<Self::Event>, Self::Rejection>;
}

/// A decision of views and a closure over their state.
///
/// ```
/// use eventsource_core::{Boundary, Decision, DomainEvent, decision};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # #[serde(tag = "type", content = "data")]
/// # enum InvoiceEvent { InvoiceCreated { number: u64 } }
/// # impl DomainEvent for InvoiceEvent {}
/// # use InvoiceEvent::InvoiceCreated;
///
/// fn draw_invoice() -> impl Decision<Event = InvoiceEvent, Rejection = String> {
///     let drawn = Boundary::of_types(["InvoiceCreated"]).count();
///     decision(drawn, |drawn| Ok(vec![InvoiceCreated { number: drawn + 1 }]))
/// }
/// ```
pub fn decision<V, E, R, F>(views: V, decide: F) -> impl Decision<Known = V::State, Event = E, Rejection = R>
where
    V: Views,
    E: DomainEvent,
    F: Fn(V::State) -> Result<Vec<E>, R> + Send + Sync,
{
    Closure { views, decide, outcome: PhantomData::<fn() -> (E, R)> }
}

struct Closure<V, F, O> {
    views: V,
    decide: F,
    outcome: PhantomData<O>,
}

impl<V, E, R, F> Decision for Closure<V, F, fn() -> (E, R)>
where
    V: Views,
    E: DomainEvent,
    F: Fn(V::State) -> Result<Vec<E>, R> + Send + Sync,
{
    type Known = V::State;
    type Event = E;
    type Rejection = R;

    fn views(&self) -> impl Views<State = V::State> {
        Borrowed(&self.views)
    }

    fn decide(&self, known: V::State) -> Result<Vec<E>, R> {
        (self.decide)(known)
    }
}

impl<D: Decision + ?Sized> Decision for &D {
    type Known = D::Known;
    type Event = D::Event;
    type Rejection = D::Rejection;

    fn views(&self) -> impl Views<State = D::Known> {
        (**self).views()
    }

    fn decide(&self, known: D::Known) -> Result<Vec<D::Event>, D::Rejection> {
        (**self).decide(known)
    }
}

/// What a decision came to.
pub struct Decided<E> {
    /// What followed, in order.
    pub events: Vec<E>,
    /// Where it lies; none if there was nothing to do.
    pub appended: Option<Appended>,
}

impl<E> fmt::Debug for Decided<E> {
    /// Without the events: they may hold what must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decided")
            .field("events", &self.events.len())
            .field("appended", &self.appended)
            .finish()
    }
}
