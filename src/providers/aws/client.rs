//! The way to AWS: credentials, regions, the account check, and what holds for every call.
//!
//! Reads are retried by the SDK; changes never are, since a retried create makes two (the engine retries by
//! [`Class`](crate::resource::Class)). A client that may only read refuses to send anything else. An XML answer that
//! ends too early is an error, not a shorter list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider as Tls, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder as HttpBuilder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::sync::OnceCell;

use super::calls::{Calls, Guard};
use super::eks_token;
use super::fault::{OrFault, without_credentials};
use super::fault_codes::is_expired;
use super::refusals::Refusals;
use super::renewal::Renewable;
use super::whole_answer::{RetryTruncated, WholeAnswer};
use crate::resource::{Class, Fault};

/// Nobody waits longer for an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What the inventory says of AWS.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where resources live that name no other; left out, what the environment or the profile says.
    pub region: Option<String>,
    /// The account these playbooks are for; credentials of another are refused.
    pub account: Option<String>,
    pub profile: Option<String>,
    /// Refuse to send anything that could change something.
    pub read_only: bool,
}

/// Who the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: String,
    pub arn: String,
    pub user_id: String,
}

/// One region of the checked account.
pub struct Region {
    pub name: String,
    pub account: String,
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    pub acm: aws_sdk_acm::Client,
    pub autoscaling: aws_sdk_autoscaling::Client,
    pub dlm: aws_sdk_dlm::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub ecr: aws_sdk_ecr::Client,
    pub eks: aws_sdk_eks::Client,
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    /// The same in every region: IAM has none.
    pub iam: aws_sdk_iam::Client,
    pub rds: aws_sdk_rds::Client,
    pub s3: aws_sdk_s3::Client,
    pub secretsmanager: aws_sdk_secretsmanager::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub tagging: aws_sdk_resourcegroupstagging::Client,
    /// Where the tags of what has no region are kept.
    pub global_tagging: aws_sdk_resourcegroupstagging::Client,
}

impl Region {
    /// `arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-0abc`.
    pub fn ec2_arn(&self, owner: Option<&str>, what: &str) -> String {
        format!("arn:{}:ec2:{}:{}:{what}", self.partition, self.name, owner.unwrap_or(&self.account))
    }

    /// `arn:aws:eks:eu-west-1:111122223333:cluster/prod`.
    pub fn arn(&self, service: &str, what: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{what}", self.partition, self.name, self.account)
    }
}

/// What is none would be passed over, and AWS itself asked.
fn is_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<::http::Uri>() else { return false };
    let port = |authority: &::http::uri::Authority| !authority.as_str().contains(':') || authority.port_u16().is_some();
    matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.authority().is_some_and(|authority| !authority.host().is_empty() && port(authority))
}

/// Of the environment; one that is empty is none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Where the tags of what has no region are kept.
fn global_region(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        _ => "us-east-1",
    }
}

/// A service's client, with all that holds for every call; it may be for another region than it sends to.
macro_rules! client {
    ($sdk:ident, $of:expr, $config:expr, $region:expr) => {
        client!($sdk, $of, $config, $region, $region)
    };
    ($sdk:ident, $of:expr, $config:expr, $region:expr, $for:expr) => {
        $sdk::Client::from_conf(
            $sdk::config::Builder::from($config)
                .region($sdk::config::Region::new($region.to_owned()))
                .interceptor(Guard { read_only: $of.settings.read_only })
                .interceptor($of.calls.clone())
                .interceptor($of.refusals.within($for.as_ref()))
                .interceptor(WholeAnswer)
                .retry_classifier(RetryTruncated)
                .build(),
        )
    };
}

/// The clients, made when first needed.
pub struct Client {
    settings: Settings,
    loader: Mutex<Option<ConfigLoader>>,
    config: OnceCell<SdkConfig>,
    /// What signs every call; none if there is no chain to take it from.
    credentials: OnceCell<Option<Renewable>>,
    identity: OnceCell<Result<Identity, Fault>>,
    regions: Mutex<BTreeMap<String, Arc<Region>>>,
    calls: Calls,
    refusals: Refusals,
}

impl Client {
    /// Sends nothing yet. `loader` is where the credential chain starts, if not where everyone's does.
    pub fn new(settings: Settings, loader: Option<ConfigLoader>) -> Self {
        Client {
            settings,
            loader: Mutex::new(loader),
            config: OnceCell::new(),
            credentials: OnceCell::new(),
            identity: OnceCell::new(),
            regions: Mutex::default(),
            calls: Calls::default(),
            refusals: Refusals::default(),
        }
    }

