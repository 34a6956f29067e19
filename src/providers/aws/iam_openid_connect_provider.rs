//! `aws::iam_openid_connect_provider`. Reads: GetResources tells which are ours, one GetOpenIDConnectProvider each; by URL,
//! one ListOpenIDConnectProviders instead.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, added, each, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Select, Status, Value};

pub struct IamOpenidConnectProvider;

/// Lets whom an issuer of OpenID Connect tokens vouches for take on roles; an EKS cluster is one for its pods.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The issuer: its URL with `https://`, unique in the account (CreateOpenIDConnectProvider).
    #[schemars(extend("immutable" = true))]
    pub url: String,
    /// For whom its tokens may be made out (`aud`); for AWS itself `sts.amazonaws.com`
    /// (CreateOpenIDConnectProvider, AddClientIDToOpenIDConnectProvider).
    #[schemars(extend("uniqueItems" = true))]
    pub client_id_list: Option<Vec<String>>,
    /// SHA-1 of the certificates at the top of its server's chain, in hexadecimal digits; left out, AWS looks
    /// (CreateOpenIDConnectProvider, UpdateOpenIDConnectProviderThumbprint).
    #[schemars(extend("uniqueItems" = true))]
    pub thumbprint_list: Option<Vec<String>>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// ARN of the provider.
    #[schemars(example = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE")]
    id: String,
    /// ARN of the provider.
    #[schemars(example = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE")]
    arn: String,
    /// The issuer without `https://`: the conditions of trust policies name its claims by it (`<issuer>:sub`).
    #[schemars(example = &"oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE")]
    issuer: String,
}

impl AwsKind for IamOpenidConnectProvider {
    const NAME: &'static str = "aws::iam_openid_connect_provider";
    const TYPE: Type = Type::OpenIdConnectProvider;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["url"],
            normalise,
            check,
            made_up: |output, inputs| match output {
                "issuer" => Some(issuer(inputs.get("url")?.as_str()?).into()),
                _ => None,
            },
            // In the account of the examples, which is the sandbox's.
            id_prefix: "arn:aws:iam::111122223333:oidc-provider/",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        if let Select::Named(urls) = search.select() {
            let arns = named(region, urls).await?;
            return each(arns, |arn| one(region, arn, urls)).await;
        }
        let arns = search.ids(region, &Self::TYPE, |arn| Some(arn.to_owned())).await?;
        let plain = BTreeSet::new();
        each(arns, |arn| one(region, arn, &plain)).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .iam
            .create_open_id_connect_provider()
            .url(&inputs.url)
            .set_client_id_list(inputs.client_id_list.clone())
            .set_thumbprint_list(inputs.thumbprint_list.clone())
            .set_tags(birth.list());
        Ok(call.send().await.or_fault("iam:CreateOpenIDConnectProvider")?.open_id_connect_provider_arn)
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let iam = &region.iam;
        if change.of("client_id_list")
            && let Some(wanted) = &change.inputs.client_id_list
        {
            let now = change.live.client_id_list.as_deref().unwrap_or_default();
            for client in added(now, wanted).iter().flatten() {
                let call = iam.add_client_id_to_open_id_connect_provider().open_id_connect_provider_arn(id);
                call.client_id(client).send().await.or_fault("iam:AddClientIDToOpenIDConnectProvider")?;
            }
            for client in added(wanted, now).iter().flatten() {
                let call = iam.remove_client_id_from_open_id_connect_provider().open_id_connect_provider_arn(id);
                call.client_id(client).send().await.or_fault("iam:RemoveClientIDFromOpenIDConnectProvider")?;
            }
        }
        if change.of("thumbprint_list")
            && let Some(wanted) = &change.inputs.thumbprint_list
        {
            let call = iam.update_open_id_connect_provider_thumbprint().open_id_connect_provider_arn(id);
            let call = call.set_thumbprint_list(Some(wanted.clone()));
            call.send().await.or_fault("iam:UpdateOpenIDConnectProviderThumbprint")?;
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let call = region.iam.delete_open_id_connect_provider().open_id_connect_provider_arn(id);
        call.send().await.or_fault("iam:DeleteOpenIDConnectProvider").map(drop)
    }
}

/// A URL as AWS keeps it.
fn issuer(url: &str) -> &str {
    url.trim_start_matches("https://").trim_end_matches('/')
}

