use super::*;
use crate::ErrorKind;

fn refused(json: &str) {
    let error = Payload::from_json(json).expect_err(json);
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{json}");
}

#[test]
fn what_no_store_could_give_back_is_refused() {
    refused("");
    refused("{");
    refused("1 2");
    refused("NaN");
    refused(r#"{"a":1,"a":2}"#);
    refused(r#"{"x":{"a":1,"\u0061":2}}"#);
    refused(r#""\u0000""#);
    refused(r#"{"\u0000":1}"#);
    refused(r#""\ud800""#);
    refused("1e999");
    refused("1e-20000");
    refused(&"1".repeat(1_001));
    refused(&format!("{}{}", "[".repeat(200), "]".repeat(200)));
    let many = (0..40).map(|key| format!(r#""k{key}":0,"#)).collect::<String>();
    refused(&format!(r#"{{{many}"k39":1}}"#));
}

#[test]
fn floats_that_json_cannot_spell_are_refused() {
    #[derive(Serialize)]
    struct Reading {
        values: Vec<Option<f64>>,
    }
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = Payload::from_serialize(&Reading { values: vec![Some(1.0), Some(float)] }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(Payload::from_serialize(&Reading { values: vec![Some(1.5), None] }).is_ok());
}

#[test]
fn equality_is_by_value_and_exact() {
    let payload = |json: &str| Payload::from_json(json).unwrap();
    assert_eq!(payload(r#"{"a":[1.0,-0],"b":"\u0041"}"#), payload(r#" {"b":"A", "a":[10e-1,0]}"#));
    assert_ne!(payload("9007199254740993"), payload("9007199254740992"));
    assert_ne!(payload("0.1"), payload("0.10000000000000000001"));
    assert_ne!(payload("1"), payload(r#""1""#));
    assert_ne!(payload("[1,2]"), payload("[2,1]"));
}

#[test]
fn lookup_follows_object_keys_only() {
    let found = |json, path: &[&str]| lookup(json, path).unwrap().map(str::to_owned);
    let json = r#"{"a":{"b.c":{"d\n":7}},"list":[{"x":1}],"n":null}"#;
    assert_eq!(found(json, &["a", "b.c", "d\n"]).as_deref(), Some("7"));
    assert_eq!(found(json, &["n"]).as_deref(), Some("null"));
    assert_eq!(found(json, &["list", "x"]), None);
    assert_eq!(found(json, &["a", "missing"]), None);
    assert_eq!(found("[1]", &["a"]), None);
    assert!(lookup(r#"{"a":1,"#, &["b"]).is_err());
}

#[test]
fn debug_shows_no_content() {
    assert_eq!(format!("{:?}", Payload::from_json(r#""secret""#).unwrap()), "Payload(8 bytes)");
}

#[test]
fn a_misfit_says_what_was_expected_and_not_what_was_there() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is never made")]
    struct Card {
        number: u64,
        owner: uuid::Uuid,
    }
    #[derive(Debug, Deserialize)]
    enum Colour {
        Red,
    }
    fn misfit<T: std::fmt::Debug + for<'de> Deserialize<'de>>(json: &str) -> String {
        let error = Payload::from_json(json).unwrap().deserialize::<T>().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(!format!("{error:?} {error} {cause}").contains("4111"), "{error:?}");
        cause
    }
    assert_eq!(misfit::<Card>(r#"{"number":"4111"}"#), "invalid type, expected u64 at line 1 column 16");
    assert_eq!(misfit::<Card>(r#"{"number":-4111}"#), "invalid value, expected u64 at line 1 column 15");
    assert_eq!(misfit::<Card>(r#"{"number":1}"#), "missing field `owner` at line 1 column 12");
    assert!(misfit::<Card>(r#"{"number":1,"owner":"4111, expected 4111"}"#).ends_with("is refused"));
    assert_eq!(misfit::<Colour>(r#""4111""#), "unknown variant, expected `Red` at line 1 column 6");
    assert_eq!(misfit::<Vec<u8>>(r#"[4111]"#), "invalid value, expected u8 at line 1 column 5");
    let _ = Colour::Red;
}

#[test]
fn a_number_is_bounded_as_it_is_written_out_and_reads_back_as_itself() {
    for (spelt, written_out) in [
        ("1200", "1200"),
        ("-1.50e3", "-1500"),
        ("-0.0", "0"),
        ("0.00120", "0.0012"),
        ("12.5e-1", "1.25"),
        ("12.5e-2", "0.125"),
        ("5E-3", "0.005"),
    ] {
        assert_eq!(Number::parse(spelt).unwrap().to_string(), written_out, "{spelt}");
    }
    let small = format!("0.{}1", "0".repeat(997));
    let exact = format!("0.{}", "9".repeat(998));
    refused(&format!("-{exact}"));
    for longest in [small.as_str(), &exact, "1e-998", "1.7976931348623157e308", "5e-324"] {
        let number = Number::parse(longest).unwrap();
        assert_eq!(Number::parse(&number.to_string()), Some(number), "{longest}");
        assert!(Payload::from_json(longest).is_ok(), "{longest}");
    }
    // PostgreSQL spells these with more characters than a number has.
    refused(&format!("0.{}1e-400", "0".repeat(900)));
    refused("1e-1000");
    refused("0e-1000");
    refused("0e99999999999999999999");
}

#[test]
fn a_value_is_exact_or_none() {
    for exact in
        ["18446744073709551615", "-9223372036854775808", "0.1", "[1,{\"a\\\"1.5e9\":2}]", "1e2", "1.50", "-0"]
    {
        let payload = Payload::from_json(exact).unwrap();
        let value = payload.to_exact_value().unwrap().expect(exact);
        assert_eq!(Payload::from_serialize(&value).unwrap(), payload, "{exact}");
    }
    for other in ["18446744073709551616", "0.10000000000000000001", "[1,{\"a\":12345678901234567890123}]"] {
        assert_eq!(Payload::from_json(other).unwrap().to_exact_value().unwrap(), None, "{other}");
    }
}
