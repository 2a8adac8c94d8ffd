use proc_macro2::TokenTree;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Result, Token};

const ON_THE_ENUM: &[(&str, &str)] = &[
    ("tag", "derive(DomainEvent) keeps the event's name apart from its payload: leave serde's `tag` out"),
    (
        "content",
        "derive(DomainEvent) keeps the event's name apart from its payload: leave serde's `content` out",
    ),
    ("untagged", "derive(DomainEvent) finds the variant by the event's name: leave serde's `untagged` out"),
    ("rename_all", "serde's `rename_all` does not name events: write #[event(name = \"…\")] on the variants"),
    ("from", "derive(DomainEvent) reads an enum's variants directly, not `from` another type"),
    ("try_from", "derive(DomainEvent) reads an enum's variants directly, not `try_from` another type"),
    ("into", "derive(DomainEvent) writes an enum's variants directly, not `into` another type"),
    ("remote", "derive(DomainEvent) is for types of your own, which need no `remote`"),
];

const ON_A_VARIANT: &[(&str, &str)] = &[
    ("rename", "serde's `rename` does not name an event: write #[event(name = \"…\")]"),
    ("alias", "serde's `alias` does not make an old name readable: give it to an EventRegistry"),
    ("skip", "every variant is an event, which is written and read: leave serde's `skip` out"),
    ("skip_serializing", "every variant is an event, which is written: leave serde's `skip_serializing` out"),
    (
        "skip_deserializing",
        "every variant is an event, which is read: leave serde's `skip_deserializing` out",
    ),
    ("other", "unknown events are never taken for something else: an EventRegistry can skip or keep them"),
    ("untagged", "derive(DomainEvent) finds the variant by the event's name: leave serde's `untagged` out"),
];

/// Refuses what serde could be told of an enum and would be passed over here.
pub(crate) fn check_enum(attributes: &[Attribute]) -> Result<()> {
    check(attributes, ON_THE_ENUM)
}

/// Refuses what serde could be told of a variant and would be passed over here.
pub(crate) fn check_variant(attributes: &[Attribute]) -> Result<()> {
    check(attributes, ON_A_VARIANT)
}

fn check(attributes: &[Attribute], refused: &[(&str, &str)]) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        attribute.parse_nested_meta(|meta| {
            match refused.iter().find(|(key, _)| meta.path.is_ident(key)) {
                Some((_, hint)) => Err(meta.error(hint)),
                None => pass_over(&meta),
            }
        })?;
    }
    Ok(())
}

/// Whatever follows the key belongs to serde.
fn pass_over(meta: &ParseNestedMeta<'_>) -> Result<()> {
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        meta.input.parse::<TokenTree>()?;
    }
    Ok(())
}
