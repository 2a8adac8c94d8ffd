use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Path;

use crate::input::{DomainEvent, Event, Kind};
use crate::tagged_field::{TaggedField, Tags};

/// The implementation of the trait.
pub(crate) fn expand(event: &DomainEvent) -> TokenStream {
    let DomainEvent { ident, krate, kind } = event;
    let (events, encode, decode) = match kind {
        Kind::Struct(event) => (
            std::slice::from_ref(event),
            quote! { #krate::__private::encode_struct(self) },
            quote! { #krate::__private::decode_struct(event) },
        ),
        Kind::Enum(events) => {
            let variants = events.iter().map(|event| &event.ident);
            let indexes = 0..events.len();
            (
                events.as_slice(),
                quote! {
                    let index: usize = match self { #(Self::#variants { .. } => #indexes,)* };
                    #krate::__private::encode_variant(self, index)
                },
                quote! { #krate::__private::decode_variant(event) },
            )
        }
    };
    let schemas =
        events.iter().map(|Event { name, version, .. }| quote!(#krate::EventSchema::new(#name, #version)));
    let tag_arms = events.iter().map(|event| {
        let variant = &event.ident;
        let path = if matches!(kind, Kind::Struct(_)) { quote!(Self) } else { quote!(Self::#variant) };
        tag_arm(&path, event, krate)
    });
    quote! {
        #[automatically_derived]
        impl #krate::DomainEvent for #ident {
            const SCHEMAS: &'static [#krate::EventSchema] = &[#(#schemas),*];

            fn tags(&self) -> #krate::Result<#krate::__private::Vec<#krate::Tag>> {
                #[allow(unused_mut, reason = "not every type has tags")]
                let mut tags = #krate::__private::Vec::new();
                match self { #(#tag_arms)* }
                #krate::__private::Ok(tags)
            }

            fn encode(&self) -> #krate::Result<#krate::NewEvent> {
                #encode
            }

            fn decode(event: &#krate::RecordedEvent) -> #krate::Result<Self> {
                #decode
            }
        }
    }
}

/// Adds one event's tags.
fn tag_arm(path: &TokenStream, event: &Event, krate: &Path) -> TokenStream {
    let members = event.tagged_fields.iter().map(|field| &field.member);
    // Complaints about a field's type point at the type.
    let bindings: Vec<_> = event
        .tagged_fields
        .iter()
        .enumerate()
        .map(|(index, field)| format_ident!("field_{index}", span = field.span))
        .collect();
    let additions = event
        .tagged_fields
        .iter()
        .zip(&bindings)
        .map(|(field, binding)| added(field, &quote!(#binding), krate));
    quote! { #path { #(#members: #bindings,)* .. } => { #(#additions)* } }
}

fn added(TaggedField { tags, span, .. }: &TaggedField, value: &TokenStream, krate: &Path) -> TokenStream {
    match tags {
        Tags::Own => quote_spanned! { *span => tags.extend(#krate::DomainEvent::tags(#value)?); },
        Tags::Keyed { key, lists: 0 } => {
            quote_spanned! { *span => tags.push(#krate::__private::tag(#key, #value)?); }
        }
        Tags::Keyed { key, lists } => {
            let one_less = Tags::Keyed { key: key.clone(), lists: lists - 1 };
            let element = format_ident!("element_{lists}", span = *span);
            let inner = TaggedField { member: 0.into(), tags: one_less, span: *span };
            let body = added(&inner, &quote!(#element), krate);
            quote_spanned! { *span => for #element in #value.iter() { #body } }
        }
    }
}
