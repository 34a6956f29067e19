//! Files from the web, pinned by their digest and kept under it.

use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::causes::innermost;
use super::tls;
use crate::resource::{Class, Fault};

const LARGEST: usize = 32 << 20;

/// The text of the file at `url`, from `cache` if it is there.
pub async fn fetch(url: &str, sha256: &str, cache: &Path) -> Result<String, Fault> {
    let wrong = |what: String| Fault::new(Class::Invalid, what);
    let pin = sha256.to_ascii_lowercase();
    if pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong("`sha256` is not a digest of 64 hexadecimal digits".into()).hint("`sha256sum FILE` tells it"));
    }
    let file = cache.join(&pin);
    if let Ok(bytes) = std::fs::read(&file)
        && digest(&bytes) == pin
    {
        return text(url, bytes);
    }
    let bytes = get(url).await.map_err(|fault| match fault.hint {
        Some(_) => fault,
        None => fault.hint(format!("on a closed network, put the file at {} by hand", file.display())),
    })?;
    let found = digest(&bytes);
    if found != pin {
        let what = format!("{url} has another digest: {found}, and not {pin}");
        return Err(
            wrong(what).hint("the file was changed where it comes from, or the pin is wrong: read it, then pin it")
        );
    }
    keep(&file, &bytes).map_err(|error| wrong(format!("cannot keep it at {}: {error}", file.display())))?;
    text(url, bytes)
}

fn text(url: &str, bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|_| Fault::new(Class::Invalid, format!("{url} is no text")))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn get(url: &str) -> Result<Vec<u8>, Fault> {
    let fault = |class, what: String| Fault::new(class, what);
    let parsed = reqwest::Url::parse(url).map_err(|error| fault(Class::Invalid, format!("`{url}`: {error}")))?;
    if !is_allowed(&parsed) {
        return Err(fault(Class::Invalid, format!("`{url}` is not https")).hint("give an https:// URL"));
    }
    tls::ready();
    let failed = |error: reqwest::Error| fault(Class::Other, format!("{url}: {}", innermost(&error)));
    let redirects = reqwest::redirect::Policy::custom(|attempt| match attempt.url() {
        url if !is_allowed(url) => {
            let what = format!("it is redirected to {url}, which is not https");
            attempt.error(what)
        }
        _ if attempt.previous().len() > 10 => attempt.error("it is redirected again and again"),
        _ => attempt.follow(),
    });
    let client = reqwest::Client::builder()
        .redirect(redirects)
        .user_agent(concat!("runner/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(60))
        .build()
        .map_err(failed)?;
    let mut answer = client.get(parsed).send().await.map_err(failed)?;
    if !answer.status().is_success() {
        let told = fault(Class::NotFound, format!("{url} answers {}", answer.status()));
        return Err(told.hint("check the URL: does it lead to the file itself?"));
    }
    let mut bytes = vec![];
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST {
            return Err(fault(Class::Invalid, format!("{url} is larger than {} MiB", LARGEST >> 20)));
        }
    }
    Ok(bytes)
}

/// Plain HTTP only as far as the machine itself.
pub(super) fn is_allowed(url: &reqwest::Url) -> bool {
    let near = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && near)
}

/// Whole or not at all, whoever else is writing it.
fn keep(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = file.with_extension(format!("{}", uuid::Uuid::new_v4().simple()));
    std::fs::write(&draft, bytes)?;
    std::fs::rename(&draft, file)
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
