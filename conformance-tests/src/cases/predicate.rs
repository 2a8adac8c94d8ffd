//! Which events a filter finds by what their payload says.

use eventsource_core::{Append, Filter, FilterItem, NewEvent, PayloadPath, Result, Scalar};

use crate::given::{found, log_of, names, with_json};
use crate::{CaseResult, Cx};

/// Appends an event for each JSON text: `E0`, `E1`, …
async fn payloads(cx: &Cx, texts: &[&str]) -> CaseResult {
    let events = texts.iter().zip(0..).map(|(json, number)| with_json(&format!("E{number}"), json));
    cx.store().append(Append::events(events)).await?;
    Ok(())
}

fn all(item: Result<FilterItem>) -> CaseResult<Filter> {
    Ok(Filter::any_of([item?])?)
}

/// Holds what the store finds against the one definition, and against these events' numbers.
async fn finds(cx: &Cx, filter: Filter, expected: &[usize]) -> CaseResult {
    let log = log_of(cx.store()).await?;
    let matching: Vec<_> = log.iter().filter(|event| filter.matches(event)).cloned().collect();
    let found = found(cx.store(), filter.clone()).await?;
    assert_eq!(names(&found), names(&matching), "{filter:?}");
    assert_eq!(
        names(&found),
        expected.iter().map(|number| format!("E{number}")).collect::<Vec<_>>(),
        "{filter:?}"
    );
    Ok(())
}

