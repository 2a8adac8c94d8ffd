use std::fs;
use std::path::Path;

use crate::failure::Failure;

/// A file that has grown longer does more than one job.
const MOST_LINES: usize = 500;

const SOURCES: [&str; 3] = ["rs", "sql", "sh"];
const ELSEWHERE: [&str; 2] = ["target", ".git"];

/// Source files that are too long.
pub(crate) fn complaints(directory: &Path) -> Result<Vec<String>, Failure> {
    let mut complaints = Vec::new();
    for entry in fs::read_dir(directory).map_err(Failure::during(directory.display()))? {
        let path = entry.map_err(Failure::during(directory.display()))?.path();
        let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !ELSEWHERE.contains(&file_name) {
                complaints.extend(self::complaints(&path)?);
            }
        } else if path.extension().and_then(|name| name.to_str()).is_some_and(|name| SOURCES.contains(&name))
        {
            let lines = fs::read_to_string(&path).map_err(Failure::during(path.display()))?.lines().count();
            if lines > MOST_LINES {
                complaints.push(format!("{} has {lines} lines; {MOST_LINES} are the most", path.display()));
            }
        }
    }
    complaints.sort();
    Ok(complaints)
}
