//! The one form of names and contents in which two spellings of one record are equal.

use std::net::Ipv6Addr;

/// A host's name as Cloudflare keeps it: lower case, in Punycode, without a dot at its end.
pub fn host(name: &str) -> String {
    let name = name.trim().trim_end_matches('.').to_lowercase();
    if name.is_ascii() {
        return name;
    }
    let url = reqwest::Url::parse(&format!("http://{name}/"));
    url.ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or(name)
}

/// A record's content in that form.
pub fn canonical(of_type: &str, content: &str) -> String {
    match of_type {
        "CNAME" | "MX" => host(content),
        "AAAA" => content.trim().parse::<Ipv6Addr>().map_or_else(|_| content.to_owned(), |address| address.to_string()),
        "TXT" => unquoted(content),
        _ => content.trim().to_owned(),
    }
}

/// A text as it is sent: Cloudflare wants the quoted strings of a zone file, and splits those that are too long itself.
pub fn to_send(of_type: &str, content: &str) -> String {
    match of_type {
        "TXT" if quoted(content).is_none() => {
            format!("\"{}\"", content.replace('\\', "\\\\").replace('"', "\\\""))
        }
        // A dot alone is a name: an MX record that says that there is no mail.
        "CNAME" | "MX" if content.trim() != "." => content.trim().trim_end_matches('.').to_owned(),
        _ => content.to_owned(),
    }
}

/// What the quoted strings of a zone file say together; a text that is not quoted says itself.
fn unquoted(text: &str) -> String {
    quoted(text).unwrap_or_else(|| text.to_owned())
}

/// The same, of nothing but quoted strings with blanks between them.
fn quoted(text: &str) -> Option<String> {
    let mut plain = vec![];
    let mut rest = text.trim().as_bytes();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        rest = rest.strip_prefix(b"\"")?;
        loop {
            rest = match rest {
                [b'"', after @ ..] => break rest = after,
                // A byte by its three digits, or a character that would mean something else.
                [b'\\', a, b, c, after @ ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => {
                    let digits = std::str::from_utf8(&rest[1..4]).ok()?;
                    plain.push(digits.parse().ok()?);
                    after
                }
                [b'\\', c, after @ ..] | [c, after @ ..] => {
                    plain.push(*c);
                    after
                }
                [] => return None,
            };
        }
        rest = rest.trim_ascii_start();
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_record_are_equal() {
        let same = [
            ("CNAME", "Lb.Example.com.", "lb.example.com"),
            ("CNAME", "bücher.example.com", "xn--bcher-kva.example.com"),
            ("MX", "MAIL.example.com", "mail.example.com."),
            ("AAAA", "2001:DB8::0:1", "2001:db8::1"),
            ("TXT", "v=spf1 -all", "\"v=spf1 -all\""),
            ("TXT", "ab", "\"a\" \"b\""),
            ("TXT", "say \"hi\" \\o/", r#""say \"hi\" \\o/""#),
            ("TXT", "a;b", r#""a\059b""#),
            ("TXT", "ä", r#""\195\164""#),
        ];
        for (of_type, one, other) in same {
            assert_eq!(canonical(of_type, one), canonical(of_type, other), "{of_type} {one} {other}");
        }
        for (of_type, one, other) in [("TXT", "A", "a"), ("TXT", "a", "a "), ("A", "192.0.2.1", "192.0.2.10")] {
            assert_ne!(canonical(of_type, one), canonical(of_type, other));
        }
    }

    #[test]
    fn a_text_is_sent_in_quotes_and_means_itself() {
        for text in ["v=spf1 -all", "say \"hi\"", "back\\slash", "\"", "", "\"already\" \"quoted\"", "\"a\" and \"b\""]
        {
            let sent = to_send("TXT", text);
            assert!(quoted(&sent).is_some(), "{sent}");
            assert_eq!(canonical("TXT", &sent), canonical("TXT", text), "{sent}");
        }
        assert_eq!(to_send("CNAME", "_x.acm-validations.aws."), "_x.acm-validations.aws");
        assert_eq!(to_send("MX", "."), ".");
    }

    #[test]
    fn names_keep_what_dns_allows() {
        assert_eq!(host("*.Example.com."), "*.example.com");
        assert_eq!(host("_dmarc.bücher.example"), "_dmarc.xn--bcher-kva.example");
    }
}