pub async fn all_must_hold_or_any_must(cx: Cx) -> CaseResult {
    payloads(&cx, &[r#"{"a":1,"b":2}"#, r#"{"a":1}"#, r#"{"b":2,"c":3}"#, r#"{"c":3}"#, "{}"]).await?;
    let item = FilterItem::new;
    finds(&cx, all(item().all_payload("a", 1)?.all_payload("b", 2))?, &[0]).await?;
    finds(&cx, all(item().any_payload("a", 1)?.any_payload("b", 2))?, &[0, 1, 2]).await?;
    finds(&cx, all(item().all_payload("b", 2)?.any_payload("a", 1)?.any_payload("c", 3))?, &[0, 2]).await?;
    finds(&cx, all(item().all_payload("a", 1)?.any_payload("c", 3))?, &[]).await?;
    finds(&cx, all(item().event_type("E2")?.any_payload("b", 2))?, &[2]).await
}

pub async fn numbers_compare_by_value(cx: Cx) -> CaseResult {
    payloads(
        &cx,
        &[
            r#"{"n":1}"#,
            r#"{"n":1.0}"#,
            r#"{"n":10e-1}"#,
            r#"{"n":1.0000000000000001}"#,
            r#"{"n":"1"}"#,
            r#"{"n":true}"#,
            r#"{"n":9007199254740993}"#,
            r#"{"n":9007199254740992}"#,
            r#"{"n":18446744073709551615}"#,
            r#"{"n":-0}"#,
            r#"{"n":0.0}"#,
            r#"{"n":0.1}"#,
            r#"{"n":1e300}"#,
        ],
    )
    .await?;
    let number = |value: &str| all(FilterItem::new().all_payload("n", Scalar::number(value)?));
    finds(&cx, number("1")?, &[0, 1, 2]).await?;
    finds(&cx, number("1.00")?, &[0, 1, 2]).await?;
    finds(&cx, number("1.0000000000000001")?, &[3]).await?;
    finds(&cx, number("9007199254740993")?, &[6]).await?;
    finds(&cx, all(FilterItem::new().all_payload("n", 9_007_199_254_740_992_i64))?, &[7]).await?;
    finds(&cx, all(FilterItem::new().all_payload("n", u64::MAX))?, &[8]).await?;
    finds(&cx, all(FilterItem::new().all_payload("n", 0))?, &[9, 10]).await?;
    finds(&cx, all(FilterItem::new().all_payload("n", -0.0))?, &[9, 10]).await?;
    finds(&cx, all(FilterItem::new().all_payload("n", 0.1))?, &[11]).await?;
    finds(&cx, number("10e299")?, &[12]).await?;
    finds(&cx, all(FilterItem::new().all_payload("n", "1"))?, &[4]).await
}

pub async fn the_longest_and_smallest_numbers_are_found(cx: Cx) -> CaseResult {
    let (small, exact) = (format!("0.{}1", "0".repeat(997)), format!("0.{}", "9".repeat(998)));
    let numbers = [&small, "5e-324", "1e-400", "-1.7976931348623157e308", &exact];
    let texts = numbers.map(|number| format!(r#"{{"n":{number}}}"#));
    payloads(&cx, &texts.each_ref().map(String::as_str)).await?;
    for (number, index) in numbers.into_iter().zip(0..) {
        finds(&cx, all(FilterItem::new().all_payload("n", Scalar::number(number)?))?, &[index]).await?;
    }
    Ok(())
}

pub async fn strings_compare_character_by_character(cx: Cx) -> CaseResult {
    payloads(
        &cx,
        &[
            r#"{"s":"ann"}"#,
            r#"{"s":"Ann"}"#,
            r#"{"s":"ann "}"#,
            r#"{"s":""}"#,
            r#"{"s":"\u0061nn"}"#,
            r#"{"s":"é"}"#,
            "{\"s\":\"e\u{301}\"}",
            r#"{"s":"O'Brien"}"#,
            r#"{"s":"say \"hi\" \\ \n"}"#,
            r#"{"s":"\ud83d\ude00"}"#,
        ],
    )
    .await?;
    for (text, expected) in [
        ("ann", &[0, 4][..]),
        ("Ann", &[1]),
        ("ann ", &[2]),
        ("", &[3]),
        ("é", &[5]),
        ("e\u{301}", &[6]),
        ("O'Brien", &[7]),
        ("say \"hi\" \\ \n", &[8]),
        ("\u{1f600}", &[9]),
        ("an", &[]),
        ("a%", &[]),
        ("\\u0061nn", &[]),
    ] {
        finds(&cx, all(FilterItem::new().all_payload("s", text))?, expected).await?;
    }
    Ok(())
}

pub async fn null_booleans_and_their_names_differ(cx: Cx) -> CaseResult {
    payloads(
        &cx,
        &[
            r#"{"v":null}"#,
            "{}",
            r#"{"v":"null"}"#,
            r#"{"v":true}"#,
            r#"{"v":"true"}"#,
            r#"{"v":false}"#,
            r#"{"v":0}"#,
            r#"{"v":""}"#,
        ],
    )
    .await?;
    finds(&cx, all(FilterItem::new().all_payload("v", Scalar::NULL))?, &[0]).await?;
    finds(&cx, all(FilterItem::new().all_payload("v", "null"))?, &[2]).await?;
    finds(&cx, all(FilterItem::new().all_payload("v", true))?, &[3]).await?;
    finds(&cx, all(FilterItem::new().all_payload("v", "true"))?, &[4]).await?;
    finds(&cx, all(FilterItem::new().all_payload("v", false))?, &[5]).await?;
    finds(&cx, all(FilterItem::new().all_payload("v", 0))?, &[6]).await?;
    finds(&cx, all(FilterItem::new().all_payload("v", ""))?, &[7]).await
}

pub async fn a_path_leads_through_objects_only(cx: Cx) -> CaseResult {
    payloads(
        &cx,
        &[
            r#"{"a":{"b":1}}"#,
            r#"{"a":[{"b":1}]}"#,
            r#"[{"a":{"b":1}}]"#,
            r#"{"a":{"b":[1]}}"#,
            r#"{"a":1}"#,
            r#"{"a":[1]}"#,
            r#"{"a":{"0":1}}"#,
            r#"{"b":1}"#,
            "1",
            "[1]",
            r#"{"a.b":1}"#,
            r#"{"a":{"b":1,"c":2},"d":[3]}"#,
        ],
    )
    .await?;
    finds(&cx, all(FilterItem::new().all_payload(["a", "b"], 1))?, &[0, 11]).await?;
    finds(&cx, all(FilterItem::new().all_payload("a", 1))?, &[4]).await?;
    finds(&cx, all(FilterItem::new().all_payload(["a", "0"], 1))?, &[6]).await?;
    finds(&cx, all(FilterItem::new().all_payload("0", 1))?, &[]).await?;
    finds(&cx, all(FilterItem::new().all_payload("a.b", 1))?, &[10]).await
}

pub async fn keys_are_taken_as_they_are(cx: Cx) -> CaseResult {
    let keys = [
        "a.b",
        "$",
        "$.a",
        "a\"b",
        "a'b",
        "a\\b",
        "a[0]",
        "0",
        " ",
        "ключ",
        "*",
        "#-1",
        "a\nb",
        "-- ",
        "key\u{1f511}",
        "a:b",
        "{}",
        "\\u0061",
    ];
    let events = keys.iter().zip(0..).map(|(key, number)| {
        NewEvent::new(format!("E{number}"), &serde_json::json!({ *key: { *key: "here" } }))
    });
    cx.store().append(Append::events(events.collect::<Result<Vec<_>>>()?)).await?;
    for (number, key) in keys.into_iter().enumerate() {
        finds(&cx, all(FilterItem::new().all_payload([key, key], "here"))?, &[number]).await?;
        finds(&cx, all(FilterItem::new().any_payload([key, "x"], "here"))?, &[]).await?;
    }
    Ok(())
}

pub async fn a_path_may_be_thirty_two_keys_deep(cx: Cx) -> CaseResult {
    let deep = format!("{}7{}", r#"{"a":"#.repeat(32), "}".repeat(32));
    payloads(&cx, &[&deep, r#"{"a":7}"#]).await?;
    finds(&cx, all(FilterItem::new().all_payload(PayloadPath::new(vec!["a"; 32])?, 7))?, &[0]).await?;
    finds(&cx, all(FilterItem::new().all_payload(PayloadPath::new(vec!["a"; 31])?, 7))?, &[]).await
}

pub async fn a_long_string_is_found(cx: Cx) -> CaseResult {
    let (long, nearly) = ("x".repeat(100_000), format!("{}y", "x".repeat(99_999)));
    payloads(&cx, &[&format!(r#"{{"s":"{long}"}}"#), &format!(r#"{{"s":"{nearly}"}}"#)]).await?;
    finds(&cx, all(FilterItem::new().all_payload("s", long.as_str()))?, &[0]).await
}

pub async fn duplicates_in_lists_and_orders_of_keys_do_not_matter(cx: Cx) -> CaseResult {
    payloads(&cx, &[r#"{"b":[1,1],"a":"x","z":{}}"#, r#"{"z":null,"a":"x"}"#]).await?;
    finds(&cx, all(FilterItem::new().all_payload("a", "x")?.all_payload("a", "x"))?, &[0, 1]).await
}
