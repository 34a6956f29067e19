//! `aws::lb_listener`. Reads: one GetResources per region (100 a page), then one DescribeListeners and one DescribeTags
//! for each 20 listeners of the stack; by name, one DescribeListeners for each load balancer.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{
    Action as SdkAction, ActionTypeEnum, Certificate, FixedResponseActionConfig, Listener, ProtocolEnum,
    RedirectActionConfig, RedirectActionStatusCodeEnum,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::load_balancing::{Asked, asked, in_batches, tags_of};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Status, Value};

pub struct LbListener;

/// A port of a load balancer, and what becomes of what comes in there.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The load balancer (CreateListener).
    #[schemars(extend("immutable" = true))]
    pub load_balancer_arn: String,
    /// Port it listens on (ModifyListener).
    pub port: i64,
    /// What it speaks: `TCP`, `TLS`, `UDP` or `TCP_UDP` on a network load balancer, `HTTP` or `HTTPS` on an application
    /// one (ModifyListener).
    #[schemars(extend("enum" = ["TCP", "TLS", "UDP", "TCP_UDP", "HTTP", "HTTPS"]))]
    pub protocol: String,
    /// Certificate for `TLS` and `HTTPS`, which must be issued: `certificate_arn` of an
    /// `aws::acm_certificate_validation` waits for that (ModifyListener).
    pub certificate_arn: Option<String>,
    /// Which versions of TLS and ciphers it takes; left out, AWS chooses (ModifyListener).
    pub ssl_policy: Option<String>,
    /// Whether `TLS` offers HTTP/2: `HTTP1Only`, `HTTP2Only`, `HTTP2Optional`, `HTTP2Preferred` or `None`
    /// (ModifyListener).
    pub alpn_policy: Option<String>,
    /// What is done with what comes in, in order (ModifyListener).
    pub default_action: Vec<Action>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// One thing that is done with what comes in.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// What is done.
    #[schemars(extend("enum" = ["forward", "redirect", "fixed-response"]))]
    pub r#type: String,
    /// Target group that `forward` sends to.
    pub target_group_arn: Option<String>,
    /// Where `redirect` points to.
    pub redirect: Option<Redirect>,
    /// What `fixed-response` answers.
    pub fixed_response: Option<FixedResponse>,
}

/// Where a client is sent to; `#{…}` stands for what it asked for.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Redirect {
    /// `HTTP_301` (for good) or `HTTP_302` (for now).
    #[schemars(extend("enum" = ["HTTP_301", "HTTP_302"]))]
    pub status_code: String,
    /// `HTTP` or `HTTPS`.
    #[serde(default = "same_protocol")]
    pub protocol: String,
    /// The port.
    #[serde(default = "same_port")]
    pub port: String,
    /// The host.
    #[serde(default = "same_host")]
    pub host: String,
    /// The path, from `/` on.
    #[serde(default = "same_path")]
    pub path: String,
    /// The query, without `?`.
    #[serde(default = "same_query")]
    pub query: String,
}

fn same_protocol() -> String {
    "#{protocol}".into()
}

fn same_port() -> String {
    "#{port}".into()
}

fn same_host() -> String {
    "#{host}".into()
}

fn same_path() -> String {
    "/#{path}".into()
}

fn same_query() -> String {
    "#{query}".into()
}

/// An answer that is always the same.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct FixedResponse {
    /// `text/plain`, `text/html` or the like.
    pub content_type: String,
    /// The answer's text.
    pub message_body: Option<String>,
    /// Its status: `200`, `404`, `503`.
    pub status_code: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// ARN of the listener.
    #[schemars(
        example = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/net/main/0a1b2c3d4e5f6071/8293a4b5c6d7e8f9"
    )]
    id: String,
    /// ARN of the listener.
    #[schemars(
        example = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/net/main/0a1b2c3d4e5f6071/8293a4b5c6d7e8f9"
    )]
    arn: String,
}

