use crate::failure::Failure;
use crate::{adr, cargo, dependencies, file_size, money};

/// Checks the workspace's own rules, and tells all that is amiss, not only the first.
pub(crate) fn run() -> Result<(), Failure> {
    let workspace = cargo::workspace();
    let mut complaints = dependencies::complaints(&cargo::metadata()?);
    complaints.extend(file_size::complaints(&workspace)?);
    complaints.extend(adr::complaints(&workspace)?);
    complaints.extend(money::complaints(&workspace)?);
    if complaints.is_empty() { Ok(()) } else { Err(Failure::new(complaints.join("\n"))) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_is_tidy() {
        if let Err(failure) = super::run() {
            panic!("{failure}");
        }
    }
}
