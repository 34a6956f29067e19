//! CIDR blocks: read, checked and written in one form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::resource::Value;
use crate::resource::schema::Mistake;

/// An address range: `10.0.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Cidr {
    /// Reads a block; what is wrong is a fragment that completes "`10.0.0.0` …".
    pub fn parse(text: &str, family: Family) -> Result<Cidr, (String, Option<String>)> {
        let example = if family == Family::V4 { "10.0.0.0/16" } else { "2001:db8::/56" };
        let unreadable = || (format!("is not a CIDR block such as {example}"), None);
        let (address, length) = text.split_once('/').ok_or_else(unreadable)?;
        let address: IpAddr = match family {
            Family::V4 => address.parse::<Ipv4Addr>().map_err(|_| unreadable())?.into(),
            Family::V6 => address.parse::<Ipv6Addr>().map_err(|_| unreadable())?.into(),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length: u8 = length.parse().ok().filter(|length| *length <= most).ok_or_else(unreadable)?;
        let given = Cidr { address, length };
        match given.network() {
            network if network == given => Ok(given),
            network => Err(("has bits set behind its prefix".into(), Some(format!("did you mean {network}?")))),
        }
    }

    fn network(self) -> Cidr {
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        };
        Cidr { address, ..self }
    }
}

/// What is wrong with a block an author wrote, if it is known; `lengths` is the range that AWS takes there.
pub fn mistake(
    path: &str,
    value: Option<&Value>,
    family: Family,
    lengths: std::ops::RangeInclusive<u8>,
) -> Option<Mistake> {
    let text = value?.as_str()?;
    let (what, hint) = match Cidr::parse(text, family) {
        Ok(block) if lengths.contains(&block.length) => return None,
        Ok(block) => {
            (format!("is a /{}", block.length), Some(format!("AWS takes /{} to /{}", lengths.start(), lengths.end())))
        }
        Err(wrong) => wrong,
    };
    Some(Mistake { path: path.to_owned(), what: format!("`{text}` {what}"), hint })
}

/// The one spelling of an IPv6 block; whatever is no block stays as it is.
pub fn canonical(value: &Value) -> Value {
    match value.as_str().map(|text| Cidr::parse(text, Family::V6)) {
        Some(Ok(block)) => Value::String(block.to_string()),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        let found = mistake("cidr_block", Some(&text.into()), Family::V4, 16..=28)?;
        Some(format!("{}{}", found.what, found.hint.map(|hint| format!(" ({hint})")).unwrap_or_default()))
    }

    #[test]
    fn a_wrong_block_is_told_as_such() {
        assert_eq!(told("10.0.0.0/16"), None);
        assert_eq!(told("10.0.0.0").unwrap(), "`10.0.0.0` is not a CIDR block such as 10.0.0.0/16");
        assert_eq!(told("10.0.0.0/33").unwrap(), "`10.0.0.0/33` is not a CIDR block such as 10.0.0.0/16");
        assert_eq!(
            told("10.0.1.0/16").unwrap(),
            "`10.0.1.0/16` has bits set behind its prefix (did you mean 10.0.0.0/16?)"
        );
        assert_eq!(told("10.0.0.0/8").unwrap(), "`10.0.0.0/8` is a /8 (AWS takes /16 to /28)");
        assert!(Cidr::parse("0.0.0.0/0", Family::V4).is_ok());
        assert!(Cidr::parse("::/0", Family::V6).is_ok());
    }

    #[test]
    fn ipv6_has_one_spelling() {
        assert_eq!(canonical(&"2001:DB8:0::/32".into()), "2001:db8::/32".into());
        assert_eq!(canonical(&"10.0.0.0/8".into()), "10.0.0.0/8".into());
    }
}
