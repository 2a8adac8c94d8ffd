use std::fmt;

use crate::{Error, EventSchema};

/// Why an [`EventRegistry`](crate::EventRegistry) was not built: everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryError {
    problems: Vec<RegistryProblem>,
}

/// One thing that is wrong with a registry. Its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RegistryProblem {
    /// A type does not say which events it knows.
    SaysNothing {
        /// The type.
        reader: &'static str,
    },
    /// No event can have this name or this version.
    InvalidSchema {
        /// The schema.
        schema: EventSchema,
        /// Why not.
        reason: String,
    },
    /// Two types own events of one name.
    ClaimedTwice {
        /// The name.
        name: String,
        /// One of the types.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A view reads what no registered type owns.
    NotOwned {
        /// What it reads.
        schema: EventSchema,
        /// The view.
        view: &'static str,
    },
    /// Two upcasters begin at one schema.
    TwoUpcasters {
        /// Where they begin.
        from: EventSchema,
    },
    /// An upcaster begins at what a type reads as it is.
    UpcastsCurrent {
        /// Where it begins.
        from: EventSchema,
        /// Who reads it.
        reader: &'static str,
    },
    /// An upcaster leads to what no type reads and no upcaster takes further.
    UnknownTarget {
        /// Where it begins.
        from: EventSchema,
        /// Where it ends.
        to: EventSchema,
    },
    /// A split names two targets of one name, or none.
    AmbiguousSplit {
        /// Where it begins.
        from: EventSchema,
    },
    /// Older schemas of a name lead nowhere.
    Gap {
        /// The first one that does.
        first: EventSchema,
        /// The last one that does.
        last: EventSchema,
    },
    /// Upcasters lead back to where they began.
    Cycle {
        /// Once around.
        around: Vec<EventSchema>,
    },
    /// An upcaster begins at a schema that was never stored, so it was said.
    NeverStored {
        /// Where it begins.
        from: EventSchema,
    },
    /// It was said with which version a name begins, and there is no such version.
    UnknownBeginning {
        /// What was said.
        first: EventSchema,
    },
}

impl RegistryError {
    pub(super) fn new(mut problems: Vec<RegistryProblem>) -> Self {
        problems.sort();
        problems.dedup();
        Self { problems }
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[RegistryProblem] {
        &self.problems
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event registry can't be built")?;
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{} {problem}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for RegistryError {}

impl From<RegistryError> for Error {
    fn from(error: RegistryError) -> Self {
        Self::invalid_input(error.to_string()).with_source(error)
    }
}

impl fmt::Display for RegistryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SaysNothing { reader } => {
                write!(
                    f,
                    "{reader} does not say which events it knows: derive DomainEvent, or write its SCHEMAS"
                )
            }
            Self::InvalidSchema { schema, reason } => {
                write!(f, "there is no event {:?} v{}: {reason}", schema.name(), schema.version())
            }
            Self::ClaimedTwice { name, first, second } => write!(
                f,
                "{first} and {second} both claim the name {name}: rename one's event, or register one as a view"
            ),
            Self::NotOwned { schema, view } => write!(
                f,
                "{view} is a view of {schema}, which no registered type owns: register the owner as well, or the view \
                 as an event of its own"
            ),
            Self::TwoUpcasters { from } => {
                write!(f, "two upcasters begin at {from}: leave one out, or make a split of both")
            }
            Self::UpcastsCurrent { from, reader } => write!(
                f,
                "{reader} reads {from} as it is, and an upcaster begins there: give the type a new version, or leave the \
                 upcaster out"
            ),
            Self::UnknownTarget { from, to } => write!(
                f,
                "the upcaster from {from} leads to {to}, which no registered type reads: register the type, or add the \
                 upcaster from {to}"
            ),
            Self::AmbiguousSplit { from } => {
                write!(
                    f,
                    "the split of {from} needs targets of different names: an event that is gone is dropped instead"
                )
            }
            Self::Gap { first, last } if first == last => {
                write!(
                    f,
                    "nothing reads {first}: add the upcaster from it, or say with `begins_at` that it never was"
                )
            }
            Self::Gap { first, last } => write!(
                f,
                "nothing reads {first} to v{}: add the upcasters from them, or say with `begins_at` that they never were",
                last.version()
            ),
            Self::Cycle { around } => {
                f.write_str("upcasters go around in a circle: ")?;
                for schema in around {
                    write!(f, "{schema} → ")?;
                }
                match around.first() {
                    Some(first) => write!(f, "{first}; give what is newest a version of its own"),
                    None => Ok(()),
                }
            }
            Self::NeverStored { from } => {
                write!(
                    f,
                    "the upcaster from {from} is never asked: `begins_at` says that no such event was stored"
                )
            }
            Self::UnknownBeginning { first } => {
                write!(
                    f,
                    "`begins_at` names {first}, which nothing reads: name the oldest version that was stored"
                )
            }
        }
    }
}
