use chrono::{DateTime, Utc};
use eventsource_core::{
    CheckpointSave, CheckpointStore, ConsumerName, Error, LogId, Position, Purpose, ReadOptions,
    RecordedEvent, Result, ViewRefusal, to_microseconds,
};
use rusqlite::{Connection, Transaction};

use crate::error::failed;
use crate::handler::{self, Worker};
use crate::inline_view::SqliteInlineView;
use crate::projection::{self, of_store};
use crate::store::SqliteStore;
use crate::write::Ending;
use crate::{checkpoints, filter, read, schema};

/// How many events are read at a time.
const PAGE: u64 = 500;

/// The views that a store keeps within its appends. Where there are none, nothing is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct InlineViews(Vec<SqliteInlineView>);

impl InlineViews {
    pub(crate) fn add(&mut self, view: SqliteInlineView) {
        self.0.push(view);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of this name.
    pub(crate) fn named(&self, name: &ConsumerName) -> Self {
        Self(self.0.iter().filter(|view| view.name == *name).cloned().collect())
    }

    /// Whether a filter of theirs looks into payloads.
    pub(crate) fn read_payloads(&self) -> bool {
        self.0.iter().any(|view| filter::reads_payload(&view.filter))
    }

    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> Result<()> {
        for (index, view) in self.0.iter().enumerate() {
            ReadOptions::new().validate(&view.filter)?;
            if self.0[..index].iter().any(|earlier| earlier.name == view.name) {
                return Err(Error::invalid_input(format!("two inline views are called {}", view.name)));
            }
        }
        Ok(())
    }

    /// Applies what the views lack up to `until`, and moves their checkpoints there, within a transaction that holds the
    /// write lock; returns whether there was anything to do. What lies behind `before` was appended in this transaction.
    pub(crate) fn bring_up(
        &self,
        transaction: &Transaction<'_>,
        before: i64,
        until: i64,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let mut moved = false;
        if !self.is_empty() {
            let updating = Updating { transaction, log_id: log_id(transaction)?, before, until, now };
            for view in &self.0 {
                moved |= updating.bring_up(view)?;
            }
        }
        Ok(moved)
    }

    /// The same up to the head, for what others have appended.
    pub(crate) fn bring_up_to_head(&self, transaction: &Transaction<'_>, now: DateTime<Utc>) -> Result<()> {
        if !self.is_empty() {
            let head = head(transaction)?;
            self.bring_up(transaction, head, head, now)?;
        }
        Ok(())
    }
}

impl SqliteStore {
    /// Prepares the views and catches them up, in as many transactions as it takes.
    pub(crate) async fn open_views(&self) -> Result<()> {
        for view in &self.shared.config.inline.0 {
            if let Some(checkpoint) = self.load_checkpoint(&view.name).await? {
                checkpoint.verify(self, self).await?;
            }
            let prepared = view.clone();
            self.write("preparing a view", move |transaction| prepare(&prepared, transaction)).await?;
            loop {
                let (view, now) = (view.clone(), self.now()?);
                let doing = "catching a view up";
                if self.write(doing, move |transaction| catch_up(&view, transaction, now)).await? {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn prepare(view: &SqliteInlineView, transaction: &Transaction<'_>) -> Result<Ending<()>> {
    let prepared = handler::work(Worker::InlineView, || view.view.prepare(transaction));
    let ended = || Err("it has ended the transaction".into());
    prepared.and_then(|()| if handler::is_over(transaction) { ended() } else { Ok(()) }).map_err(
        |error| {
            Error::backend(format!("the view {} can't be prepared", view.name)).with_source(of_store(error))
        },
    )?;
    Ok(Ending::Commit(()))
}

/// Applies a page of what the view lacks; returns whether that was the last.
fn catch_up(
    view: &SqliteInlineView,
    transaction: &Transaction<'_>,
    now: DateTime<Utc>,
) -> Result<Ending<bool>> {
    let (log_id, head) = (log_id(transaction)?, head(transaction)?);
    let updating = Updating { transaction, log_id, before: head, until: head, now: to_microseconds(now)? };
    let save = updating.next_save(view)?;
    let (save, more) = updating.page(view, save)?;
    updating.put(&if more { save } else { save.scanned_to(Position::try_from(head)?) })?;
    Ok(Ending::Commit(!more))
}

/// A transaction in which views are brought up.
struct Updating<'t> {
    transaction: &'t Transaction<'t>,
    log_id: LogId,
    before: i64,
    until: i64,
    now: DateTime<Utc>,
}

impl Updating<'_> {
    fn bring_up(&self, view: &SqliteInlineView) -> Result<bool> {
        let mut save = self.next_save(view)?;
        if save.position().to_i64() >= self.until {
            return Ok(false);
        }
        self.refuse_if_far_behind(view, save.position())?;
        loop {
            let (next, more) = self.page(view, save)?;
            save = next;
            if !more {
                break;
            }
        }
        self.put(&save.scanned_to(Position::try_from(self.until)?))?;
        Ok(true)
    }

    /// What follows the view's checkpoint, if that belongs to this log.
    fn next_save(&self, view: &SqliteInlineView) -> Result<CheckpointSave> {
        let Some(stored) = checkpoints::load(self.transaction, &view.name)? else {
            return Ok(CheckpointSave::first(view.name.clone(), self.log_id));
        };
        stored.verify_place(self.log_id, Position::try_from(self.before)?)?;
        Ok(CheckpointSave::following(&stored))
    }

    fn refuse_if_far_behind(&self, view: &SqliteInlineView, position: Position) -> Result<()> {
        let head = Position::try_from(self.before)?;
        if head.to_raw().saturating_sub(position.to_raw()) <= view.most_behind {
            return Ok(());
        }
        let (mut after, mut room) = (position, view.most_behind);
        loop {
            let options = ReadOptions::new().after(after).until(head).limit(PAGE.min(room.saturating_add(1)));
            let missing = read::page_within(self.transaction, &view.filter, &options, self.before)?;
            let Some(left) = room.checked_sub(missing.events.len() as u64) else {
                return Err(ViewRefusal::Behind { view: view.name.clone(), position, head }.into());
            };
            match missing.events.last() {
                Some(last) if missing.more => (after, room) = (last.position(), left),
                _ => return Ok(()),
            }
        }
    }

    /// Applies the next page; returns whether there are more.
    fn page(&self, view: &SqliteInlineView, save: CheckpointSave) -> Result<(CheckpointSave, bool)> {
        let options = ReadOptions::new().after(save.position()).limit(PAGE);
        let page = read::page_within(self.transaction, &view.filter, &options, self.until)?;
        let mut save = save;
        for event in &page.events {
            self.apply(view, event)?;
            save = save.past(event);
        }
        Ok((save, page.more))
    }

    fn apply(&self, view: &SqliteInlineView, event: &RecordedEvent) -> Result<()> {
        let apply =
            || projection::apply(&*view.view, self.transaction, event, Purpose::Live, Some(view.timeout));
        let before = Position::try_from(self.before)?;
        handler::work(Worker::InlineView, apply)
            .map_err(|error| ViewRefusal::of_handler(&view.name, event, before, of_store(error)))
    }

    fn put(&self, save: &CheckpointSave) -> Result<()> {
        let checkpoint = save.to_checkpoint(to_microseconds(self.now)?);
        checkpoints::put(self.transaction, &checkpoint).map_err(|error| failed("saving a checkpoint", error))
    }
}

fn log_id(connection: &Connection) -> Result<LogId> {
    let id = schema::log_id(connection).map_err(|error| failed("reading the log's identity", error))?;
    Ok(LogId::new(id))
}

fn head(connection: &Connection) -> Result<i64> {
    read::head(connection).map_err(|error| failed("reading the head", error))
}