impl AwsKind for LbListener {
    const NAME: &'static str = "aws::lb_listener";
    const TYPE: Type = Type::LoadBalancing("elasticloadbalancing:listener");
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["load_balancer_arn", "port"],
            check,
            id_prefix: "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let describe = || region.elb.describe_listeners();
        let all = match asked(region, search, &Self::TYPE).await? {
            Asked::Arns(arns) => {
                in_batches(&arns, |some| async move {
                    let answer = describe().set_listener_arns(Some(some)).send().await;
                    Ok(answer.or_fault("elasticloadbalancing:DescribeListeners")?.listeners.unwrap_or_default())
                })
                .await?
            }
            Asked::Names(load_balancers) => {
                let all = each(load_balancers, |load_balancer| async move {
                    let pages = describe().load_balancer_arn(load_balancer).page_size(100).into_paginator().items();
                    let all = pages.send().collect::<Result<Vec<_>, _>>().await;
                    if_there(all.or_fault("elasticloadbalancing:DescribeListeners"))
                });
                all.await?.into_iter().flatten().collect()
            }
        };
        let all: BTreeMap<String, Listener> =
            all.into_iter().filter_map(|one| Some((one.listener_arn()?.to_owned(), one))).collect();
        let mut tags = tags_of(region, all.keys().cloned().collect()).await?;
        let found = all.into_iter().filter_map(|(arn, listener)| {
            let tags = tags.remove(&arn)?;
            Some(Found {
                inputs: Inputs {
                    load_balancer_arn: listener.load_balancer_arn().unwrap_or_default().to_owned(),
                    port: listener.port().unwrap_or_default().into(),
                    protocol: listener.protocol().map(|protocol| protocol.as_str().to_owned()).unwrap_or_default(),
                    certificate_arn: listener.certificates().first().and_then(|c| c.certificate_arn()).map(Into::into),
                    ssl_policy: listener.ssl_policy().map(str::to_owned),
                    alpn_policy: listener.alpn_policy().first().cloned(),
                    default_action: actions(&listener),
                    tags: tags::authored(&tags),
                },
                outputs: Outputs { id: arn.clone(), arn: arn.clone() },
                status: Status::Ready,
                tags,
                id: arn,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .elb
            .create_listener()
            .load_balancer_arn(&inputs.load_balancer_arn)
            .port(inputs.port.try_into().unwrap_or(i32::MAX))
            .protocol(ProtocolEnum::from(inputs.protocol.as_str()))
            .set_certificates(certificates(inputs))
            .set_ssl_policy(inputs.ssl_policy.clone())
            .set_alpn_policy(inputs.alpn_policy.clone().map(|policy| vec![policy]))
            .set_default_actions(Some(inputs.default_action.iter().map(Action::of_elb).collect()))
            .set_tags(birth.list());
        let made = call.send().await.or_fault("elasticloadbalancing:CreateListener")?.listeners;
        Ok(made.and_then(|made| made.into_iter().next()?.listener_arn))
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let inputs = change.inputs;
        let mut call = region.elb.modify_listener().listener_arn(id);
        if change.of("port") {
            call = call.port(inputs.port.try_into().unwrap_or(i32::MAX));
        }
        if change.of("protocol") {
            call = call.protocol(ProtocolEnum::from(inputs.protocol.as_str()));
        }
        // With TLS begins the need for a certificate.
        if change.of("certificate_arn") || change.of("protocol") {
            call = call.set_certificates(certificates(inputs));
        }
        if change.of("ssl_policy") {
            call = call.set_ssl_policy(inputs.ssl_policy.clone());
        }
        if change.of("alpn_policy") {
            call = call.alpn_policy(inputs.alpn_policy.as_deref().unwrap_or("None"));
        }
        if change.of("default_action") {
            call = call.set_default_actions(Some(inputs.default_action.iter().map(Action::of_elb).collect()));
        }
        call.send().await.or_fault("elasticloadbalancing:ModifyListener").map(drop)
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let call = region.elb.delete_listener().listener_arn(id);
        call.send().await.or_fault("elasticloadbalancing:DeleteListener").map(drop)
    }
}

fn is_encrypted(protocol: &str) -> bool {
    matches!(protocol, "TLS" | "HTTPS")
}

/// One that speaks no TLS has none, whatever it had before.
fn certificates(inputs: &Inputs) -> Option<Vec<Certificate>> {
    let arn = inputs.certificate_arn.as_ref().filter(|_| is_encrypted(&inputs.protocol))?;
    Some(vec![Certificate::builder().certificate_arn(arn).build()])
}

impl Action {
    fn of_elb(&self) -> SdkAction {
        let redirect = self.redirect.as_ref().map(|to| {
            RedirectActionConfig::builder()
                .status_code(RedirectActionStatusCodeEnum::from(to.status_code.as_str()))
                .protocol(&to.protocol)
                .port(&to.port)
                .host(&to.host)
                .path(&to.path)
                .query(&to.query)
                .build()
        });
        let fixed = self.fixed_response.as_ref().map(|answer| {
            FixedResponseActionConfig::builder()
                .content_type(&answer.content_type)
                .set_message_body(answer.message_body.clone())
                .status_code(&answer.status_code)
                .build()
        });
        SdkAction::builder()
            .r#type(ActionTypeEnum::from(self.r#type.as_str()))
            .set_target_group_arn(self.target_group_arn.clone())
            .set_redirect_config(redirect)
            .set_fixed_response_config(fixed)
            .build()
    }
}

fn actions(listener: &Listener) -> Vec<Action> {
    let mut all: Vec<&SdkAction> = listener.default_actions().iter().collect();
    all.sort_by_key(|action| action.order());
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let action = |action: &SdkAction| Action {
        r#type: action.r#type().map(|of| of.as_str().to_owned()).unwrap_or_default(),
        target_group_arn: action.target_group_arn().map(str::to_owned),
        redirect: action.redirect_config().map(|to| Redirect {
            status_code: to.status_code().map(|code| code.as_str().to_owned()).unwrap_or_default(),
            protocol: to.protocol().map_or_else(same_protocol, str::to_owned),
            port: to.port().map_or_else(same_port, str::to_owned),
            host: to.host().map_or_else(same_host, str::to_owned),
            path: to.path().map_or_else(same_path, str::to_owned),
            query: to.query().map_or_else(same_query, str::to_owned),
        }),
        fixed_response: action.fixed_response_config().map(|answer| FixedResponse {
            content_type: text(answer.content_type()),
            message_body: answer.message_body().map(str::to_owned),
            status_code: text(answer.status_code()),
        }),
    };
    all.into_iter().map(action).collect()
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mistake = |path: String, what: String| Mistake { path, what, hint: None };
    let mut mistakes = vec![];
    let protocol = inputs.get("protocol").and_then(Value::as_str);
    let certified = inputs.get("certificate_arn").is_some_and(|arn| !arn.is_null());
    match protocol {
        Some(protocol) if is_encrypted(protocol) && !certified => {
            mistakes.push(mistake("certificate_arn".into(), format!("is required for {protocol}")));
        }
        Some(protocol) if !is_encrypted(protocol) && certified => {
            mistakes.push(mistake("certificate_arn".into(), format!("has no use with {protocol}")));
        }
        _ => {}
    }
    let actions = inputs.get("default_action").and_then(Value::as_list).unwrap_or_default();
    for (at, action) in actions.iter().enumerate() {
        let Some(action) = action.as_map() else { continue };
        let needed = match action.get("type").and_then(Value::as_str) {
            Some("forward") => "target_group_arn",
            Some("redirect") => "redirect",
            Some("fixed-response") => "fixed_response",
            _ => continue,
        };
        if action.get(needed).is_none_or(Value::is_null) {
            mistakes.push(mistake(format!("default_action[{at}].{needed}"), "is required for this type".into()));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_action_needs_is_asked_for() {
        let told = |json: serde_json::Value| {
            let Value::Map(inputs) = Value::from(json) else { panic!("a map") };
            check(&inputs).into_iter().map(|mistake| mistake.path).collect::<Vec<_>>()
        };
        let actions = serde_json::json!([{ "type": "forward" }, { "type": "redirect", "redirect": {} }]);
        assert_eq!(
            told(serde_json::json!({ "protocol": "TLS", "default_action": actions })),
            ["certificate_arn", "default_action[0].target_group_arn"]
        );
        assert_eq!(told(serde_json::json!({ "protocol": "TCP", "certificate_arn": "arn:x" })), ["certificate_arn"]);
    }
}
