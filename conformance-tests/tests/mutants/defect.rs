/// What is broken in a mutant. Each is a mistake that some store has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Nothing: the same store, whole.
    None,
    /// Takes every append, whatever its conditions.
    IgnoresConditions,
    /// Looks whether the conditions hold, and writes a moment later.
    ChecksConditionsBeforeTheLock,
    /// Looks for matches at the position as well.
    ConditionsIncludeTheirPosition,
    /// Takes every append, whatever its versions.
    IgnoresVersions,
    /// Looks whether the versions are as expected, and writes a moment later.
    ChecksVersionsBeforeTheLock,
    /// Takes "any version" for the version that it saw a moment before.
    AnyConflicts,
    /// Acknowledges one append in some, and never writes it.
    LosesAnAppend,
    /// Acknowledges, and writes a moment later.
    AcknowledgesBeforeWriting,
    /// Writes an append's events newest first.
    ReordersAnAppend,
    /// Keeps only an event's first tag.
    ForgetsATag,
    /// Writes an append's parts one after the other.
    TearsAnAppend,
    /// Writes what it has already been given once more, under new ids.
    WritesARetryAgain,
    /// Answers every append whose first id is stored as a retry.
    TakesAnyKnownIdForARetry,
    /// Leaves out the events that are stored already, and writes the others.
    WritesTheRestOfAnAppend,
    /// Judges conditions before it looks whether the append is stored.
    JudgesBeforeItLooksForARetry,
    /// Judges conditions before versions.
    JudgesConditionsFirst,
    /// Names the last event that matches a condition.
    NamesTheLastMatch,
    /// Gives two events one position.
    ReusesAPosition,
    /// Leaves out a version.
    SkipsAVersion,
    /// Tells a head behind the newest visible event.
    HeadIsAhead,
    /// Shows later events before an earlier one.
    LetsALateCommitInBelowTheHead,
    /// Shows an append's first events before its last.
    ShowsHalfAnAppend,
    /// Leaves out events that it can't decode.
    DropsUndecodableEvents,
    /// Takes a filter that finds nothing for one that says everything.
    TakesNothingForAll,
    /// Applies the limit, then the filter.
    LimitsBeforeItFilters,
    /// Says that a full page is the end.
    ForgetsThatThereIsMore,
    /// Keeps the cursor where it is if nothing matched.
    KeepsTheCursor,
    /// Counts `until` out.
    UntilIsExclusive,
    /// Shows every tenant's events to all.
    ForgetsTheTenant,
    /// Loses the newest append when it is opened again.
    ForgetsTheLastOnReopening,
    /// Never wakes anybody.
    NeverWakes,
    /// Stores every event as of schema version 1.
    ForgetsTheSchemaVersion,
    /// Stores event types in small letters.
    LowersEventTypes,
    /// Forgets which event caused which.
    ForgetsTheCause,
    /// Forgets what began with one request.
    ForgetsTheCorrelation,
    /// Forgets who did it.
    ForgetsTheActor,
    /// Keeps payloads as floating point numbers.
    RoundsNumbers,
    /// Writes entries of the outbox apart from the events, and keeps those of refused appends.
    PublishesWhatIsRefused,
    /// Writes entries of the outbox apart from the events, and loses some.
    ForgetsToPublish,
    /// Puts the events of a repeated append into the outbox again.
    PublishesARetryAgain,
    /// Puts every event into the outbox, whatever was asked for.
    PublishesEverything,
    /// Gives a worker the later events of a stream while another has the earlier ones.
    ClaimsBehindWhatIsHeld,
    /// Frees a stream by the latest time that it was ever told, and its entries by the time it is told now.
    FreesAStreamBeforeItsEntries,
    /// Gives a worker what another has.
    ClaimsWhatIsClaimed,
    /// Gives the newest entries first.
    ClaimsTheNewestFirst,
    /// Lets a worker settle what is another's by now.
    SettlesWhatWasLost,
    /// Takes an event that is to be tried again for done.
    DropsWhatFailed,
    /// Deletes entries that nobody has published.
    DeletesWhatWaits,
    /// A tenant's view that appends events as they are.
    ForgetsToStamp,
    /// A tenant's view that takes another tenant's event for its own.
    StampsOverAnotherTenant,
    /// A tenant's view that reads whatever the filter says.
    ForgetsToNarrowReads,
    /// A tenant's view that answers a filter for another tenant with its own events.
    NarrowsAnothersFilter,
    /// A tenant's view that leaves others' events out of what it read.
    NarrowsAfterTheLimit,
    /// A tenant's view whose conditions look at everybody's events.
    ForgetsToNarrowConditions,
    /// A tenant's view that lets another tenant's stream be appended to.
    TakesAnothersStream,
    /// A tenant's view that looks whose the streams are, and appends a moment later.
    LooksAtStreamsBeforeItAppends,
    /// A tenant's view that passes on every conflict.
    TellsOthersConflicts,
    /// A tenant's view that tells every stream's version.
    TellsOthersVersions,
    /// A tenant's view that takes a stream only if it stays as absent as it saw it.
    TakesAnyForNoStream,
    /// A tenant's view that keeps snapshots under no tenant.
    KeepsSnapshotsForAll,
    /// A tenant's view that keeps snapshots of streams that the tenant has not.
    KeepsSnapshotsOfAnothersStream,
    /// A tenant's view that takes another tenant's key for its own.
    TakesAnothersSnapshotKey,
    /// A tenant's view that gives snapshots back under another key than it was asked for.
    ShowsTheTenantsKey,
    /// Replaces whatever snapshot is there.
    ReplacesANewerSnapshot,
    /// Looks whether a newer snapshot is there, and saves a moment later.
    LooksForANewerSnapshotBeforeTheLock,
    /// Keeps a snapshot without its position.
    LosesASnapshotsPosition,
    /// Keeps a snapshot without the event that it was taken at.
    LosesASnapshotsEvent,
    /// Gives every snapshot back under the first schema version.
    ForgetsASnapshotsSchemaVersion,
    /// Refuses a snapshot of the place that the stored one is of.
    TakesTheSamePlaceForStale,
    /// Says of every snapshot that it was saved.
    SaysSavedOfAStaleSnapshot,
    /// Acknowledges some snapshots, and keeps none of them.
    LosesASnapshotSomeTime,
    /// Finds any tenant's snapshots under all.
    SharesSnapshotsBetweenTenants,
    /// Finds a view's snapshot under any filter.
    SharesSnapshotsBetweenFilters,
    /// Takes a snapshot that is not there for a failure.
    FailsWhereThereIsNoSnapshot,
    /// Fails to delete what is not there.
    DeletesASnapshotOnce,
}
