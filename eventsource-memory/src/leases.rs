use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{ConsumerName, FencingToken, Lease, LeaseKey, Leases, MemberId, Result};

use crate::MemoryStore;

/// Who is at work in which group, and who holds which lease.
#[derive(Default)]
pub(crate) struct LeaseTable {
    /// Until when each member is taken to be at work.
    members: BTreeMap<(ConsumerName, MemberId), DateTime<Utc>>,
    /// The newest token of each lease, and who holds it until when, if anybody does.
    leases: BTreeMap<LeaseKey, (FencingToken, Option<Holder>)>,
}

/// Who holds a lease, and until when.
type Holder = (MemberId, DateTime<Utc>);

impl LeaseTable {
    pub(crate) fn newest_token(&self, key: &LeaseKey) -> Option<FencingToken> {
        self.leases.get(key).map(|(token, _)| *token)
    }
}

#[async_trait]
impl Leases for MemoryStore {
    async fn announce(
        &self,
        group: &ConsumerName,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Vec<MemberId>> {
        self.change(|state, now| {
            let members = &mut state.leases.members;
            members.insert((group.clone(), member), after(now, time_to_live));
            members.retain(|(other, _), expires_at| other != group || *expires_at > now);
            Ok(members.keys().filter(|(other, _)| other == group).map(|(_, member)| *member).collect())
        })
    }

    async fn withdraw(&self, group: &ConsumerName, member: MemberId) -> Result<()> {
        self.change(|state, _| {
            state.leases.members.remove(&(group.clone(), member));
            Ok(())
        })
    }

    async fn acquire_lease(
        &self,
        key: &LeaseKey,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Option<Lease>> {
        self.change(|state, now| {
            let (newest, holder) =
                state.leases.leases.entry(key.clone()).or_insert((FencingToken::new(0), None));
            if holder.is_some_and(|(_, expires_at)| expires_at > now) {
                return Ok(None);
            }
            let expires_at = after(now, time_to_live);
            *newest = newest.next();
            *holder = Some((member, expires_at));
            Ok(Some(Lease { key: key.clone(), member, token: *newest, expires_at }))
        })
    }

    async fn renew_lease(&self, lease: &Lease, time_to_live: Duration) -> Result<Option<Lease>> {
        self.change(|state, now| {
            let Some((newest, Some((_, expires_at)))) = state.leases.leases.get_mut(&lease.key) else {
                return Ok(None);
            };
            if *newest != lease.token {
                return Ok(None);
            }
            *expires_at = after(now, time_to_live);
            Ok(Some(Lease { expires_at: *expires_at, ..lease.clone() }))
        })
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        self.change(|state, _| {
            if let Some((newest, holder)) = state.leases.leases.get_mut(&lease.key)
                && *newest == lease.token
            {
                *holder = None;
            }
            Ok(())
        })
    }

    async fn leases(&self, group: &ConsumerName) -> Result<Vec<Lease>> {
        self.look(|state| {
            let leases = state.leases.leases.iter().filter(|(key, _)| key.group == *group);
            leases
                .filter_map(|(key, (token, holder))| {
                    let (member, expires_at) = (*holder)?;
                    Some(Lease { key: key.clone(), member, token: *token, expires_at })
                })
                .collect()
        })
    }
}

/// So long after `now`; the end of time, if that is longer than there will be any.
fn after(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|delta| now.checked_add_signed(delta))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