/// The ARNs of the providers with these URLs.
async fn named(region: &Region, urls: &BTreeSet<String>) -> Result<BTreeSet<String>, Fault> {
    let answer = region.iam.list_open_id_connect_providers().send().await.or_fault("iam:ListOpenIDConnectProviders")?;
    let arns = answer.open_id_connect_provider_list().iter().filter_map(|provider| provider.arn());
    let is_one = |arn: &&str| {
        let of = arn.split_once(":oidc-provider/").map(|(_, of)| issuer(of));
        urls.iter().any(|url| Some(issuer(url)) == of)
    };
    Ok(arns.filter(is_one).map(str::to_owned).collect())
}

/// `asked` are the URLs in the spelling in which they were asked for, which is the one to answer in.
async fn one(
    region: &Region,
    arn: String,
    asked: &BTreeSet<String>,
) -> Result<Option<Found<IamOpenidConnectProvider>>, Fault> {
    let call = region.iam.get_open_id_connect_provider().open_id_connect_provider_arn(&arn);
    let answer = if_there(call.send().await.or_fault("iam:GetOpenIDConnectProvider"))?;
    Ok(answer.map(|provider| {
        let url = issuer(provider.url().unwrap_or_default());
        let tags = tags::of(provider.tags());
        Found {
            inputs: Inputs {
                url: asked.iter().find(|asked| issuer(asked) == url).cloned().unwrap_or(format!("https://{url}")),
                client_id_list: Some(provider.client_id_list().to_vec()),
                thumbprint_list: Some(provider.thumbprint_list().to_vec()),
                tags: tags::authored(&tags),
            },
            outputs: Outputs { id: arn.clone(), arn: arn.clone(), issuer: url.to_owned() },
            tags,
            status: Status::Ready,
            id: arn,
        }
    }))
}

fn normalise(field: &str, value: &Value) -> Value {
    match (field, value) {
        ("url", Value::String(url)) => issuer(url).into(),
        ("thumbprint_list", Value::List(prints)) => {
            let lower = |print: &Value| print.as_str().map_or_else(|| print.clone(), |p| p.to_lowercase().into());
            prints.iter().map(lower).collect()
        }
        _ => value.clone(),
    }
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let mut wrong = |path: String, what: &str, hint: &str| {
        mistakes.push(Mistake { path, what: what.into(), hint: Some(hint.into()) });
    };
    if let Some(url) = inputs.get("url").and_then(Value::as_str)
        && !url.starts_with("https://")
    {
        wrong("url".into(), "does not begin with `https://`", "AWS takes no other scheme");
    }
    if let Some(Value::List(prints)) = inputs.get("thumbprint_list") {
        if prints.is_empty() {
            wrong("thumbprint_list".into(), "is empty", "leave it out, and AWS looks for itself");
        }
        for (i, print) in prints.iter().enumerate() {
            let fits = |print: &str| print.len() == 40 && print.chars().all(|c| c.is_ascii_hexdigit());
            if print.as_str().is_some_and(|print| !fits(print)) {
                wrong(format!("thumbprint_list[{i}]"), "is no SHA-1 thumbprint", "give 40 hexadecimal digits");
            }
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_issuer_has_several_spellings() {
        let meant = |url: &str| normalise("url", &url.into());
        assert_eq!(meant("https://oidc.example.com/id/A/"), meant("oidc.example.com/id/A"));
        assert_ne!(meant("https://oidc.example.com/id/A"), meant("https://oidc.example.com/id/a"));
    }

    #[test]
    fn what_aws_would_refuse_is_told_before() {
        let told = |json: serde_json::Value| {
            let Value::Map(inputs) = Value::from(json) else { panic!("a map") };
            check(&inputs).into_iter().map(|m| format!("{}: {}", m.path, m.what)).collect::<Vec<_>>()
        };
        assert_eq!(
            told(serde_json::json!({ "url": "oidc.example.com", "thumbprint_list": ["a".repeat(40), "ab:cd"] })),
            ["url: does not begin with `https://`", "thumbprint_list[1]: is no SHA-1 thumbprint"]
        );
        assert_eq!(told(serde_json::json!({ "thumbprint_list": [] })), ["thumbprint_list: is empty"]);
    }
}
