use serde::ser::{Error, Impossible, SerializeStructVariant, SerializeTupleVariant};
use serde::ser::{SerializeStruct, SerializeTuple};
use serde::{Serialize, Serializer};

/// What an enum's variant holds, without the variant's name: serialised by serde's own derive, of which only the
/// wrapping is left out.
pub(super) struct Content<'a, E>(pub(super) &'a E);

impl<E: Serialize> Serialize for Content<'_, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Unwrapped(serializer))
    }
}

/// Takes variants only, and passes on what they hold.
struct Unwrapped<S>(S);

impl<S: Serializer> Unwrapped<S> {
    fn refuse<T>(self) -> Result<T, S::Error> {
        Err(S::Error::custom("a derived domain event serialises as serde derives it"))
    }
}

macro_rules! refuse {
    ($($method:ident($($kind:ty),*) -> $ok:ty;)*) => { $(
        fn $method(self $(, _: $kind)*) -> Result<$ok, S::Error> {
            self.refuse()
        }
    )* };
}

impl<S: Serializer> Serializer for Unwrapped<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Elements<S::SerializeTuple>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = Elements<S::SerializeStruct>;

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self.0)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.0.serialize_tuple(len).map(Elements)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct(variant, len).map(Elements)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<S::Ok, S::Error> {
        self.refuse()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        self.refuse()
    }

    refuse! {
        serialize_bool(bool) -> S::Ok; serialize_char(char) -> S::Ok; serialize_str(&str) -> S::Ok;
        serialize_bytes(&[u8]) -> S::Ok; serialize_i8(i8) -> S::Ok; serialize_i16(i16) -> S::Ok;
        serialize_i32(i32) -> S::Ok; serialize_i64(i64) -> S::Ok; serialize_i128(i128) -> S::Ok;
        serialize_u8(u8) -> S::Ok; serialize_u16(u16) -> S::Ok; serialize_u32(u32) -> S::Ok;
        serialize_u64(u64) -> S::Ok; serialize_u128(u128) -> S::Ok; serialize_f32(f32) -> S::Ok;
        serialize_f64(f64) -> S::Ok; serialize_none() -> S::Ok; serialize_unit() -> S::Ok;
        serialize_unit_struct(&'static str) -> S::Ok;
        serialize_seq(Option<usize>) -> Self::SerializeSeq; serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
    }
}

/// What a variant holds, in the parts of a tuple or of a struct.
struct Elements<P>(P);

impl<P: SerializeTuple> SerializeTupleVariant for Elements<P> {
    type Ok = P::Ok;
    type Error = P::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), P::Error> {
        self.0.serialize_element(value)
    }

    fn end(self) -> Result<P::Ok, P::Error> {
        self.0.end()
    }
}

impl<P: SerializeStruct> SerializeStructVariant for Elements<P> {
    type Ok = P::Ok;
    type Error = P::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), P::Error> {
        self.0.serialize_field(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), P::Error> {
        self.0.skip_field(key)
    }

    fn end(self) -> Result<P::Ok, P::Error> {
        self.0.end()
    }
}
