//! How the instances of an Auto Scaling group get a new launch template: one after the other, by an instance refresh.

use aws_sdk_autoscaling::types::{
    DesiredConfiguration, InstanceRefresh as Sdk, InstanceRefreshStatus as Stage, RefreshPreferences, RefreshStrategy,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::autoscaling_group::LaunchTemplate;
use super::client::Region;
use super::fault::OrFault;
use super::kind::if_there;
use super::tagging;
use super::tags::{self, Tags};
use crate::resource::{Fault, Status};

/// How a new launch template is rolled out.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct InstanceRefresh {
    /// One after the other.
    #[serde(default = "rolling")]
    #[schemars(extend("enum" = ["Rolling"]))]
    strategy: String,
    /// How fast.
    preferences: Option<Preferences>,
}

fn rolling() -> String {
    "Rolling".into()
}

/// How fast instances are replaced.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Preferences {
    /// Per cent of the desired capacity that must stay healthy; left out, 90.
    min_healthy_percentage: Option<i32>,
    /// Per cent of the desired capacity that may be there meanwhile; left out, 100. Needs `min_healthy_percentage`.
    max_healthy_percentage: Option<i32>,
    /// Seconds until a new instance counts as healthy; left out, the group's.
    instance_warmup: Option<i32>,
    /// Whether all goes back to the old launch template when it fails.
    auto_rollback: Option<bool>,
    /// Whether instances that have the new launch template already are left alone.
    skip_matching: Option<bool>,
}

/// The newest refresh of a group.
pub struct Latest(Sdk);

/// Says of which failed refresh enough is said.
fn told() -> String {
    format!("{}instance_refresh", tags::OURS)
}

pub async fn latest(region: &Region, group: &str) -> Result<Option<Latest>, Fault> {
    let call = region.autoscaling.describe_instance_refreshes().auto_scaling_group_name(group).max_records(1);
    let answer = if_there(call.send().await.or_fault("autoscaling:DescribeInstanceRefreshes"))?;
    let refreshes = answer.and_then(|answer| answer.instance_refreshes).unwrap_or_default();
    Ok(refreshes.into_iter().next().map(Latest))
}

impl Latest {
    /// What it makes of the group, if it says more than the group does.
    pub fn status(&self, tags: &Tags) -> Option<Status> {
        let stage = self.0.status()?;
        match stage {
            Stage::Successful => None,
            _ if self.has_failed() => {
                let known = tags.get(&told()).is_some_and(|id| Some(id.as_str()) == self.0.instance_refresh_id());
                let why = self.0.status_reason().map(|why| format!(": {why}")).unwrap_or_default();
                let ended = words(stage.as_str());
                (!known).then(|| Status::Failed(format!("instance refresh {ended}{why}")))
            }
            Stage::Pending | Stage::InProgress => {
                let done = self.0.percentage_complete().unwrap_or_default();
                Some(Status::Pending(format!("instance refresh {done} %")))
            }
            other => Some(Status::Pending(format!("instance refresh {}", words(other.as_str())))),
        }
    }

    fn has_failed(&self) -> bool {
        let ends = [Stage::Failed, Stage::Cancelled, Stage::RollbackSuccessful, Stage::RollbackFailed];
        self.0.status().is_some_and(|stage| ends.contains(stage))
    }

    /// Whether it brings this launch template.
    fn brings(&self, template: &LaunchTemplate) -> bool {
        let wanted = self.0.desired_configuration().and_then(|wanted| wanted.launch_template());
        wanted.is_some_and(|wanted| {
            wanted.launch_template_id() == Some(&template.id) && wanted.version() == Some(&template.version)
        })
    }
}

/// `RollbackInProgress` as `rollback in progress`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// Starts to give all instances a new launch template; the group has it as soon as they do.
pub async fn start(
    region: &Region,
    group: &str,
    refresh: &InstanceRefresh,
    template: &LaunchTemplate,
) -> Result<(), Fault> {
    let preferences = refresh.preferences.as_ref().map(|wanted| {
        RefreshPreferences::builder()
            .set_min_healthy_percentage(wanted.min_healthy_percentage)
            .set_max_healthy_percentage(wanted.max_healthy_percentage)
            .set_instance_warmup(wanted.instance_warmup)
            .set_auto_rollback(wanted.auto_rollback)
            .set_skip_matching(wanted.skip_matching)
            .build()
    });
    let call = region
        .autoscaling
        .start_instance_refresh()
        .auto_scaling_group_name(group)
        .strategy(RefreshStrategy::from(refresh.strategy.as_str()))
        .desired_configuration(DesiredConfiguration::builder().launch_template(template.specification()).build())
        .set_preferences(preferences);
    match call.send().await.or_fault("autoscaling:StartInstanceRefresh") {
        Err(fault) if fault.code.as_deref() == Some("InstanceRefreshInProgress") => {
            // Ours, if its answer was lost.
            match latest(region, group).await? {
                Some(latest) if latest.brings(template) => Ok(()),
                _ => Err(fault),
            }
        }
        other => other.map(drop),
    }
}

/// After a change that is no refresh, one that failed before it is no longer news.
pub async fn forget_failed(region: &Region, group: &str) -> Result<(), Fault> {
    let failed = latest(region, group).await?.filter(Latest::has_failed);
    let Some(id) = failed.as_ref().and_then(|latest| latest.0.instance_refresh_id()) else { return Ok(()) };
    let call = region.autoscaling.create_or_update_tags().tags(tagging::group_tag(group, &told(), Some(id)));
    call.send().await.or_fault("autoscaling:CreateOrUpdateTags").map(drop)
}
