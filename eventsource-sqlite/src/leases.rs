use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eventsource_core::{ConsumerName, Error, Fence, FencingToken, Lease, LeaseKey, Leases, MemberId, Result};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::failed;
use crate::row;
use crate::store::SqliteStore;
use crate::write::Ending;

#[async_trait]
impl Leases for SqliteStore {
    async fn announce(
        &self,
        group: &ConsumerName,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Vec<MemberId>> {
        let (group, now) = (group.clone(), self.now()?);
        self.write("announcing a member", move |transaction| {
            let members = announce(transaction, &group, member, now, time_to_live);
            Ok::<_, Error>(Ending::Commit(members.map_err(|error| failed("announcing a member", error))?))
        })
        .await
    }

    async fn withdraw(&self, group: &ConsumerName, member: MemberId) -> Result<()> {
        let group = group.clone();
        self.write("withdrawing a member", move |transaction| {
            let sql = "DELETE FROM main.consumer_members WHERE group_name = ?1 AND member_id = ?2";
            transaction
                .execute(sql, params![group.as_str(), member.as_uuid().into_bytes()])
                .map_err(|error| failed("withdrawing a member", error))?;
            Ok::<_, Error>(Ending::Commit(()))
        })
        .await
    }

    async fn acquire_lease(
        &self,
        key: &LeaseKey,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Option<Lease>> {
        let (key, now) = (key.clone(), self.now()?);
        self.write("acquiring a lease", move |transaction| {
            let expires_at = after(now, time_to_live);
            let token: Option<i64> = transaction
                .prepare_cached(include_str!("sql/acquire_lease.sql"))
                .and_then(|mut statement| {
                    let member = member.as_uuid().into_bytes();
                    let (group, partition) = (key.group.as_str(), key.partition);
                    statement
                        .query_row(
                            params![group, partition, member, expires_at, now.timestamp_micros()],
                            |row| row.get(0),
                        )
                        .optional()
                })
                .map_err(|error| failed("acquiring a lease", error))?;
            let Some(token) = token else { return Ok::<_, Error>(Ending::RollBack(None)) };
            let (token, expires_at) = (FencingToken::new(token.cast_unsigned()), time(expires_at)?);
            Ok(Ending::Commit(Some(Lease { key, member, token, expires_at })))
        })
        .await
    }

    async fn renew_lease(&self, lease: &Lease, time_to_live: Duration) -> Result<Option<Lease>> {
        let (lease, now) = (lease.clone(), self.now()?);
        self.write("renewing a lease", move |transaction| {
            let expires_at = after(now, time_to_live);
            let sql = include_str!("sql/renew_lease.sql");
            let renewed = transaction
                .prepare_cached(sql)
                .and_then(|mut statement| {
                    let (group, partition) = (lease.key.group.as_str(), lease.key.partition);
                    let token = lease.token.to_raw().cast_signed();
                    statement.execute(params![group, partition, token, expires_at])
                })
                .map_err(|error| failed("renewing a lease", error))?;
            let expires_at = time(expires_at)?;
            Ok::<_, Error>(Ending::Commit((renewed == 1).then_some(Lease { expires_at, ..lease })))
        })
        .await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.write("releasing a lease", move |transaction| {
            let sql = include_str!("sql/release_lease.sql");
            let (group, partition) = (lease.key.group.as_str(), lease.key.partition);
            transaction
                .execute(sql, params![group, partition, lease.token.to_raw().cast_signed()])
                .map_err(|error| failed("releasing a lease", error))?;
            Ok::<_, Error>(Ending::Commit(()))
        })
        .await
    }

    async fn leases(&self, group: &ConsumerName) -> Result<Vec<Lease>> {
        let group = group.clone();
        self.read(move |connection| {
            let listing = |error| failed("listing leases", error);
            let sql = include_str!("sql/leases.sql");
            let mut statement = connection.prepare_cached(sql).map_err(listing)?;
            let mut rows = statement.query([group.as_str()]).map_err(listing)?;
            let mut leases = Vec::new();
            while let Some(row) = rows.next().map_err(listing)? {
                leases.push(Lease {
                    key: LeaseKey { group: group.clone(), partition: row::column(row, 0)? },
                    token: FencingToken::new(row::column::<i64>(row, 1)?.cast_unsigned()),
                    member: MemberId::new(row::uuid(row, 2)?),
                    expires_at: row::time(row, 3)?,
                });
            }
            Ok(leases)
        })
        .await
    }
}

/// Refuses if the fence does not hold. The transaction holds the write lock, so it holds until the commit.
pub(crate) fn check(connection: &Connection, fence: &Fence) -> Result<()> {
    let sql = "SELECT token FROM main.consumer_leases WHERE group_name = ?1 AND partition = ?2";
    let newest: Option<i64> = connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            let key = params![fence.key.group.as_str(), fence.key.partition];
            statement.query_row(key, |row| row.get(0)).optional()
        })
        .map_err(|error| failed("checking a lease", error))?;
    fence.judge(newest.map(|token| FencingToken::new(token.cast_unsigned())))
}

fn announce(
    connection: &Connection,
    group: &ConsumerName,
    member: MemberId,
    now: DateTime<Utc>,
    time_to_live: Duration,
) -> rusqlite::Result<Vec<MemberId>> {
    let (group, now, expires_at) = (group.as_str(), now.timestamp_micros(), after(now, time_to_live));
    connection.prepare_cached(include_str!("sql/announce_member.sql"))?.execute(params![
        group,
        member.as_uuid().into_bytes(),
        expires_at
    ])?;
    connection
        .prepare_cached("DELETE FROM main.consumer_members WHERE group_name = ?1 AND expires_at <= ?2")?
        .execute(params![group, now])?;
    let sql = "SELECT member_id FROM main.consumer_members WHERE group_name = ?1 ORDER BY member_id";
    let mut statement = connection.prepare_cached(sql)?;
    let members =
        statement.query_map([group], |row| row.get(0).map(uuid::Uuid::from_bytes).map(MemberId::new))?;
    members.collect()
}

/// So long after `now`, in microseconds; the end of the time that is known, if that is later.
fn after(now: DateTime<Utc>, duration: Duration) -> i64 {
    let latest = DateTime::<Utc>::MAX_UTC.timestamp_micros();
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    now.timestamp_micros().saturating_add(micros).min(latest)
}

fn time(microseconds: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(microseconds)
        .ok_or_else(|| Error::invalid_input("a lease ends within the time that is known"))
}
