use clap::ValueEnum;
use common::Workload;
use serde::Serialize;

use crate::plan::Cell;

/// Where a system keeps its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Backend {
    Memory,
    Sqlite,
    Postgres,
    /// A server of its own.
    Server,
}

impl Backend {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Sqlite, Self::Postgres, Self::Server];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Server => "server",
        }
    }
}

/// What a system is to the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Ours,
    Peer,
    /// What no store on this backend can pass.
    Limit,
}

/// What has to be built for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Program {
    Ours,
    PeersMemory,
    PeersSqlite,
    PeersPostgres,
    PeersUmadb,
    Python,
    /// It can't be run; the reason is the system's `note`.
    None,
}

/// How its stores are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filling {
    /// By its own appends, a stream of ten events at a time, 32 at once.
    Appends,
    /// By its own interface, so many events at once.
    Batches(u64),
    /// Past its own code, into its tables: what a store then holds is compared with what its own appends write.
    Rows,
    /// They are another system's, which has the same tables.
    Of(&'static str),
}

impl Filling {
    /// For the list of systems.
    pub(crate) fn told(self) -> String {
        match self {
            Self::Appends => "by its own appends, ten events each".to_owned(),
            Self::Batches(events) => format!("by its own interface, {events} events at once"),
            Self::Rows => "by inserts of many rows into its table, which a check at the beginning compares with what its \
                           own appends write"
                .to_owned(),
            Self::Of(other) => format!("as {other}'s: they are the same"),
        }
    }
}

/// A system that is measured.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) backend: Backend,
    pub(crate) role: Role,
    pub(crate) program: Program,
    /// The largest store that is filled for it, in a time that lets the run end.
    pub(crate) largest: u64,
    pub(crate) filling: Filling,
    /// How it is used here.
    pub(crate) note: &'static str,
}

const MILLION: u64 = 1_000_000;

