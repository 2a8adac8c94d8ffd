use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::failure::Failure;

/// Decision records without a number of their own.
pub(crate) fn complaints(workspace: &Path) -> Result<Vec<String>, Failure> {
    let directory = workspace.join("docs/adr");
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&directory).map_err(Failure::during(directory.display()))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(of_names(names.filter(|name| name != "README.md")))
}

fn of_names(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for name in names {
        let number = name.split('-').next().unwrap_or_default().to_owned();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            complaints.push(format!("docs/adr/{name} begins with no four-digit number"));
        } else if let Some(other) = seen.insert(number, name.clone()) {
            complaints.push(format!("docs/adr/{name} and docs/adr/{other} have the same number"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(names: &[&str]) -> Vec<String> {
        of_names(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn each_record_has_a_number_of_its_own() {
        assert_eq!(complaints_about(&["0001-sqlite.md", "0002-positions.md"]), Vec::<String>::new());
        assert_eq!(complaints_about(&["0001-sqlite.md", "0001-positions.md"]).len(), 1);
        assert_eq!(complaints_about(&["sqlite.md", "01-positions.md"]).len(), 2);
    }
}
