use std::fs;
use std::path::Path;

use crate::failure::Failure;

/// What newcomers copy from.
const EXAMPLES: [&str; 4] = ["README.md", "examples", "docs/guide", "conformance-tests/README.md"];

const WORDS: [&str; 7] = ["price", "total", "amount", "balance", "cost", "money", "cents"];

/// Ends a line that shows on purpose what was done wrong once.
const ON_PURPOSE: &str = "299.99}));";

/// Examples that keep money in floats.
pub(crate) fn complaints(workspace: &Path) -> Result<Vec<String>, Failure> {
    let mut complaints = Vec::new();
    for example in EXAMPLES {
        look_into(&workspace.join(example), &mut complaints)?;
    }
    complaints.sort();
    Ok(complaints)
}

fn look_into(path: &Path, complaints: &mut Vec<String>) -> Result<(), Failure> {
    let during = || Failure::during(path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(during())? {
            look_into(&entry.map_err(during())?.path(), complaints)?;
        }
        return Ok(());
    }
    let Some(extension @ ("rs" | "md")) = path.extension().and_then(|name| name.to_str()) else {
        return Ok(());
    };
    let text = fs::read_to_string(path).map_err(during())?;
    let found = floats(&text, extension == "md");
    complaints.extend(found.map(|line| format!("{}:{line} keeps money in a float", path.display())));
    Ok(())
}

/// The numbers of lines of code that name money and a float.
fn floats(text: &str, is_document: bool) -> impl Iterator<Item = usize> {
    let mut is_code = !is_document;
    let of_line = move |(index, line): (usize, &str)| {
        if is_document && line.starts_with("```") {
            is_code = !is_code;
        }
        let code = line.split("//").next().unwrap_or_default().to_lowercase();
        let is_float = has_float_type(&code) || has_fraction(&code);
        let is_money = WORDS.iter().any(|word| code.contains(word));
        (is_code && is_float && is_money && !line.trim_end().ends_with(ON_PURPOSE)).then_some(index + 1)
    };
    text.lines().enumerate().filter_map(of_line)
}

/// Whether a float is a type there; what reads an old one (`as_f64`) is not.
fn has_float_type(code: &str) -> bool {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .any(|word| word == "f64" || word == "f32")
}

/// Whether there is a number with a decimal point outside of strings.
fn has_fraction(code: &str) -> bool {
    let code = code.split("r#\"").next().unwrap_or_default();
    let outside: String = code.split('"').step_by(2).collect();
    outside
        .as_bytes()
        .windows(3)
        .any(|three| three[0].is_ascii_digit() && three[1] == b'.' && three[2].is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_in_floats_is_found() {
        for line in ["total: f64,", "let price = 1.50;", "json!({\"amount\": 2.5})"] {
            assert_eq!(floats(line, false).collect::<Vec<_>>(), [1], "{line}");
        }
    }

    #[test]
    fn money_in_integers_and_strings_is_fine() {
        for line in [
            "total_cents: u64,",
            "price: \"1.50\"",
            "// total: f64",
            "celsius: f64",
            "0.1 + 0.2",
            "old_price.as_f64()",
        ] {
            assert_eq!(floats(line, false).count(), 0, "{line}");
        }
    }

    #[test]
    fn of_a_document_only_the_code_is_looked_at() {
        let document = "Never keep a total in an f64.\n```rust\ntotal: f64,\n```\na price of 1.5";
        assert_eq!(floats(document, true).collect::<Vec<_>>(), [3]);
    }
}
