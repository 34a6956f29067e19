//! The proxy by which an API server is reached, as the environment says: `HTTPS_PROXY`, but for what `NO_PROXY` names.

use std::net::IpAddr;

use http::Uri;
use kube::config::Kubeconfig;

/// The proxy for a URL; none for what is not encrypted or on this machine.
pub fn of(url: &Uri, environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set = |names: [&str; 2]| names.into_iter().find_map(|name| environment(name).filter(|value| !value.is_empty()));
    let host = url.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
    let proxy = set(["HTTPS_PROXY", "https_proxy"]).filter(|_| url.scheme_str() == Some("https"))?;
    let port = url.port_u16().unwrap_or(443);
    let near = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let except = set(["NO_PROXY", "no_proxy"]).unwrap_or_default();
    let excepted = except.split(',').map(str::trim).any(|one| names(&one.to_ascii_lowercase(), &host, port));
    (!near && !excepted).then(|| if proxy.contains("://") { proxy.clone() } else { format!("http://{proxy}") })
}

/// Whether a kubeconfig names a proxy for a context of its own; the current one if none is given.
pub fn of_kubeconfig(config: &Kubeconfig, context: Option<&str>) -> bool {
    let wanted = context.or(config.current_context.as_deref());
    let context = config.contexts.iter().find(|one| Some(one.name.as_str()) == wanted);
    let cluster = context.and_then(|one| one.context.as_ref()).map(|context| context.cluster.as_str());
    let cluster = config.clusters.iter().find(|one| Some(one.name.as_str()) == cluster);
    let cluster = cluster.and_then(|one| one.cluster.as_ref());
    cluster.and_then(|cluster| cluster.proxy_url.as_ref()).is_some_and(|proxy| !proxy.is_empty())
}

/// Whether an entry of `NO_PROXY` names a host: `*`, an address or a range of them, a domain with all below it, or
/// `.domain` for only what is below; each may have a port.
fn names(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let parsed = (network.parse(), bits.parse(), host.parse());
        return matches!(parsed, (Ok(network), Ok(bits), Ok(host)) if within(network, bits, host));
    }
    let (entry, only) = match entry.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') || name.ends_with(']') => (name, digits.parse::<u16>().ok()),
        _ => (entry, None),
    };
    let entry = entry.trim_matches(['[', ']']);
    if entry.is_empty() || only.is_some_and(|only| only != port) {
        return false;
    }
    let domain = entry.trim_start_matches("*.").trim_start_matches('.');
    let below = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let itself = host == entry;
    let is_address = host.parse::<IpAddr>().is_ok();
    itself || below && !is_address
}

fn within(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    let bits_of = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((network, width), (address, other)) = (bits_of(network), bits_of(address));
    width == other && bits <= width && (bits == 0 || (network ^ address) >> (width - bits) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, https: &str, except: &str) -> Option<String> {
        of(&url.parse().unwrap(), |name| match name {
            "https_proxy" => Some(https.to_owned()),
            "NO_PROXY" => Some(except.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn an_encrypted_way_goes_through_the_proxy() {
        let url = "https://0123.gr7.eu-west-1.eks.amazonaws.com";
        assert_eq!(proxy(url, "http://proxy:3128", "").as_deref(), Some("http://proxy:3128"));
        assert_eq!(proxy(url, "proxy:3128", " , ").as_deref(), Some("http://proxy:3128"));
        assert_eq!(proxy(url, "", ""), None);
        for near in ["http://api.example.com", "https://localhost:6443", "https://127.0.0.1:6443", "https://[::1]:6443"]
        {
            assert_eq!(proxy(near, "http://proxy:3128", ""), None, "{near}");
        }
    }

    #[test]
    fn what_is_excepted_is_reached_directly() {
        let passes = |url: &str, except: &str| proxy(url, "http://proxy:3128", except).is_none();
        let eks = "https://0123.eks.amazonaws.com";
        for except in ["*", "a, .amazonaws.com", "amazonaws.com", "*.eks.amazonaws.com", "0123.EKS.amazonaws.com:443"] {
            assert!(passes(eks, except), "{except}");
        }
        for except in ["zonaws.com", "amazonaws.com:6443", "10.0.0.0/8", ".0123.eks.amazonaws.com", "x,,"] {
            assert!(!passes(eks, except), "{except}");
        }
        assert!(passes("https://10.2.3.4", "10.0.0.0/8") && passes("https://10.2.3.4", "10.2.3.4"));
        assert!(!passes("https://11.2.3.4", "10.0.0.0/8") && !passes("https://10.2.3.4", "3.4"));
        assert!(passes("https://[fd00::1]:6443", "fd00::/8") && passes("https://[fd00::1]", "fd00::1"));
        assert!(!passes("https://[fd00::1]", "fe80::/10") && !passes("https://10.0.0.1", "10.0.0.0/99"));
        assert!(passes("https://[fd00::1]:6443", "[fd00::1]:6443") && passes("https://10.0.0.1", "0.0.0.0/0"));
    }
}