/// All of them, in the order of the tables.
pub(crate) const SYSTEMS: &[System] = &[
    System {
        name: "eventsource-memory",
        backend: Backend::Memory,
        role: Role::Ours,
        program: Program::Ours,
        largest: 10 * MILLION,
        filling: Filling::Batches(1_000),
        note: "as it is",
    },
    System {
        name: "eventcore-memory",
        backend: Backend::Memory,
        role: Role::Peer,
        program: Program::PeersMemory,
        largest: MILLION,
        filling: Filling::Appends,
        note: "2.1; `append_events` with the stream's version",
    },
    System {
        name: "cqrs-es-memory",
        backend: Backend::Memory,
        role: Role::Peer,
        program: Program::PeersMemory,
        largest: MILLION,
        filling: Filling::Appends,
        note: "0.5, `MemStore`; `load_aggregate`, then `commit`: it checks no version, so a lost update is no conflict. It \
               prints two lines per append, which go to /dev/null, keeps Rust values and encodes nothing",
    },
    System {
        name: "eventually-memory",
        backend: Backend::Memory,
        role: Role::Peer,
        program: Program::PeersMemory,
        largest: MILLION,
        filling: Filling::Appends,
        note: "0.4, `eventually::inmemory::EventStore` with `Expected::Exact`; it keeps Rust values and encodes nothing",
    },
    System {
        name: "limit-memory",
        backend: Backend::Memory,
        role: Role::Limit,
        program: Program::Ours,
        largest: 10 * MILLION,
        filling: Filling::Appends,
        note: "encodes the payload and pushes to a vector under a mutex; reading walks along the vector",
    },
    System {
        name: "eventsource-sqlite",
        backend: Backend::Sqlite,
        role: Role::Ours,
        program: Program::Ours,
        largest: 10 * MILLION,
        filling: Filling::Batches(1_000),
        note: "as it is: WAL, `synchronous=FULL`",
    },
    System {
        name: "eventcore-sqlite",
        backend: Backend::Sqlite,
        role: Role::Peer,
        program: Program::PeersSqlite,
        largest: MILLION,
        filling: Filling::Batches(1_000),
        note: "2.1, `SqliteConfig` with a path; it opens the file in WAL mode and leaves `synchronous` at SQLite's own \
               default, FULL",
    },
    System {
        name: "sqlite-es",
        backend: Backend::Sqlite,
        role: Role::Peer,
        program: Program::PeersSqlite,
        largest: MILLION,
        filling: Filling::Batches(1_000),
        note: "0.5, `SqliteEventRepository` on sqlx's pool, 10 connections as in its `default_sqlite_pool`, WAL and \
               `synchronous=FULL`",
    },
    System {
        name: "umadb-core",
        backend: Backend::Sqlite,
        role: Role::Peer,
        program: Program::PeersUmadb,
        largest: 10 * MILLION,
        filling: Filling::Batches(2_000),
        note: "0.7.8, its engine in this process (a file format of its own) with the writer's thread that its server has, flushed before \
               each acknowledgement; a stream is a \
               tag, its expected version the condition that the tag has nothing behind the last known position",
    },
    System {
        name: "limit-sqlite",
        backend: Backend::Sqlite,
        role: Role::Limit,
        program: Program::Ours,
        largest: 10 * MILLION,
        filling: Filling::Of("eventsource-sqlite"),
        note: "one transaction of prepared inserts into our tables with our indexes, on one connection under a mutex; reading \
               is one statement that decodes every column",
    },
    System {
        name: "eventsource-postgres",
        backend: Backend::Postgres,
        role: Role::Ours,
        program: Program::Ours,
        largest: 10 * MILLION,
        filling: Filling::Batches(1_000),
        note: "as it is, with 16 connections; for `filter:payload` with an index for that key \
               (`PayloadIndex::Keys([\"customer\"])`)",
    },
    System {
        name: "eventsource-postgres-pipelined",
        backend: Backend::Postgres,
        role: Role::Ours,
        program: Program::Ours,
        largest: 10 * MILLION,
        filling: Filling::Batches(1_000),
        note: "with `CommitMode::Pipelined`, as its documentation advises for many processes and slow commits",
    },
    System {
        name: "postgres-es",
        backend: Backend::Postgres,
        role: Role::Peer,
        program: Program::PeersPostgres,
        largest: MILLION,
        filling: Filling::Batches(1_000),
        note: "0.5, `PostgresEventRepository::persist` on its documented schema, pool of 16",
    },
    System {
        name: "eventcore-postgres",
        backend: Backend::Postgres,
        role: Role::Peer,
        program: Program::PeersPostgres,
        largest: MILLION,
        filling: Filling::Batches(1_000),
        note: "2.1, `append_events` with the stream's version, pool of 16",
    },
    System {
        name: "esrs",
        backend: Backend::Postgres,
        role: Role::Peer,
        program: Program::PeersPostgres,
        largest: MILLION,
        filling: Filling::Appends,
        note: "0.18, `PgStore::persist` without handlers, pool of 16",
    },
    System {
        name: "disintegrate-postgres",
        backend: Backend::Postgres,
        role: Role::Peer,
        program: Program::PeersPostgres,
        largest: 10 * MILLION,
        filling: Filling::Batches(1_000),
        note: "4.0.1, `PgEventStore` with JSON, pool of 16; order, course and student are ids (columns); a conflict that it \
               reports as a database error (SQLSTATE 40001) is tried again like one",
    },
    System {
        name: "dynamic-streams-sql",
        backend: Backend::Postgres,
        role: Role::Peer,
        program: Program::PeersPostgres,
        largest: 10 * MILLION,
        filling: Filling::Rows,
        note: "the published schema (GIN on the payload, `jsonb_path_ops`), query and append CTE of \
               dynamic-streams-eventstore, values bound, pool of 16. Its append tells no position, so an append to a stream \
               that has events asks for them first. Its check lets racing appends through (it takes no lock)",
    },
    System {
        name: "eventually-postgres",
        backend: Backend::Postgres,
        role: Role::Peer,
        program: Program::None,
        largest: 0,
        filling: Filling::Appends,
        note: "0.2.0 does not build any more: its refinery 0.3 uses `serde::export`, which serde removed in 1.0.119",
    },
    System {
        name: "eventsource-py",
        backend: Backend::Postgres,
        role: Role::Peer,
        program: Program::Python,
        largest: 100_000,
        filling: Filling::Appends,
        note: "0.8 from PyPI, `PostgreSQLEventStore` on asyncpg, SQLAlchemy's pool of 16, tracing off, one process",
    },
    System {
        name: "eventsourcing",
        backend: Backend::Postgres,
        role: Role::Peer,
        program: Program::Python,
        largest: 100_000,
        filling: Filling::Batches(1_000),
        note: "from PyPI: `PostgresAggregateRecorder` for streams, `PostgresDCBRecorderTT` for decisions, pool of 16, callers \
               are threads of one process",
    },
    System {
        name: "limit-postgres-insert",
        backend: Backend::Postgres,
        role: Role::Limit,
        program: Program::Ours,
        largest: 10 * MILLION,
        filling: Filling::Of("eventsource-postgres"),
        note: "tokio-postgres, 16 connections: a prepared insert of many rows (`unnest`) into our tables with our indexes; \
               reading is pages of 5,000 rows that decode every column",
    },
    System {
        name: "limit-postgres-copy",
        backend: Backend::Postgres,
        role: Role::Limit,
        program: Program::Ours,
        largest: 10 * MILLION,
        filling: Filling::Of("eventsource-postgres"),
        note: "tokio-postgres, 16 connections: a binary COPY into the same tables",
    },
    System {
        name: "umadb-server",
        backend: Backend::Server,
        role: Role::Peer,
        program: Program::PeersUmadb,
        largest: 10 * MILLION,
        filling: Filling::Of("umadb-core"),
        note: "0.7.8, a process of its own, its client over gRPC on loopback, one connection; else as umadb-core",
    },
];

