//! What a mistake is answered with. `TRYBUILD=overwrite cargo test -p eventsource-macros --test ui` writes the answers anew.

#[test]
fn mistakes_are_answered_with_help() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
