//! What goes in comes out: the same on every store.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use eventsource_core::{
    Append, EventId, ExpectedVersion, Metadata, NewEvent, Payload, RecordedEvent, StreamId, Tag, TenantId,
};
use uuid::Uuid;

use crate::given::{event, found, log_of, tag, time, with_json};
use crate::{CaseResult, Cx};

/// Appends events and reads them back.
async fn round_trip(cx: &Cx, events: Vec<NewEvent>) -> CaseResult<Vec<RecordedEvent>> {
    cx.store().append(Append::events(events.clone())).await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(log.len(), events.len());
    for (recorded, event) in log.iter().zip(&events) {
        assert!(recorded.records(event, None), "{recorded:?} is not {event:?}");
    }
    Ok(log)
}

/// Appends each of these JSON texts and holds what comes back against it, by value.
async fn json_round_trip<J: Into<String>>(cx: &Cx, texts: impl IntoIterator<Item = J>) -> CaseResult {
    let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
    let log = round_trip(cx, texts.iter().map(|json| with_json("Valued", json)).collect()).await?;
    for (recorded, json) in log.iter().zip(&texts) {
        let shown: String = json.chars().take(80).collect();
        assert_eq!(*recorded.payload(), Payload::from_json(json.as_str())?, "{shown}");
    }
    Ok(())
}

pub async fn integers_keep_every_digit(cx: Cx) -> CaseResult {
    let integers = [i64::MIN, i64::MIN + 1, -9_007_199_254_740_993, -1, 0, 9_007_199_254_740_993, i64::MAX];
    json_round_trip(&cx, integers.iter().map(ToString::to_string)).await?;
    let cx = cx.fresh(crate::Setup::default()).await?;
    cx.store().append(Append::events([NewEvent::new("Valued", &(u64::MAX, i64::MIN))?])).await?;
    assert_eq!(log_of(cx.store()).await?[0].payload().deserialize::<(u64, i64)>()?, (u64::MAX, i64::MIN));
    Ok(())
}

pub async fn floats_come_back_bit_by_bit(cx: Cx) -> CaseResult {
    let floats = [
        0.1,
        0.1 + 0.2,
        1.0 / 3.0,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        f64::EPSILON,
        1e23,
        8.41e21,
        9_007_199_254_740_992.0,
        123_456_789.123_456_79,
        2.225_073_858_507_201e-308,
    ];
    cx.store().append(Append::events([NewEvent::new("Valued", &floats)?])).await?;
    let back: Vec<f64> = log_of(cx.store()).await?[0].payload().deserialize()?;
    assert_eq!(back.iter().map(|float| float.to_bits()).collect::<Vec<_>>(), floats.map(f64::to_bits));
    Ok(())
}

pub async fn numbers_keep_their_value_however_they_are_spelt(cx: Cx) -> CaseResult {
    let long = format!("0.{}1", "0".repeat(300));
    let texts =
        ["1.0", "-0", "-0.0", "1e2", "1E+2", "100e-2", "1.50", "0.10000000000000000001", "1e308", "1e-308"];
    json_round_trip(&cx, texts.map(str::to_owned).into_iter().chain([long, "9".repeat(300)])).await
}

pub async fn text_of_every_script_comes_back(cx: Cx) -> CaseResult {
    let texts = [
        "",
        " ",
        "O'Brien",
        r#"quote " backslash \ slash / "#,
        "tab\tnewline\nreturn\rbell\u{7}escape\u{1b}delete\u{7f}",
        "Grüße, Ελληνικά, Кириллица, עברית, العربية, हिन्दी, 漢字, ひらがな, 한국어",
        "👩‍👩‍👧‍👦 🇩🇪 \u{1f3f4}\u{e0067}\u{e0062}\u{e007f} 𝕏 \u{10ffff}",
        "e\u{301} is not é",
        "\u{feff}byte order mark, \u{200b}zero width, \u{202e}right to left, \u{fffd}, \u{ffff}",
        "%s %d {} ${HOME} $1 ?1 :name @name -- ; /* */ \\u0041",
        "null",
        "\u{1}\u{1f}\u{80}\u{9f}\u{2028}\u{2029}",
    ];
    cx.store().append(Append::events([NewEvent::new("Valued", &texts)?])).await?;
    assert_eq!(log_of(cx.store()).await?[0].payload().deserialize::<Vec<String>>()?, texts);
    Ok(())
}

