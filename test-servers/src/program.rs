use std::env;
use std::path::{Path, PathBuf};

use crate::Error;

/// Where a server's program lies: on `PATH`, or where Debian keeps such programs.
///
/// # Errors
/// It isn't installed; the error is the command that installs it. Debian's package has the program's name.
pub(crate) fn find(name: &str) -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([Path::new("/usr/sbin").to_owned()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            Error::new(format!("this test needs {name}: apt-get install --no-install-recommends {name}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_command_that_installs_it() {
        let error = find("no-such-server").unwrap_err().to_string();
        assert!(error.contains("apt-get install --no-install-recommends no-such-server"), "{error}");
    }
}
