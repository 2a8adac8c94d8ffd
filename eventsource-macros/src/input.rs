use std::collections::HashMap;

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, Ident, LitStr, Path, Result, Variant};

use crate::event_attributes::{EventAttributes, Place};
use crate::serde_attributes;
use crate::tagged_field::TaggedField;

/// A type that is to be a `DomainEvent`.
pub(crate) struct DomainEvent {
    pub(crate) ident: Ident,
    /// Where `eventsource-core` is.
    pub(crate) krate: Path,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Enum(Vec<Event>),
    Struct(Event),
}

/// One event: a variant, or the struct.
pub(crate) struct Event {
    pub(crate) ident: Ident,
    pub(crate) name: LitStr,
    pub(crate) version: u32,
    pub(crate) tagged_fields: Vec<TaggedField>,
}

impl DomainEvent {
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        if !input.generics.params.is_empty() {
            let wrong =
                "an event has no generic parameters: it is stored under one name, and read back as one type";
            return Err(Error::new(input.generics.span(), wrong));
        }
        let (kind, krate) = match &input.data {
            Data::Union(union) => {
                return Err(Error::new(
                    union.union_token.span(),
                    "a union can't be an event: write an enum, or a struct",
                ));
            }
            Data::Struct(data) => {
                let attributes = EventAttributes::parse(&input.attrs, Place::Struct)?;
                let krate = attributes.krate.clone();
                (Kind::Struct(Event::new(&input.ident, attributes, &data.fields)?), krate)
            }
            Data::Enum(data) => {
                let mut errors = Errors::default();
                let attributes = errors.keep(EventAttributes::parse(&input.attrs, Place::Enum));
                errors.keep(serde_attributes::check_enum(&input.attrs));
                let events = errors.keep(variants(input, data));
                errors.none()?;
                (Kind::Enum(events.unwrap_or_default()), attributes.and_then(|attributes| attributes.krate))
            }
        };
        let krate = krate.map_or_else(|| syn::parse_str("::eventsource_core"), Ok)?;
        Ok(Self { ident: input.ident.clone(), krate, kind })
    }
}

fn variants(input: &DeriveInput, data: &DataEnum) -> Result<Vec<Event>> {
    if data.variants.is_empty() {
        let wrong = "an enum without variants has no events: each variant is one";
        return Err(Error::new(input.ident.span(), wrong));
    }
    let mut errors = Errors::default();
    let events: Vec<Event> =
        data.variants.iter().filter_map(|variant| errors.keep(Event::of_variant(variant))).collect();
    let mut names: HashMap<String, &Event> = HashMap::new();
    for event in &events {
        if let Some(first) = names.insert(event.name.value(), event) {
            let (name, first) = (event.name.value(), &first.ident);
            let wrong = format!(
                "`{first}` and `{}` are both called \"{name}\" in the log: no reader could tell them apart",
                event.ident
            );
            errors.keep::<()>(Err(Error::new(event.name.span(), wrong)));
        }
    }
    errors.none().map(|()| events)
}

impl Event {
    fn of_variant(variant: &Variant) -> Result<Self> {
        serde_attributes::check_variant(&variant.attrs)?;
        let attributes = EventAttributes::parse(&variant.attrs, Place::Variant)?;
        Self::new(&variant.ident, attributes, &variant.fields)
    }

    fn new(ident: &Ident, attributes: EventAttributes, fields: &Fields) -> Result<Self> {
        let mut errors = Errors::default();
        let tagged_fields = fields
            .iter()
            .enumerate()
            .filter_map(|(index, field)| errors.keep(TaggedField::parse(index, field)).flatten())
            .collect();
        errors.none()?;
        Ok(Self {
            ident: ident.clone(),
            name: attributes.name.unwrap_or_else(|| LitStr::new(&ident.unraw().to_string(), ident.span())),
            version: attributes.version.unwrap_or(1),
            tagged_fields,
        })
    }
}

/// All complaints, so that nobody has to come back for each.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        match &mut self.0 {
            None => self.0 = Some(error),
            Some(first) => first.combine(error),
        }
        None
    }

    fn none(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
