//! The derive macro of `eventsource-core`, which re-exports it: see `DomainEvent` there.

mod event_attributes;
mod expand;
mod input;
mod serde_attributes;
mod tagged_field;

use proc_macro::TokenStream;

/// Makes an enum or a struct a `DomainEvent`: each variant, or the struct, is one event. The type also derives serde's
/// `Serialize` and `Deserialize`, without a `tag` of serde's; what serde says of fields holds.
///
/// ```
/// use eventsource_core::DomainEvent;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, DomainEvent)]
/// enum OrderEvent {
///     // Stored as "OrderPlaced", schema version 2, with the tags "customer:…" and, for each of them, "product:…".
///     #[event(version = 2)]
///     OrderPlaced {
///         #[event(tag = "customer")]
///         customer_id: String,
///         #[event(tag = "product")]
///         products: Vec<String>,
///         total_cents: u64,
///     },
///     // The name in Rust has changed, the one in the log stays.
///     #[event(name = "OrderSent")]
///     Shipped { tracking_number: String },
///     Cancelled,
/// }
///
/// let placed = OrderEvent::OrderPlaced { customer_id: "c1".into(), products: vec!["p1".into()], total_cents: 250 };
/// let event = placed.encode()?;
/// assert_eq!((event.event_type().as_str(), event.payload_schema_version()), ("OrderPlaced", 2));
/// assert_eq!(event.payload().as_json(), r#"{"customer_id":"c1","products":["p1"],"total_cents":250}"#);
/// assert_eq!(event.all_tags(), ["customer:c1".parse()?, "product:p1".parse()?]);
/// # Ok::<(), eventsource_core::Error>(())
/// ```
///
/// # On a variant, or on a struct
/// - `#[event(name = "…")]`: the name on the wire, which stays when Rust's names change. Without it, that is the
///   identifier as written, so that events that were stored through serde's `tag` and `content` go on being read.
///   A renamed variant needs the old name here; should it be forgotten, reading stops with an error, and nothing is
///   left out.
/// - `#[event(version = 2)]`: the version of the payload's schema, 1 unless told. Stored events of another version are
///   errors, until an `EventRegistry` has an upcaster for them.
///
/// # On a field
/// - `#[event(tag)]`, `#[event(tag = "key")]`: the event carries the tag `key:value`; the key is the field's name unless
///   told. The value is anything that displays. Of an `Option`, a `Vec`, an array, or another list or set of the standard
///   library, each element makes a tag; such a type must be written out, not hidden behind an alias.
/// - `#[event(tags)]`: the event carries the tags of the field, which is a `DomainEvent` itself.
///
/// # On the type
/// - `#[event(crate = "path")]`: where `eventsource-core` is, if not at `::eventsource_core`.
#[proc_macro_derive(DomainEvent, attributes(event))]
pub fn derive_domain_event(input: TokenStream) -> TokenStream {
    let parsed = syn::parse(input).and_then(|input| input::DomainEvent::parse(&input));
    parsed.map_or_else(syn::Error::into_compile_error, |event| expand::expand(&event)).into()
}
