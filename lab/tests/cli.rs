//! What a person at a terminal reads of `rowbell-lab`.
//!
//! After a change that is meant, `TRYCMD=overwrite cargo test -p rowbell-lab --test cli` writes the new texts.

#[test]
fn what_is_typed_is_answered_as_written_down() {
    let cases = trycmd::TestCases::new();
    // A terminal of another width, and settings of whoever runs the tests, change nothing.
    cases.env("COLUMNS", "100").env("ROWBELL_EXE", "rowbell");
    cases.case("tests/cli/*.trycmd");
}
