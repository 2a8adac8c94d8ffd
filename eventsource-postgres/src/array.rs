//! Values as PostgreSQL's arrays take them.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::types::Json;
use sqlx::{Encode, Postgres, Type};

/// JSON text as a `jsonb` value; it is not parsed on the way.
pub(crate) enum JsonText<'a> {
    Borrowed(&'a str),
    Owned(String),
}

impl Type<Postgres> for JsonText<'_> {
    fn type_info() -> PgTypeInfo {
        <Json<()> as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for JsonText<'_> {
    fn array_type_info() -> PgTypeInfo {
        <Json<()> as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for JsonText<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // The version of the binary format.
        buffer.extend_from_slice(&[1]);
        buffer.extend_from_slice(match self {
            Self::Borrowed(text) => text.as_bytes(),
            Self::Owned(text) => text.as_bytes(),
        });
        Ok(IsNull::No)
    }
}

/// A text array in PostgreSQL's notation, every element quoted: arrays of different lengths can't be sent as one.
pub(crate) fn array_literal<'a>(elements: impl Iterator<Item = &'a str>) -> String {
    let mut literal = String::from("{");
    for element in elements {
        if literal.len() > 1 {
            literal.push(',');
        }
        literal.push('"');
        for character in element.chars() {
            if matches!(character, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(character);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

#[cfg(test)]
mod tests {
    use super::array_literal;

    #[test]
    fn every_element_is_quoted() {
        assert_eq!(array_literal([].into_iter()), "{}");
        assert_eq!(
            array_literal([r#"a:{"b\",NULL}"#, "NULL", ""].into_iter()),
            r#"{"a:{\"b\\\",NULL}","NULL",""}"#
        );
    }
}
