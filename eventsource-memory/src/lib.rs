//! An event store in memory: the whole contract but durability.