pub async fn keys_of_every_script_come_back(cx: Cx) -> CaseResult {
    let keys =
        ["", " ", "a.b", "$", "$.a", "a\"b", "a'b", "a\\b", "a[0]", "0", "ключ", "\u{1f511}", "--", "\n"];
    let payload: BTreeMap<&str, usize> = keys.into_iter().zip(0..).collect();
    cx.store().append(Append::events([NewEvent::new("Valued", &payload)?])).await?;
    let log = log_of(cx.store()).await?;
    let back: BTreeMap<String, usize> = log[0].payload().deserialize()?;
    assert_eq!(back, payload.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    Ok(())
}

pub async fn any_json_value_is_a_payload(cx: Cx) -> CaseResult {
    json_round_trip(
        &cx,
        ["null", "true", "false", "0", r#""text""#, r#""""#, "[]", "{}", "[null]", r#"{"a":null}"#],
    )
    .await
}

pub async fn null_is_not_the_same_as_absent(cx: Cx) -> CaseResult {
    cx.store()
        .append(Append::events([with_json("Valued", r#"{"a":null}"#), with_json("Valued", "{}")]))
        .await?;
    let log = log_of(cx.store()).await?;
    assert_ne!(log[0].payload(), log[1].payload());
    Ok(())
}

pub async fn a_text_of_five_megabytes_comes_back(cx: Cx) -> CaseResult {
    let text: String = "0123456789 Grüße\n".chars().cycle().take(5_000_000).collect();
    cx.store().append(Append::events([NewEvent::new("Valued", &text)?])).await?;
    assert!(log_of(cx.store()).await?[0].payload().deserialize::<String>()? == text);
    Ok(())
}

pub async fn deep_and_wide_payloads_come_back(cx: Cx) -> CaseResult {
    let lists = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
    let wide: BTreeMap<String, usize> = (0..5_000).map(|key| (format!("key{key}"), key)).collect();
    let long: Vec<usize> = (0..50_000).collect();
    json_round_trip(&cx, [lists, objects, serde_json::to_string(&wide)?, serde_json::to_string(&long)?]).await
}

pub async fn a_hundred_tags_come_back_sorted_and_are_found(cx: Cx) -> CaseResult {
    let tags: Vec<Tag> = (0..NewEvent::MAX_TAGS).rev().map(|n| Tag::new("n", n)).collect::<Result<_, _>>()?;
    let log = round_trip(&cx, vec![event("Tagged").tags(tags.clone()).tags(tags.clone())]).await?;
    assert_eq!(log[0].tags().len(), 100);
    assert!(log[0].tags().is_sorted());
    for number in ["0", "57", "99"] {
        assert_eq!(found(cx.store(), tag("n", number)).await?.len(), 1);
    }
    Ok(())
}

pub async fn the_longest_tag_and_odd_tags_are_found(cx: Cx) -> CaseResult {
    let longest = "x".repeat(Tag::MAX_BYTES - 2);
    let nearly = format!("{}y", &longest[1..]);
    let texts = [
        ("k", longest.as_str()),
        ("k", nearly.as_str()),
        ("k", "a:b:c"),
        ("k", " "),
        ("k", "O'Brien"),
        ("k", r#"{"a","b"}"#),
        ("k", "a,b"),
        ("k", "a\\b"),
        ("k", "%"),
        ("k", "漢字"),
        ("k", "NULL"),
        ("K", "null"),
        ("k", "e\u{301}"),
        ("k", "é"),
    ];
    let mut events = Vec::new();
    for (key, value) in texts {
        events.push(event("Tagged").tag(key, value)?);
    }
    let log = round_trip(&cx, events).await?;
    for ((key, value), expected) in texts.into_iter().zip(&log) {
        assert_eq!(
            found(cx.store(), tag(key, value)).await?,
            std::slice::from_ref(expected),
            "{key}:{value}"
        );
    }
    Ok(())
}

pub async fn the_longest_and_oddest_names_come_back(cx: Cx) -> CaseResult {
    let (longest, wide) = ("n".repeat(255), "漢".repeat(85));
    for name in [
        longest.as_str(),
        &wide,
        "O'Brien",
        "with space",
        "a.b/c\\d",
        "\"",
        "DROP TABLE events; --",
        "é",
        "null",
    ] {
        let stream = StreamId::new(name, Uuid::now_v7())?;
        let append = Append::to_stream(stream.clone(), ExpectedVersion::NoStream, [event(name)]);
        cx.store().append(append).await?;
        let last = log_of(cx.store()).await?.pop().expect("an event");
        assert_eq!((last.event_type().as_str(), last.stream()), (name, Some(&stream)));
        assert_eq!(found(cx.store(), crate::given::types([name])).await?, [last]);
    }
    Ok(())
}

pub async fn metadata_comes_back_whole(cx: Cx) -> CaseResult {
    let full = Metadata::new()
        .actor("Ann O'Brien <ann@example.org>")?
        .tenant(TenantId::new(Uuid::now_v7())?)
        .correlated(Uuid::nil())
        .caused_by(EventId::random())
        .entry("client", "app/2.1")?
        .entry("empty", "")?
        .entry("odd \" ' \\ . $ 漢", "\n\t 漢 \u{1f511} \" ' \\")?
        .entry("actor", "an entry that is called like a field")?
        .entry("k".repeat(255), "v".repeat(65_536))?;
    let bare = Metadata::new().entry("tenant_id", "not a tenant")?;
    let log = round_trip(
        &cx,
        vec![event("A").metadata(full.clone()), event("B").metadata(bare.clone()), event("C")],
    )
    .await?;
    assert_eq!([log[0].metadata(), log[1].metadata(), log[2].metadata()], [&full, &bare, &Metadata::new()]);
    Ok(())
}

pub async fn times_are_kept_to_the_microsecond(cx: Cx) -> CaseResult {
    let times = [
        "2024-01-01T00:00:00.000001Z",
        "2024-01-01T00:00:00.999999Z",
        "2024-01-01T00:00:00.101900Z",
        "2024-06-30T23:59:59.123456Z",
    ];
    occurred_round_trip(&cx, times).await?;
    let cx = cx.fresh(crate::Setup::default()).await?;
    let finer = event("A").occurred_at(time("2024-01-01T00:00:00.123456789Z"))?;
    cx.store().append(Append::events([finer])).await?;
    assert_eq!(log_of(cx.store()).await?[0].occurred_at(), time("2024-01-01T00:00:00.123456Z"));
    Ok(())
}

pub async fn times_long_ago_and_far_ahead_come_back(cx: Cx) -> CaseResult {
    let times = [
        "0001-01-01T00:00:00Z",
        "1582-10-10T12:00:00Z",
        "1899-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "2000-02-29T00:00:00Z",
        "2038-01-19T03:14:08Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    occurred_round_trip(&cx, times).await
}

pub async fn a_time_with_an_offset_is_an_instant(cx: Cx) -> CaseResult {
    let offset = event("A").occurred_at(time("2024-03-10T02:30:00.5+05:30"))?;
    cx.store().append(Append::events([offset])).await?;
    assert_eq!(log_of(cx.store()).await?[0].occurred_at(), time("2024-03-09T21:00:00.5Z"));
    Ok(())
}

async fn occurred_round_trip<const N: usize>(cx: &Cx, times: [&str; N]) -> CaseResult {
    let times: Vec<DateTime<Utc>> = times.into_iter().map(time).collect();
    let events = times.iter().map(|time| event("Timed").occurred_at(*time)).collect::<Result<Vec<_>, _>>()?;
    let log = round_trip(cx, events).await?;
    assert_eq!(log.iter().map(RecordedEvent::occurred_at).collect::<Vec<_>>(), times);
    Ok(())
}

pub async fn a_leap_second_is_the_second_that_follows(cx: Cx) -> CaseResult {
    let append = Append::events([event("A").occurred_at(time("2016-12-31T23:59:60.5Z"))?]);
    cx.store().append(append.clone()).await?;
    assert_eq!(log_of(cx.store()).await?[0].occurred_at(), time("2017-01-01T00:00:00.5Z"));
    assert!(cx.store().append(append).await?.replayed);
    Ok(())
}

pub async fn schema_versions_come_back(cx: Cx) -> CaseResult {
    let versions = [1, 2, 40_000, 2_147_483_647];
    let log = round_trip(&cx, versions.map(|version| event("A").schema_version(version)).into()).await?;
    assert_eq!(log.iter().map(RecordedEvent::schema_version).collect::<Vec<_>>(), versions);
    Ok(())
}
