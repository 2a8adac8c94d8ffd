use std::fs;

use crate::{Failure, broken};

/// How much memory this process has in use, and how much it had at most since the last reset: MiB.
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

impl Memory {
    pub(crate) fn look() -> Result<Self, Failure> {
        let status = fs::read_to_string("/proc/self/status").map_err(broken)?;
        let mebibytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kibibytes.map(|kibibytes| kibibytes / 1024.0).ok_or_else(|| broken(format!("no {key} in /proc")))
        };
        Ok(Self { now: mebibytes("VmRSS:")?, peak: mebibytes("VmHWM:")? })
    }

    /// Lets the peak begin anew at what is in use now.
    pub(crate) fn reset_peak() -> Result<(), Failure> {
        fs::write("/proc/self/clear_refs", "5").map_err(broken)
    }
}
