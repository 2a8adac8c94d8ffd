use std::fmt;

use sqlx::postgres::PgPool;

/// How many connections a pool has and how many are in use, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatistics {
    /// Open connections.
    pub size: u32,
    /// Those that somebody works with.
    pub in_use: u32,
    /// Those that wait to be used.
    pub idle: u32,
    /// The most that the pool opens.
    pub max: u32,
}

impl PoolStatistics {
    pub(crate) fn of(pool: &PgPool) -> Self {
        let size = pool.size();
        // The two numbers are not read at one moment.
        let idle = u32::try_from(pool.num_idle()).unwrap_or(size).min(size);
        Self { size, in_use: size - idle, idle, max: pool.options().get_max_connections() }
    }

    /// Whether everybody who needs a connection now has to wait.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.in_use >= self.max
    }
}

impl fmt::Display for PoolStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, in_use, idle, max } = self;
        write!(f, "{size} of {max} connections open, {in_use} in use, {idle} idle")
    }
}
