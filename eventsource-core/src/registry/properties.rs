use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::EventRegistry;
use super::tests::stored;
use crate::{Decoded, Decoder, DomainEvent, EventSchema};

/// What a step of a chain does to an object.
#[derive(Clone, Debug)]
enum Change {
    Nothing,
    Add(String, i64),
    Rename(String, String),
    Remove(String),
    /// Wraps it, so that steps that are left out or taken twice are seen.
    Wrap,
}

impl Change {
    fn apply(&self, mut value: Value) -> Value {
        let Some(fields) = value.as_object_mut() else { return value };
        match self {
            Self::Nothing => {}
            Self::Add(key, number) => {
                fields.insert(key.clone(), json!(number));
            }
            Self::Rename(from, to) => {
                if let Some(field) = fields.remove(from) {
                    fields.insert(to.clone(), field);
                }
            }
            Self::Remove(key) => {
                fields.remove(key);
            }
            Self::Wrap => return json!({ "inner": value }),
        }
        value
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let key = || "[a-d]";
    let change = prop_oneof![
        Just(Change::Nothing),
        (key(), any::<i64>()).prop_map(|(key, number)| Change::Add(key, number)),
        (key(), key()).prop_map(|(from, to)| Change::Rename(from, to)),
        key().prop_map(Change::Remove),
        Just(Change::Wrap),
    ];
    prop::collection::vec(change, 0..12)
}

/// Whatever the chain ends with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Anything {
    Happened(Value),
}

impl DomainEvent for Anything {}

proptest! {
    /// An event is the same today, whichever program of the chain's wrote it: the one of the first schema, or one of a
    /// later schema, which wrote what the upcasters make of the first.
    #[test]
    fn upcasting_from_any_schema_gives_the_same_as_from_the_first(
        changes in changes(),
        first in prop::collection::btree_map("[a-d]", any::<i64>(), 0..4),
        names in prop::collection::vec(0..3_u8, 12),
    ) {
        // Names come and go along the chain, each with versions of its own.
        let mut versions = BTreeMap::<u8, u32>::new();
        let mut schemas: Vec<EventSchema> = (0..changes.len())
            .map(|index| {
                let version = versions.entry(names[index]).or_default();
                *version += 1;
                EventSchema::from((format!("Old{}", names[index]), *version))
            })
            .collect();
        schemas.push(EventSchema::new("Happened", 1));
        let mut builder = EventRegistry::builder().event::<Anything>();
        for (pair, change) in schemas.windows(2).zip(&changes) {
            let change = change.clone();
            builder = match change {
                Change::Nothing => builder.rename(pair[0].clone(), pair[1].clone()),
                change => builder.upcast(pair[0].clone(), pair[1].clone(), move |value, _| Ok(change.apply(value))),
            };
        }
        let registry = builder.build()?;
        let decoder = registry.decoder::<Anything>()?;
        let mut written = vec![json!(first)];
        for change in &changes {
            written.push(change.apply(written[written.len() - 1].clone()));
        }
        let today = Decoded::One(Anything::Happened(written[changes.len()].clone()));
        for (schema, payload) in schemas.iter().zip(&written) {
            prop_assert_eq!(&decoder.decode(&stored(schema.name(), schema.version(), payload))?, &today);
        }
    }

    /// Splits in splits, drops and all: the parts come in the order in which they were given.
    #[test]
    fn a_split_of_splits_keeps_every_part_in_order(outer in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..4), 0..4)) {
        let registry = EventRegistry::builder()
            .event::<Anything>()
            .split(("All", 1), [("Some", 1), ("Nothing", 1)], |all, _| {
                let mut parts: Vec<_> =
                    all.as_array().cloned().unwrap_or_default().into_iter().map(|some| ("Some", some)).collect();
                parts.insert(parts.len() / 2, ("Nothing", json!(null)));
                Ok(parts)
            })
            .split(("Some", 1), [("Happened", 1)], |some, _| {
                Ok(some.as_array().cloned().unwrap_or_default().into_iter().map(|one| ("Happened", one)).collect())
            })
            .drop_event(("Nothing", 1))
            .build()?;
        let decoded = registry.decoder::<Anything>()?.decode(&stored("All", 1, &outer))?;
        let expected: Vec<_> = outer.concat().into_iter().map(|number| Anything::Happened(json!(number))).collect();
        prop_assert_eq!(decoded.into_iter().collect::<Vec<_>>(), expected);
    }
}
