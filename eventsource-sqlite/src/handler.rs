//! What the handlers of views may do to the transaction that they are given: use it, and not end it.

use std::cell::Cell;

use rusqlite::Connection;

/// Who works on this thread's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worker {
    Store,
    /// A handler that a consumer delivers to. It may append.
    Projection,
    /// The handler of a view that is kept inline: it works within an append.
    InlineView,
}

thread_local! {
    static WORKER: Cell<Worker> = const { Cell::new(Worker::Store) };
    /// Whether the transaction that was begun last was rolled back; a handler may have begun another since.
    static ROLLED_BACK: Cell<bool> = const { Cell::new(false) };
}

/// Keeps handlers from committing what they are only a part of: their COMMIT becomes a ROLLBACK, which is found out.
pub(crate) fn guard(connection: &Connection) -> rusqlite::Result<()> {
    connection.commit_hook(Some(|| WORKER.get() != Worker::Store))?;
    connection.rollback_hook(Some(|| ROLLED_BACK.set(true)))
}

/// A transaction begins, which nobody has ended.
pub(crate) fn begin() {
    ROLLED_BACK.set(false);
}

/// Whether the transaction that the store has begun is over. What the connection is in now may be a handler's own.
pub(crate) fn is_over(connection: &Connection) -> bool {
    connection.is_autocommit() || ROLLED_BACK.get()
}

/// Whether this thread is in the handler of a view that is kept inline.
pub(crate) fn is_inline() -> bool {
    WORKER.get() == Worker::InlineView
}

/// Lets a handler work. Whoever works then may let another do so, and goes on afterwards as who it was: a handler that
/// appends brings inline views up.
pub(crate) fn work<T>(worker: Worker, handle: impl FnOnce() -> T) -> T {
    struct Done {
        before: Worker,
    }

    impl Drop for Done {
        fn drop(&mut self) {
            WORKER.set(self.before);
        }
    }

    let _done = Done { before: WORKER.replace(worker) };
    handle()
}
