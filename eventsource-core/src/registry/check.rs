use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};

use super::builder::{EventRegistryBuilder, Reader};
use super::step::Step;
use super::{Node, Nodes, RegistryProblem as Problem};
use crate::{EventSchema, EventType};

/// Everything that is known of each name, if all of it can be read.
pub(super) fn nodes(builder: EventRegistryBuilder) -> Result<Nodes, Vec<Problem>> {
    let EventRegistryBuilder { owners, views, steps, beginnings, mut problems } = builder;
    problems.extend(invalid_schemas(&owners, &views, &steps));
    problems.extend(claimed_twice(&owners));
    problems.extend(not_owned(&owners, &views));
    problems.extend(splits(&steps));
    let outdated = outdated(&owners, &steps, &mut problems);
    let known: BTreeSet<&EventSchema> =
        owners.iter().flat_map(|owner| &owner.schemas).chain(outdated.keys().copied()).collect();
    problems.extend(unknown_targets(&steps, &known));
    problems.extend(cycle(&outdated));
    problems.extend(gaps(&known, &steps, &beginnings));
    if problems.is_empty() { Ok(assemble(&owners, &views, &steps)) } else { Err(problems) }
}

fn invalid_schemas(owners: &[Reader], views: &[Reader], steps: &[Step]) -> Vec<Problem> {
    let read = owners.iter().chain(views).flat_map(|reader| &reader.schemas);
    let stepped = steps.iter().flat_map(|step| std::iter::once(step.from()).chain(step.targets()));
    let invalid = |schema: &EventSchema| {
        let reason = match EventType::new(schema.name()) {
            Err(error) => error.to_string(),
            Ok(_) if schema.version() == 0 || i32::try_from(schema.version()).is_err() => {
                "a schema version lies between 1 and 2147483647".to_owned()
            }
            Ok(_) => return None,
        };
        Some(Problem::InvalidSchema { schema: schema.clone(), reason })
    };
    read.chain(stepped).filter_map(invalid).collect()
}

fn claimed_twice(owners: &[Reader]) -> Vec<Problem> {
    let mut claims: BTreeMap<&str, &'static str> = BTreeMap::new();
    let mut problems = Vec::new();
    for owner in owners {
        for schema in &owner.schemas {
            if let Some(first) = claims.insert(schema.name(), owner.name) {
                let name = schema.name().to_owned();
                problems.push(Problem::ClaimedTwice { name, first, second: owner.name });
            }
        }
    }
    problems
}

fn not_owned(owners: &[Reader], views: &[Reader]) -> Vec<Problem> {
    let owned: BTreeSet<&EventSchema> = owners.iter().flat_map(|owner| &owner.schemas).collect();
    let of_view = |view: &Reader| {
        let not_owned = view.schemas.iter().filter(|schema| !owned.contains(schema));
        let view = view.name;
        not_owned.map(|schema| Problem::NotOwned { schema: schema.clone(), view }).collect::<Vec<_>>()
    };
    views.iter().flat_map(of_view).collect()
}

fn splits(steps: &[Step]) -> Vec<Problem> {
    let is_ambiguous = |step: &&Step| {
        let names: BTreeSet<&str> = step.targets().iter().map(EventSchema::name).collect();
        step.is_split() && (names.is_empty() || names.len() < step.targets().len())
    };
    steps
        .iter()
        .filter(is_ambiguous)
        .map(|step| Problem::AmbiguousSplit { from: step.from().clone() })
        .collect()
}

/// The step from each schema that has one.
fn outdated<'a>(
    owners: &[Reader],
    steps: &'a [Step],
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'a EventSchema, &'a Step> {
    let mut outdated = BTreeMap::new();
    for step in steps {
        let from = step.from();
        if outdated.insert(from, step).is_some() {
            problems.push(Problem::TwoUpcasters { from: from.clone() });
        }
        if let Some(owner) = owners.iter().find(|owner| owner.schemas.contains(from)) {
            problems.push(Problem::UpcastsCurrent { from: from.clone(), reader: owner.name });
        }
    }
    outdated
}

fn unknown_targets(steps: &[Step], known: &BTreeSet<&EventSchema>) -> Vec<Problem> {
    let of_step = |step: &Step| {
        let unknown = step.targets().iter().filter(|target| !known.contains(target));
        unknown
            .map(|to| Problem::UnknownTarget { from: step.from().clone(), to: to.clone() })
            .collect::<Vec<_>>()
    };
    steps.iter().flat_map(of_step).collect()
}

/// The first circle that is found. Takes no more stack for a longer chain.
fn cycle(outdated: &BTreeMap<&EventSchema, &Step>) -> Option<Problem> {
    let mut finished: BTreeSet<&EventSchema> = BTreeSet::new();
    for start in outdated.keys() {
        // Each schema on the way, and how many of its targets were looked at.
        let mut way: Vec<(&EventSchema, usize)> = vec![(start, 0)];
        let mut on_the_way: BTreeSet<&EventSchema> = BTreeSet::from([*start]);
        while let Some((schema, looked_at)) = way.last_mut() {
            let schema = *schema;
            let next = outdated.get(schema).and_then(|step| step.targets().get(*looked_at));
            *looked_at += 1;
            match next {
                None => {
                    finished.insert(schema);
                    on_the_way.remove(schema);
                    way.pop();
                }
                Some(next) if on_the_way.contains(next) => {
                    let around = way.iter().map(|(schema, _)| *schema).skip_while(|schema| *schema != next);
                    return Some(Problem::Cycle { around: around.cloned().collect() });
                }
                Some(next) => {
                    if !finished.contains(next) {
                        on_the_way.insert(next);
                        way.push((next, 0));
                    }
                }
            }
        }
    }
    None
}

/// Versions count from 1, and each may have been stored, unless it was said otherwise.
fn gaps(known: &BTreeSet<&EventSchema>, steps: &[Step], beginnings: &BTreeMap<String, u32>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let schema = |name: &str, version| EventSchema::from((name.to_owned(), version));
    let beginning = |name: &str| beginnings.get(name).copied().unwrap_or(1);
    let mut previous: BTreeMap<&str, u32> = BTreeMap::new();
    for known in known {
        let name = known.name();
        let expected =
            previous.get(name).map_or_else(|| beginning(name), |version| version.saturating_add(1));
        if known.version() > expected {
            let (first, last) = (schema(name, expected), schema(name, known.version() - 1));
            problems.push(Problem::Gap { first, last });
        }
        previous.insert(name, known.version());
    }
    let never_stored = steps.iter().map(Step::from).filter(|from| from.version() < beginning(from.name()));
    problems.extend(never_stored.map(|from| Problem::NeverStored { from: from.clone() }));
    for (name, version) in beginnings {
        let first = schema(name, *version);
        if !known.contains(&first) {
            problems.push(Problem::UnknownBeginning { first });
        }
    }
    problems
}

fn assemble(owners: &[Reader], views: &[Reader], steps: &[Step]) -> Nodes {
    let mut nodes = Nodes::new();
    let mut insert = |schema: &EventSchema, node| {
        // It was checked.
        if let Ok(name) = EventType::new(schema.name()) {
            nodes.entry(name).or_default().insert(schema.version(), node);
        }
    };
    for schema in owners.iter().flat_map(|owner| &owner.schemas) {
        let readers = owners.iter().chain(views).filter(|reader| reader.schemas.contains(schema));
        let readers: Vec<TypeId> = readers.map(|reader| reader.id).collect();
        insert(schema, Node::Current(readers));
    }
    for step in steps {
        insert(step.from(), Node::Outdated(step.clone()));
    }
    nodes
}
