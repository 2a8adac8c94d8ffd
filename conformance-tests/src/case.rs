use eventsource_core::Capability;
use futures_util::future::BoxFuture;

use crate::contract::CONTRACT;
use crate::{CaseResult, Cx, cases};

/// A case's body.
pub type Body = fn(Cx) -> BoxFuture<'static, CaseResult>;

/// Promises about one thing.
#[derive(Debug)]
pub struct Group {
    /// What they are about.
    pub name: &'static str,
    /// What a store must be able to do for them; another store must refuse it instead.
    pub requires: Option<Capability>,
    /// Each promise's name and body.
    pub cases: &'static [(&'static str, Body)],
}

/// One promise.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    group: &'static Group,
    name: &'static str,
    body: Body,
}

impl Case {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        CONTRACT
            .iter()
            .flat_map(|group| group.cases.iter().map(move |(name, body)| Self { group, name, body: *body }))
    }

    /// One of them.
    ///
    /// # Panics
    /// If the contract has no such case.
    #[must_use]
    pub fn find(group: &str, name: &str) -> Self {
        Self::all()
            .find(|case| case.group.name == group && case.name == name)
            .unwrap_or_else(|| panic!("the contract has no case {group}::{name}"))
    }

    /// `group::case`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}::{}", self.group.name, self.name)
    }

    /// What to run where `lacking` is missing: the case, or the refusal of what it requires.
    #[must_use]
    pub fn body_for(&self, lacking: &[(Capability, &str)]) -> Body {
        match self.group.requires {
            Some(required) if lacking.iter().any(|(capability, _)| *capability == required) => {
                cases::refusals::of(required)
            }
            _ => self.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_case_is_in_the_list() {
        let listed: BTreeSet<String> = Case::all().map(|case| case.name()).collect();
        assert_eq!(listed.len(), Case::all().count(), "a case stands in the list twice");
        let mut written = BTreeSet::new();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cases");
        for file in fs::read_dir(directory).expect("the cases") {
            let path = file.expect("a file").path();
            let group = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            let source = fs::read_to_string(&path).expect("Rust");
            for line in source.lines() {
                let signature = line.strip_prefix("pub async fn ");
                if let Some((name, _)) = signature.and_then(|rest| rest.split_once('(')) {
                    written.insert(format!("{group}::{name}"));
                }
            }
        }
        assert_eq!(written, listed, "src/cases and the lists in src/contract.rs and src/contract differ");
    }
}
