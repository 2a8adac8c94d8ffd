use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::Error;

/// The account that a server runs under. PostgreSQL and pgbouncer refuse to run as root, so root steps down.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Account {
    /// Ours is good enough.
    Own,
    /// We are root: the server runs under this user and group.
    Unprivileged { uid: u32, gid: u32 },
}

impl Account {
    /// The account for servers; `directory` is one that this process has just created, so its owner is who we are.
    pub(crate) fn for_servers(directory: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(directory).map_err(Error::during(directory.display()))?;
        if metadata.uid() != 0 {
            return Ok(Self::Own);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let (uid, gid) =
            user(&passwd, "postgres").or_else(|| user(&passwd, "nobody")).unwrap_or((65534, 65534));
        Ok(Self::Unprivileged { uid, gid })
    }

    /// Lets `command` run under this account.
    pub(crate) fn apply(self, command: &mut Command) {
        if let Self::Unprivileged { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// Hands `path` to this account.
    pub(crate) fn give(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Own => Ok(()),
            Self::Unprivileged { uid, gid } => {
                chown(path, Some(uid), Some(gid)).map_err(Error::during(format!("chown {}", path.display())))
            }
        }
    }
}

fn user(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields =
        passwd.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
    let uid = fields.nth(2)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some((uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresql:x:5:6::/:\npostgres:x:103:107::/:/bin/sh\n";
        assert_eq!(user(passwd, "postgres"), Some((103, 107)));
        assert_eq!(user(passwd, "nobody"), None);
    }
}