impl System {
    /// Why it is not asked to do this at all; a system's own program knows the other reasons.
    pub(crate) fn reason_against(&self, cell: &Cell) -> Option<String> {
        let (workload, size) = (cell.workload, cell.store_size());
        if self.program == Program::None {
            return Some(self.note.to_owned());
        }
        if self.name == "eventsource-postgres-pipelined" && workload != Workload::AppendProcesses {
            return Some("it differs where many processes append".to_owned());
        }
        match (workload, self.backend) {
            (_, Backend::Memory) if cell.flush > 0 => Some("nothing is flushed".to_owned()),
            (Workload::Memory, Backend::Memory) => Some("the log itself lies in memory".to_owned()),
            (Workload::Size, Backend::Memory) => Some("nothing is on disk".to_owned()),
            (Workload::AppendProcesses, Backend::Memory | Backend::Sqlite | Backend::Server) => {
                Some("the workload is about one database and many processes".to_owned())
            }
            (Workload::Memory, Backend::Server) => Some("the server reads, not this process".to_owned()),
            (Workload::Size, _) if self.role == Role::Limit => Some("our tables".to_owned()),
            (Workload::AppendProcesses, _) if self.role == Role::Limit => {
                Some("its positions are given out by one process".to_owned())
            }
            (Workload::Delivery | Workload::Decide | Workload::AppendContended, _)
                if self.role == Role::Limit =>
            {
                Some("a limit checks and promises nothing".to_owned())
            }
            (Workload::Growth, _) if self.role == Role::Limit && size > MILLION => {
                Some("a store so large is not copied, and what a limit writes would break ours".to_owned())
            }
            (Workload::Relay, _) if self.role != Role::Ours => Some("no outbox".to_owned()),
            _ if size > self.largest => Some(format!(
                "no store of {size} events was filled for it: it takes too long, or too much of the disk"
            )),
            _ => None,
        }
    }

    /// The system whose stores it uses.
    pub(crate) fn owner(&'static self) -> &'static Self {
        match self.filling {
            Filling::Of(other) => SYSTEMS.iter().find(|system| system.name == other).unwrap_or(self),
            Filling::Appends | Filling::Batches(_) | Filling::Rows => self,
        }
    }
}
