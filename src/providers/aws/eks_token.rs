//! A bearer token for the API server of an EKS cluster: a request to STS, signed and not sent. Who holds it can ask STS
//! who made it, and nothing else.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::resource::{Class, Fault};

/// The header that says which cluster it is for.
const CLUSTER: &str = "x-k8s-aws-id";
const PREFIX: &str = "k8s-aws-v1.";

pub fn token(
    credentials: &Credentials,
    partition: &str,
    region: &str,
    cluster: &str,
    now: SystemTime,
) -> Result<String, Fault> {
    let failed = |what: String| Fault::new(Class::Invalid, format!("no token for cluster `{cluster}`: {what}"));
    let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let url = format!("https://sts.{region}.{domain}/?Action=GetCallerIdentity&Version=2011-06-15");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(60));
    let identity = credentials.clone().into();
    let params: SigningParams = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| failed(error.to_string()))?
        .into();
    let headers = [(CLUSTER, cluster)].into_iter();
    let request = SignableRequest::new("GET", &url, headers, SignableBody::Bytes(&[]));
    let signed = sign(request.map_err(|error| failed(error.to_string()))?, &params);
    let (instructions, _) = signed.map_err(|error| failed(error.to_string()))?.into_parts();
    let more = instructions.params().iter().map(|(name, value)| format!("&{name}={}", urlencoding::encode(value)));
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(format!("{url}{}", more.collect::<String>()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What EKS and its authenticator ask of a token.
    #[test]
    fn a_token_is_a_signed_url_with_the_clusters_name_among_its_signed_headers() {
        let credentials =
            Credentials::new("AKIANOTAREALKEY", "not-a-real-secret", Some("not/a+token".into()), None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let token = token(&credentials, "aws", "eu-central-1", "prod", now).unwrap();
        let url = URL_SAFE_NO_PAD.decode(token.strip_prefix("k8s-aws-v1.").unwrap()).unwrap();
        let url = String::from_utf8(url).unwrap();
        assert!(
            url.starts_with("https://sts.eu-central-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&")
        );
        for part in [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKIANOTAREALKEY%2F20270115%2Feu-central-1%2Fsts%2Faws4_request",
            "X-Amz-Date=20270115T080000Z",
            "X-Amz-Expires=60",
            "X-Amz-SignedHeaders=host%3Bx-k8s-aws-id",
            "X-Amz-Security-Token=not%2Fa%2Btoken",
            "X-Amz-Signature=",
        ] {
            assert!(url.contains(part), "{part}: {url}");
        }
        assert!(!url.contains("not-a-real-secret"));
    }
}