    /// How many requests were sent, by operation (`ec2:DescribeVpcs`); a retried one counts again.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.calls.so_far()
    }

    /// How often a service refused because it was asked too often; also what was asked again and answered then.
    pub fn refusals(&self, service: &str, region: Option<&str>) -> u64 {
        let own = self.config.get().and_then(|config| config.region()).map(AsRef::as_ref);
        region.or(own).map_or(0, |region| self.refusals.of(service, region))
    }

    /// A region by name, or the inventory's; the account is checked before the first.
    pub async fn region(&self, name: Option<&str>) -> Result<Arc<Region>, Fault> {
        let config = self.config().await;
        let name = match name.map(str::to_owned).or_else(|| config.region().map(|region| region.to_string())) {
            Some(name) => name,
            None => return Err(no_region()),
        };
        let identity = self.identity().await?;
        if let Some(region) = self.regions.lock().expect("no holder panics").get(&name) {
            return Ok(region.clone());
        }
        let partition = identity.arn.split(':').nth(1).unwrap_or("aws").to_owned();
        let region = Arc::new(Region {
            account: identity.account.clone(),
            acm: client!(aws_sdk_acm, self, config, name),
            autoscaling: client!(aws_sdk_autoscaling, self, config, name),
            dlm: client!(aws_sdk_dlm, self, config, name),
            ec2: client!(aws_sdk_ec2, self, config, name),
            ecr: client!(aws_sdk_ecr, self, config, name),
            eks: client!(aws_sdk_eks, self, config, name),
            elb: client!(aws_sdk_elasticloadbalancingv2, self, config, name),
            iam: client!(aws_sdk_iam, self, config, name),
            rds: client!(aws_sdk_rds, self, config, name),
            s3: client!(aws_sdk_s3, self, config, name),
            secretsmanager: client!(aws_sdk_secretsmanager, self, config, name),
            ssm: client!(aws_sdk_ssm, self, config, name),
            tagging: client!(aws_sdk_resourcegroupstagging, self, config, name),
            global_tagging: client!(aws_sdk_resourcegroupstagging, self, config, global_region(&partition), name),
            name: name.clone(),
            partition,
        });
        self.regions.lock().expect("no holder panics").entry(name).or_insert(region.clone());
        Ok(region)
    }

    /// Who the credentials belong to: asked once in a run, and refused if it is not whom the inventory names.
    pub async fn identity(&self) -> Result<&Identity, Fault> {
        let found = self.identity.get_or_try_init(|| async {
            match self.ask_identity(self.config().await).await {
                // Worth asking again: the next caller will.
                Err(fault) if matches!(fault.class, Class::Throttled | Class::Ambiguous) || is_expired(&fault) => {
                    Err(fault)
                }
                told => Ok(told),
            }
        });
        found.await?.as_ref().map_err(Clone::clone)
    }

    /// Whose account it is, if that was asked, and the region that the inventory or the environment names.
    pub fn whereabouts(&self) -> BTreeMap<String, String> {
        let Some(Ok(identity)) = self.identity.get() else { return BTreeMap::new() };
        let region = self.config.get().and_then(|config| config.region()).map(ToString::to_string);
        let known = [("AWS account", Some(identity.account.clone())), ("AWS region", region)];
        known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    pub async fn has_region(&self) -> bool {
        self.config().await.region().is_some()
    }

    /// Signed by whoever the checked credentials belong to.
    pub async fn eks_token(&self, region: Option<&str>, cluster: &str) -> Result<String, Fault> {
        let region = self.region(region).await?;
        let Some(provider) = self.config().await.credentials_provider() else {
            return Err(Fault::new(Class::Denied, "there are no AWS credentials"));
        };
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|error| Fault::new(Class::Denied, format!("there are no AWS credentials: {error}")))?;
        eks_token::token(&credentials, &region.partition, &region.name, cluster, SystemTime::now())
    }

    async fn ask_identity(&self, config: &SdkConfig) -> Result<Identity, Fault> {
        let Some(region) = config.region() else { return Err(no_region()) };
        let ignored =
            variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if let Some(url) = variable("AWS_ENDPOINT_URL").filter(|url| !ignored && !is_url(url)) {
            let fault = Fault::new(Class::Other, format!("`AWS_ENDPOINT_URL` is no URL: `{url}`"));
            let hint = "it is like `http://127.0.0.1:5000`; without it AWS itself is asked";
            return Err(fault.hint(hint).of("sts:GetCallerIdentity"));
        }
        let sts = client!(aws_sdk_sts, self, config, region.as_ref());
        let told = sts.get_caller_identity().send().await;
        let without = told.as_ref().is_err_and(|error| without_credentials(error).is_some());
        let told = told.or_fault("sts:GetCallerIdentity");
        let told = told.map_err(|fault| if without { self.blame_profile(fault) } else { fault })?;
        let identity = Identity {
            account: told.account().unwrap_or_default().to_owned(),
            arn: told.arn().unwrap_or_default().to_owned(),
            user_id: told.user_id().unwrap_or_default().to_owned(),
        };
        match &self.settings.account {
            Some(wanted) if *wanted != identity.account => Err(Fault::new(
                Class::Denied,
                format!("these credentials belong to account {}, the inventory says {wanted}", identity.account),
            )
            .hint(format!(
                "take credentials of account {wanted} (`AWS_PROFILE`, `aws sso login`), or correct `account` in the \
                 inventory; the present ones are {}",
                identity.arn
            ))
            .of("sts:GetCallerIdentity")),
            _ => Ok(identity),
        }
    }

    /// What a profile does not give is looked for elsewhere, and where that ends says nothing to who named one.
    fn blame_profile(&self, fault: Fault) -> Fault {
        match self.settings.profile.clone().or_else(|| variable("AWS_PROFILE")) {
            Some(profile) => Fault {
                message: format!("the profile `{profile}` gives no credentials: {}", fault.message),
                hint: Some(format!("is there a `{profile}` in ~/.aws/config, and is it logged in? `aws sso login`")),
                ..fault
            },
            None => fault,
        }
    }

    /// What to make of a call that AWS refused because the credentials have expired: if the place where they come from
    /// has others by now, and they are of the same account, it may be made again.
    pub async fn renew(&self, begun: Instant, mut fault: Fault) -> Fault {
        let Some(Some(credentials)) = self.credentials.get() else { return fault };
        let fresh = async || self.load().await.credentials_provider();
        match credentials.renew(begun, fresh, async |taken| self.check_account(taken).await).await {
            Ok(true) => {
                fault.class = Class::Throttled;
                fault.retry_after = Some(Duration::ZERO);
                fault.message = format!("{}; new credentials were taken", fault.message);
                fault.hint = None;
                fault
            }
            Ok(false) => fault,
            // What was made before they expired is made; and whoever cannot tell must look.
            Err(wrong) => {
                let class = if wrong.class == Class::Throttled { Class::Ambiguous } else { wrong.class };
                Fault { created: fault.created, class, ..wrong }
            }
        }
    }

    /// Refuses credentials of another account than the run began with.
    async fn check_account(&self, taken: Credentials) -> Result<(), Fault> {
        let provider = SharedCredentialsProvider::new(taken);
        let config = self.config().await.to_builder().credentials_provider(provider).build();
        let now = self.ask_identity(&config).await?;
        match self.identity.get() {
            Some(Ok(then)) if now.account != then.account => {
                let message = format!(
                    "the credentials have expired, and the new ones belong to account {}, not {}",
                    now.account, then.account
                );
                Err(Fault::new(Class::Denied, message).hint("run again with credentials of one account"))
            }
            _ => Ok(()),
        }
    }

    async fn config(&self) -> &SdkConfig {
        self.config
            .get_or_init(|| async {
                let config = self.load().await;
                let credentials = config.credentials_provider().map(Renewable::new);
                let _ = self.credentials.set(credentials.clone());
                match credentials {
                    // It remembers by itself.
                    Some(credentials) => config
                        .into_builder()
                        .credentials_provider(SharedCredentialsProvider::new(credentials))
                        .identity_cache(IdentityCache::no_cache())
                        .build(),
                    None => config,
                }
            })
            .await
    }

    async fn load(&self) -> SdkConfig {
        let loader = self.loader.lock().expect("no holder panics").take();
        let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(5)).read_timeout(READ_TIMEOUT);
        let mut loader = loader
            .unwrap_or_else(|| aws_config::defaults(BehaviorVersion::latest()))
            .http_client(http())
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .timeout_config(timeouts.build());
        if let Some(region) = &self.settings.region {
            loader = loader.region(aws_config::Region::new(region.clone()));
        }
        if let Some(profile) = &self.settings.profile {
            loader = loader.profile_name(profile);
        }
        loader.load().await
    }
}

fn no_region() -> Fault {
    let fault = Fault::new(Class::Invalid, "no AWS region is set");
    fault.hint("set `region` under `[aws]` in the inventory, or `AWS_REGION`").of("sts:GetCallerIdentity")
}

/// One pool of connections for everything; proxies as the environment says.
fn http() -> SharedHttpClient {
    HttpBuilder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        if let Some(settings) = settings {
            connector = connector.connector_settings(settings.clone());
        }
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.tls_provider(Tls::Rustls(CryptoMode::Ring)).build()
    })
}
