use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, Field, GenericArgument, Member, PathArguments, Result, Type};

use crate::event_attributes::{EventAttributes, Place};

/// A field that tags are made of.
pub(crate) struct TaggedField {
    pub(crate) member: Member,
    pub(crate) tags: Tags,
    /// Where complaints about its type belong.
    pub(crate) span: Span,
}

/// How tags are made of it.
pub(crate) enum Tags {
    /// One for each value that is found when so many lists are opened.
    Keyed { key: String, lists: usize },
    /// Its own.
    Own,
}

impl TaggedField {
    /// None if no tag is made of the field.
    pub(crate) fn parse(index: usize, field: &Field) -> Result<Option<Self>> {
        let attributes = EventAttributes::parse(&field.attrs, Place::Field)?;
        let member = field.ident.clone().map_or_else(|| Member::from(index), Member::from);
        let tags = match (attributes.tag, attributes.tags) {
            (None, None) => return Ok(None),
            (Some(_), Some(span)) => {
                return Err(Error::new(
                    span,
                    "`tag` makes the field a tag, `tags` takes its own: one of them",
                ));
            }
            (None, Some(_)) => Tags::Own,
            (Some(tag), None) => {
                let key = match (tag.key, &field.ident) {
                    (Some(key), _) => key.value(),
                    (None, Some(name)) => name.unraw().to_string(),
                    (None, None) => {
                        let wrong =
                            "this field has no name to be the tag's key: write #[event(tag = \"key\")]";
                        return Err(Error::new(tag.span, wrong));
                    }
                };
                Tags::Keyed { key, lists: lists(&field.ty).0 }
            }
        };
        Ok(Some(Self { member, tags, span: lists(&field.ty).1.span() }))
    }
}

/// How many `Option`s and lists the type is, one in the other, and what is in the innermost.
fn lists(of: &Type) -> (usize, &Type) {
    let element = match of {
        Type::Array(array) => Some(&*array.elem),
        Type::Paren(paren) => return lists(&paren.elem),
        Type::Group(group) => return lists(&group.elem),
        Type::Path(path) => path.path.segments.last().and_then(|segment| {
            let names = ["Option", "Vec", "VecDeque", "LinkedList", "BTreeSet", "HashSet", "BinaryHeap"];
            let is_list = names.iter().any(|name| segment.ident == name);
            match &segment.arguments {
                PathArguments::AngleBracketed(arguments) if is_list => match arguments.args.first() {
                    Some(GenericArgument::Type(element)) => Some(element),
                    _ => None,
                },
                _ => None,
            }
        }),
        _ => None,
    };
    element.map_or((0, of), |element| {
        let (count, innermost) = lists(element);
        (count + 1, innermost)
    })
}
