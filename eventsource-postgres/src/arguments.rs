//! The arguments of a call.

/// Adds values to the arguments, in their order; whoever uses it returns the error.
macro_rules! add {
    ($arguments:ident, $($value:expr),* $(,)?) => { $(
        sqlx::Arguments::add(&mut $arguments, $value).map_err(|error| {
            eventsource_core::Error::invalid_input("an append can't be sent to the database").with_source(error)
        })?;
    )* };
}

pub(crate) use add;
