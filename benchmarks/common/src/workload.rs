use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Single-event appends with an exact version, streams of ten events.
    Append,
    /// Appends of many events to new streams.
    AppendBatch,
    /// Appends by all callers to one stream, tried again after a conflict.
    AppendContended,
    /// `Append` from several processes, with commits of a certain length.
    AppendProcesses,
    /// Reading a boundary of two tags, and an append on the condition that it did not change.
    Decide,
    /// Finding 100 events by their type, or by a value of their payload.
    Filter,
    /// Reading one stream.
    ReadStream,
    /// Reading the whole log.
    Feed,
    /// Catching up with the whole log in pages of 500: reading alone, and by an exactly-once projection.
    Projection,
    /// Draining an outbox by a relay.
    Relay,
    /// From acknowledgement to delivery, while 64 callers write.
    Delivery,
    /// `Append` on stores of different sizes.
    Growth,
    /// Memory used while reading the whole log.
    Memory,
    /// Bytes on disk.
    Size,
    /// No measurement: fills the store; with the variant `appends` by its own single appends.
    Preload,
    /// No measurement: whether this store holds the same rows as the one that the variant names.
    Compare,
}

impl Workload {
    /// All that are measured, in the order in which they are run.
    pub const MEASURED: [Self; 14] = [
        Self::Append,
        Self::AppendBatch,
        Self::AppendContended,
        Self::ReadStream,
        Self::Filter,
        Self::Feed,
        Self::Projection,
        Self::Relay,
        Self::Memory,
        Self::Size,
        Self::Delivery,
        Self::Decide,
        Self::Growth,
        Self::AppendProcesses,
    ];

    /// Its name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::AppendBatch => "append_batch",
            Self::AppendContended => "append_contended",
            Self::AppendProcesses => "append_processes",
            Self::Decide => "decide",
            Self::Filter => "filter",
            Self::ReadStream => "read_stream",
            Self::Feed => "feed",
            Self::Projection => "projection",
            Self::Relay => "relay",
            Self::Delivery => "delivery",
            Self::Growth => "growth",
            Self::Memory => "memory",
            Self::Size => "size",
            Self::Preload => "preload",
            Self::Compare => "compare",
        }
    }

    /// What a figure of it counts.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Append | Self::AppendContended | Self::AppendProcesses | Self::Growth => "appends/s",
            Self::AppendBatch
            | Self::ReadStream
            | Self::Feed
            | Self::Projection
            | Self::Relay
            | Self::Preload => "events/s",
            Self::Compare => "rows",
            Self::Decide => "decisions/s",
            Self::Filter => "queries/s",
            Self::Delivery => "ms",
            Self::Memory => "MiB",
            Self::Size => "bytes/event",
        }
    }

    /// Whether more is better.
    #[must_use]
    pub fn counts_up(self) -> bool {
        !matches!(self, Self::Delivery | Self::Memory | Self::Size)
    }
}
