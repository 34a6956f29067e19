//! Looks for parts of secrets in what was written and said: in every form that a secret may have taken on the way.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A secret may be cut; so much of it in one piece is a leak.
const PART: usize = 8;

/// Parts of numbers and of base64 are longer: a short one might come about by chance.
const LONG_PART: usize = 14;

/// Of every form, every part: by its bytes, what it belongs to.
pub struct Search {
    parts: [(usize, HashMap<Vec<u8>, String>); 2],
}

impl Search {
    /// For secrets that all hold NOTAREAL, which is no leak by itself.
    pub fn of<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut search = Search { parts: [(PART, HashMap::new()), (LONG_PART, HashMap::new())] };
        for (name, value) in secrets {
            assert!(value.len() >= 16 && value.contains("NOTAREAL"), "{name}");
            for (form, text) in forms(value) {
                let (size, parts) = &mut search.parts[usize::from(is_dense(form))];
                for part in text.as_bytes().windows(*size) {
                    // Of escapes alone nobody learns anything.
                    let told = part.iter().filter(|byte| byte.is_ascii_alphanumeric()).count() > *size / 2;
                    if told && part != b"NOTAREAL" {
                        parts.entry(part.to_vec()).or_insert_with(|| format!("{name}, {form}"));
                    }
                }
            }
        }
        search
    }

    /// Each secret with its form that is in a text, or in part, and what stands around.
    pub fn found(&self, text: &[u8]) -> Vec<String> {
        let mut found: Vec<String> = vec![];
        for (size, parts) in &self.parts {
            for (at, part) in text.windows(*size).enumerate() {
                let Some(what) = parts.get(part) else { continue };
                if !found.iter().any(|other| other.starts_with(what)) {
                    let around = &text[at.saturating_sub(60)..(at + 60).min(text.len())];
                    found.push(format!("{what}: …{}…", String::from_utf8_lossy(around)));
                }
            }
        }
        found
    }

    /// Whether this secret is there as a whole, in this form.
    pub fn has(text: &str, value: &str, form: &str) -> bool {
        forms(value).iter().any(|(name, spelled)| *name == form && text.contains(spelled))
    }

    /// The same of every file below a folder, but those.
    pub fn below(&self, folder: &Path, but: &[&Path]) -> (usize, Vec<String>) {
        let (mut open, mut files, mut found) = (vec![folder.to_owned()], 0, vec![]);
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if but.contains(&path.as_path()) {
                    continue;
                }
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                files += 1;
                let name = path.display().to_string();
                let all = self.found(&[name.as_bytes(), b"\n", &std::fs::read(&path).unwrap()].concat());
                found.extend(all.into_iter().map(|leak| format!("{name}: {leak}")));
            }
        }
        (files, found)
    }
}

/// Digits and letters without a meaning of their own.
fn is_dense(form: &str) -> bool {
    form.starts_with("base64") || form.starts_with("hex")
}

/// Each by its name. A line of several is a part of some of them.
fn forms(value: &str) -> Vec<(&'static str, String)> {
    let inside = |text: &str| {
        let json = serde_json::to_string(text).unwrap();
        json[1..json.len() - 1].to_owned()
    };
    let ascii: String = inside(value)
        .chars()
        .flat_map(|c| {
            match c.is_ascii() {
                true => c.to_string(),
                false => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            }
            .chars()
            .collect::<Vec<_>>()
        })
        .collect();
    let go = inside(value).replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let url: String = value
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            true => (byte as char).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    let url_lower: String = value
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            true => (byte as char).to_string(),
            false => format!("%{byte:02x}"),
        })
        .collect();
    let yaml: String = value
        .chars()
        .map(|c| match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            c if !c.is_ascii() => format!("\\x{:02x}", c as u32),
            c => c.to_string(),
        })
        .collect();
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        ("plain", value.to_owned()),
        ("json", inside(value)),
        ("json twice", inside(&inside(value))),
        ("json in ascii", ascii),
        ("json of go", go),
        ("yaml", yaml),
        ("url with plus", url.replace("%20", "+")),
        ("url", url),
        ("url in lower case", url_lower),
        ("html", value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&#39;")),
        ("single quotes twice", value.replace('\'', "''")),
        ("shell", value.replace('\'', "'\\''")),
        ("hex in upper case", hex.to_uppercase()),
        ("hex", hex),
        ("base64 as a whole", STANDARD.encode(value)),
    ];
    for (name, before) in [("base64 at 0", ""), ("base64 at 1", "x"), ("base64 at 2", "xx")] {
        let encoded = STANDARD.encode(format!("{before}{value}"));
        // The first and the last characters hold bits of what stands beside it.
        let own = encoded.trim_end_matches('=');
        forms.push((name, own[(before.len() * 8).div_ceil(6)..own.len() - 1].to_owned()));
    }
    let for_urls: Vec<_> = forms.iter().filter(|(name, _)| name.starts_with("base64")).cloned().collect();
    forms.extend(for_urls.into_iter().map(|(_, text)| ("base64 for urls", text.replace('+', "-").replace('/', "_"))));
    forms
}

const HARD: &str = "Vq7z\"K'x+/=&%\\\u{e4} NOTAREAL.Wm3Rt9Lp\nzweite-Zeile\"8Gh2\\?";

#[test]
fn each_form_and_each_part_would_be_found() {
    let search = Search::of([("hard", HARD)]);
    assert_eq!(
        search.found(b"nothing of 'NOTAREAL', of \\\\\\\\\\\\ or Vq7z, or dmVyeSBsb25nIGFuZCBpbiBiYXNlNjQ="),
        [""; 0]
    );
    // Made here by hand, so that the list of forms is not asked about itself.
    for shown in [
        HARD.to_owned(),
        "  | zweite-Zeile\"8Gh2\\?".to_owned(),
        "TAREAL.Wm…".to_owned(),
        serde_json::json!({ "a": HARD }).to_string(),
        serde_json::json!({ "a": serde_json::json!({ "b": HARD }).to_string() }).to_string(),
        "{\"a\": \"\\u00e4 NOTAREAL.\"}".to_owned(),
        r#"key: "x+/=&%\\ä NOTAREAL.Wm""#.to_owned(),
        STANDARD.encode(HARD),
        STANDARD.encode(format!("a{HARD} and more")),
        STANDARD.encode(format!("ab{HARD} and more")),
        STANDARD.encode(format!("{{\"abc\": \"{HARD}\"}}")).replace('+', "-").replace('/', "_"),
        urlencoding::encode(HARD).into_owned(),
        "Vq7z%22K%27x".to_owned(),
        "%5c%c3%a4%20NOT".to_owned(),
        "%C3%A4+NOTARE".to_owned(),
        "Vq7z&quot;K&#39;x".to_owned(),
        "Vq7z\"K''x".to_owned(),
        "Vq7z\"K'\\''x".to_owned(),
        HARD.bytes().map(|byte| format!("{byte:02x}")).collect(),
        HARD.bytes().map(|byte| format!("{byte:02X}")).collect(),
    ] {
        assert!(!search.found(format!("before {shown} after").as_bytes()).is_empty(), "{shown}");
    }
    assert!(search.found(HARD.as_bytes())[0].starts_with("hard, "));
}
