use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, Lit, LitStr, Path, Result};

/// What `#[event(…)]` says of one thing.
#[derive(Default)]
pub(crate) struct EventAttributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<u32>,
    pub(crate) tag: Option<TagKey>,
    pub(crate) tags: Option<Span>,
    pub(crate) krate: Option<Path>,
}

/// `#[event(tag)]` or `#[event(tag = "key")]`.
pub(crate) struct TagKey {
    pub(crate) key: Option<LitStr>,
    pub(crate) span: Span,
}

/// Where an attribute stands, and what it may say there.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Enum,
    Struct,
    Variant,
    Field,
}

impl Place {
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Enum => &["crate"],
            Self::Struct => &["name", "version", "crate"],
            Self::Variant => &["name", "version"],
            Self::Field => &["tag", "tags"],
        }
    }

    fn called(self) -> &'static str {
        match self {
            Self::Enum => "an enum",
            Self::Struct => "a struct",
            Self::Variant => "a variant",
            Self::Field => "a field",
        }
    }

    /// Where `key` may stand, if not here.
    fn elsewhere(self, key: &str) -> Option<&'static str> {
        match (self, key) {
            (Self::Enum, "name" | "version") => Some("each variant is an event: write it on the variant"),
            (Self::Enum | Self::Struct | Self::Variant, "tag" | "tags") => {
                Some("a tag's value is a field's: write it on the field")
            }
            (Self::Field, "name") => Some("serde names fields: write #[serde(rename = \"…\")]"),
            (Self::Field, "version") => Some("it is the event's: write it on the variant, or on the struct"),
            (Self::Variant | Self::Field, "crate") => Some("write it on the type"),
            _ => None,
        }
    }

    fn refuse(self, meta: &ParseNestedMeta<'_>) -> Error {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if let Some(hint) = self.elsewhere(&key) {
            return meta.error(format!("`{key}` does not belong on {}; {hint}", self.called()));
        }
        let near = self.keys().iter().copied().find(|known| strsim::damerau_levenshtein(known, &key) <= 2);
        let known: Vec<String> = self.keys().iter().map(|key| format!("`{key}`")).collect();
        let place = self.called();
        meta.error(match near {
            Some(near) => format!("there is no `{key}` in #[event(…)]; did you mean `{near}`?"),
            None => {
                format!("there is no `{key}` in #[event(…)]; on {place} there may be {}", known.join(", "))
            }
        })
    }
}

impl EventAttributes {
    pub(crate) fn parse(attributes: &[Attribute], place: Place) -> Result<Self> {
        let mut parsed = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("event")) {
            attribute.parse_nested_meta(|meta| parsed.take(&meta, place))?;
        }
        Ok(parsed)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>, place: Place) -> Result<()> {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if !place.keys().contains(&key.as_str()) {
            return Err(place.refuse(meta));
        }
        let given_twice = match key.as_str() {
            "name" => self.name.replace(name(meta)?).is_some(),
            "version" => self.version.replace(version(meta)?).is_some(),
            "tag" => self.tag.replace(tag(meta)?).is_some(),
            "tags" => self.tags.replace(meta.path.span()).is_some(),
            _ => self.krate.replace(meta.value()?.parse::<LitStr>()?.parse()?).is_some(),
        };
        if given_twice { Err(meta.error(format!("`{key}` is given twice"))) } else { Ok(()) }
    }
}

fn name(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let name = string(meta, "a name is text: name = \"OrderPlaced\"")?;
    let text = name.value();
    let wrong = if text.is_empty() {
        "an event's name is never empty"
    } else if text.contains('\0') {
        "an event's name never contains a NUL character: no store could keep it"
    } else if text.len() > 255 {
        "an event's name has at most 255 bytes"
    } else {
        return Ok(name);
    };
    Err(Error::new(name.span(), wrong))
}

fn version(meta: &ParseNestedMeta<'_>) -> Result<u32> {
    let value: Expr = meta.value()?.parse()?;
    let Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) = &value else {
        return Err(Error::new(value.span(), "a schema version is a number: version = 2"));
    };
    match number.base10_parse::<u32>() {
        Ok(0) => Err(Error::new(number.span(), "schema versions count from 1")),
        Ok(version) if i32::try_from(version).is_ok() => Ok(version),
        _ => Err(Error::new(number.span(), "a schema version is at most 2147483647")),
    }
}

fn tag(meta: &ParseNestedMeta<'_>) -> Result<TagKey> {
    let span = meta.path.span();
    if !meta.input.peek(syn::Token![=]) {
        return Ok(TagKey { key: None, span });
    }
    let key = string(meta, "a tag's key is text: tag = \"order\"")?;
    let text = key.value();
    let wrong = if text.is_empty() {
        "a tag's key is never empty; `tag` alone takes the field's name"
    } else if text.contains(':') {
        "a tag's key never contains a colon: it ends there, and the value begins"
    } else if text.contains('\0') {
        "a tag's key never contains a NUL character: no store could keep it"
    } else if text.len() > 255 {
        "a tag's key has at most 255 bytes here, to leave room for the value"
    } else {
        return Ok(TagKey { key: Some(key), span });
    };
    Err(Error::new(key.span(), wrong))
}

fn string(meta: &ParseNestedMeta<'_>, otherwise: &str) -> Result<LitStr> {
    let value: Expr = meta.value()?.parse()?;
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        other => Err(Error::new(other.span(), otherwise)),
    }
}
