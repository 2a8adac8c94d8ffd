use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{ConsumerName, Error, Fence, FencingToken, Lease, LeaseKey, Leases, MemberId, Result};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use crate::PostgresStore;
use crate::error::reading;
use crate::log::Log;
use crate::writing::commit;

#[async_trait]
impl Leases for PostgresStore {
    async fn announce(
        &self,
        group: &ConsumerName,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Vec<MemberId>> {
        let log = self.log()?;
        let now = log.now()?;
        let mut transaction = log.begin().await?;
        log.query(include_str!("sql/announce_member.sql"))
            .bind(group.as_str())
            .bind(member.as_uuid())
            .bind(seconds(time_to_live))
            .bind(now)
            .execute(&mut *transaction)
            .await
            .map_err(reading)?;
        let rows = log
            .query(include_str!("sql/members.sql"))
            .bind(group.as_str())
            .bind(now)
            .fetch_all(&mut *transaction)
            .await
            .map_err(reading)?;
        commit(transaction).await?;
        rows.iter().map(|row| row.try_get(0).map(MemberId::new).map_err(reading)).collect()
    }

    async fn withdraw(&self, group: &ConsumerName, member: MemberId) -> Result<()> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        // And those who have not been heard of for a day.
        log.query(include_str!("sql/withdraw_member.sql"))
            .bind(group.as_str())
            .bind(member.as_uuid())
            .bind(log.now()?)
            .execute(&mut *transaction)
            .await
            .map_err(reading)?;
        commit(transaction).await
    }

    async fn acquire_lease(
        &self,
        key: &LeaseKey,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Option<Lease>> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        let row = log
            .query(include_str!("sql/acquire_lease.sql"))
            .bind(key.group.as_str())
            .bind(partition(key)?)
            .bind(member.as_uuid())
            .bind(seconds(time_to_live))
            .bind(log.now()?)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(reading)?;
        commit(transaction).await?;
        row.map(|row| decode(&row, key.clone())).transpose()
    }

    async fn renew_lease(&self, lease: &Lease, time_to_live: Duration) -> Result<Option<Lease>> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        let row = log
            .query(include_str!("sql/renew_lease.sql"))
            .bind(lease.key.group.as_str())
            .bind(partition(&lease.key)?)
            .bind(lease.token.to_raw().cast_signed())
            .bind(seconds(time_to_live))
            .bind(log.now()?)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(reading)?;
        commit(transaction).await?;
        row.map(|row| decode(&row, lease.key.clone())).transpose()
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        log.query(include_str!("sql/release_lease.sql"))
            .bind(lease.key.group.as_str())
            .bind(partition(&lease.key)?)
            .bind(lease.token.to_raw().cast_signed())
            .execute(&mut *transaction)
            .await
            .map_err(reading)?;
        commit(transaction).await
    }

    async fn leases(&self, group: &ConsumerName) -> Result<Vec<Lease>> {
        let log = self.log()?;
        let mut connection = log.reader().await?;
        let rows = log
            .query(include_str!("sql/leases.sql"))
            .bind(group.as_str())
            .fetch_all(&mut *connection)
            .await
            .map_err(reading)?;
        connection.release().await?;
        rows.iter()
            .map(|row| {
                let number: i32 = row.try_get(3).map_err(reading)?;
                decode(row, LeaseKey { group: group.clone(), partition: number.cast_unsigned() })
            })
            .collect()
    }
}

impl Log {
    /// Refuses if the fence does not hold; if it does, nobody takes the lease until the transaction ends.
    pub(crate) async fn check_fence(&self, connection: &mut PgConnection, fence: &Fence) -> Result<()> {
        let row = self
            .query(include_str!("sql/lock_lease.sql"))
            .bind(fence.key.group.as_str())
            .bind(partition(&fence.key)?)
            .fetch_optional(connection)
            .await
            .map_err(reading)?;
        let newest = row.map(|row| row.try_get::<i64, _>(0).map_err(reading)).transpose()?;
        fence.judge(newest.map(|token| FencingToken::new(token.cast_unsigned())))
    }
}

fn decode(row: &PgRow, key: LeaseKey) -> Result<Lease> {
    Ok(Lease {
        key,
        token: FencingToken::new(row.try_get::<i64, _>(0).map_err(reading)?.cast_unsigned()),
        member: MemberId::new(row.try_get(1).map_err(reading)?),
        expires_at: row.try_get(2).map_err(reading)?,
    })
}

fn partition(key: &LeaseKey) -> Result<i32> {
    i32::try_from(key.partition)
        .map_err(|_| Error::invalid_input("a group has at most 2147483647 partitions"))
}

/// As an interval's seconds; a century at most, which no lease is held for.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().min(3.2e9)
}
