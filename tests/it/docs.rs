//! What is written about the project is true.

use std::path::Path;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn the_reference_is_that_of_the_kinds() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_runner")).args(["doc", "--markdown"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("## aws::subnet\n"));
    assert!(text == read("docs/reference.md"), "docs/reference.md is old: runner doc --markdown > docs/reference.md");
}
