use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Append, Appended, Capabilities, Changes, Filter, Page, Position, ReadOptions, Result, StreamId, Version,
};

/// The log: the minimum that a backend implements. Users call it through [`EventStoreExt`](crate::EventStoreExt).
///
/// # For implementors
/// The contract suite (`conformance-tests`) is the full text of what follows; run it.
///
/// - **Commit order is position order.** An event MUST NOT become visible at or below a position that any reader has
///   seen, or below a `head` that was returned.
/// - **An accepted condition holds in log order**: no event that matches the filter lies between `after` and the first
///   event of the append.
/// - There are no defaulted methods: a wrapper that forgets one does not compile.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync {
    /// Writes all events of `append`, or none, and returns where they lie.
    ///
    /// In this order: [`Append::validate`]; event ids (an append that is stored as exactly this one, event by event
    /// and whole, is answered with its first result and `replayed`, whatever else holds; any other stored id is a
    /// conflict); the streams' versions in order; the conditions in order, each naming its first match.
    ///
    /// Dropping the future leaves the whole append or none of it.
    ///
    /// # Errors
    /// `OutcomeUnknown`: it may have been written; the same append again is safe. Every other kind MUST mean that nothing
    /// was written: `Conflict`, `InvalidInput`, `Unavailable`; `Refused` by a view that is kept within the appends; `Corrupt`
    /// or `Backend`, if stored data or the database itself is not in order.
    async fn append(&self, append: Append) -> Result<Appended>;

    /// Reads the next matching events in one snapshot: at most as many as the options' limit, and as many fewer as the
    /// store finds fit ([`Page::more`] says that it stopped early). A page that stops early MUST hold an event, unless the
    /// limit is 0. It MUST NOT hold up writers.
    ///
    /// # Errors
    /// `InvalidInput` as for [`ReadOptions::validate`]; `Corrupt` if a stored event can't be decoded: it is never
    /// left out.
    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page>;

    /// The position of the newest visible event; [`Position::START`] if there never was one.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`.
    async fn head(&self) -> Result<Position>;

    /// The version of the stream's newest event; none if the stream has no event.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`.
    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>>;

    /// Something that wakes when the head may have moved. It MUST wake for every append made through this store
    /// object after the events are visible; for others as soon as the store can tell.
    fn changes(&self) -> Changes;

    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// Finishes what was accepted and lets go of connections, threads and files. Everything that is asked afterwards
    /// is `Unavailable`, and the error says that it [is closed](crate::Error::is_closed), so that nobody tries again for
    /// ever; closing again is fine.
    ///
    /// # Errors
    /// `Backend` if something could not be let go of in order. The store is closed nevertheless.
    async fn close(&self) -> Result<()>;
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: EventStore + ?Sized> EventStore for $wrapper {
            async fn append(&self, append: Append) -> Result<Appended> {
                (**self).append(append).await
            }

            async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
                (**self).read_page(filter, options).await
            }

            async fn head(&self) -> Result<Position> {
                (**self).head().await
            }

            async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
                (**self).stream_version(stream).await
            }

            fn changes(&self) -> Changes {
                (**self).changes()
            }

            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }

            async fn close(&self) -> Result<()> {
                (**self).close().await
            }
        }
    )* };
}

forward! {
    Arc<S>;
    Box<S>;
    &S;
}
