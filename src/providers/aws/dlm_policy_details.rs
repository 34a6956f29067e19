//! What a lifecycle policy does, as an author writes it and as AWS has it.

use aws_sdk_dlm::types as aws;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags::Tags;
use crate::resource::schema::Mistake;
use crate::resource::{Map, Value};

#[derive(Serialize, Deserialize, JsonSchema, Default)]
pub struct PolicyDetails {
    /// Whether it makes snapshots of volumes or images of instances; cannot be changed later.
    #[serde(default = "snapshots")]
    #[schemars(extend("enum" = ["EBS_SNAPSHOT_MANAGEMENT", "IMAGE_MANAGEMENT"]))]
    pub policy_type: String,
    /// What the target tags are looked for on: `["VOLUME"]`, or `["INSTANCE"]` for all volumes of an instance.
    #[schemars(extend("uniqueItems" = true))]
    pub resource_types: Vec<String>,
    /// What has any one of these tags is meant.
    pub target_tags: Tags,
    /// When, and for how long what is made is kept; one to four.
    pub schedule: Vec<Schedule>,
    /// What to leave out.
    #[serde(default)]
    pub parameters: Parameters,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    /// Name, unique in the policy.
    pub name: String,
    /// When.
    pub create_rule: CreateRule,
    /// How long what was made is kept.
    pub retain_rule: RetainRule,
    /// Whether it gets the tags of what it was made of.
    #[serde(default)]
    pub copy_tags: bool,
    /// Tags that it gets besides.
    #[serde(default)]
    pub tags_to_add: Tags,
    /// Tags whose value is `$(instance-id)` or `$(timestamp)`; for instances.
    #[serde(default)]
    pub variable_tags: Tags,
    /// When an image is marked as out of date.
    pub deprecate_rule: Option<RetainRule>,
    /// Copies in other regions; up to three.
    #[serde(default)]
    pub cross_region_copy_rule: Vec<CopyRule>,
    /// Where a volume made of it is fast from the start.
    pub fast_restore_rule: Option<FastRestoreRule>,
    /// Accounts that may use it.
    pub share_rule: Option<ShareRule>,
}

/// Either by interval or by cron expression.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct CreateRule {
    /// Every so many hours: 1, 2, 3, 4, 6, 8, 12 or 24.
    pub interval: Option<i32>,
    /// Unit of the interval.
    #[serde(default = "hours")]
    #[schemars(extend("enum" = ["HOURS"]))]
    pub interval_unit: String,
    /// With an interval, when the first of a day begins: one time such as `["03:00"]`, in UTC.
    #[serde(default)]
    pub times: Vec<String>,
    /// `cron(0 3 ? * MON *)`, in UTC.
    pub cron_expression: Option<String>,
}

/// Either the last so many, or so long.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct RetainRule {
    /// The last so many, 1 to 1,000.
    pub count: Option<i32>,
    /// For so many units of time.
    pub interval: Option<i32>,
    /// Unit of the interval.
    #[schemars(extend("enum" = ["DAYS", "WEEKS", "MONTHS", "YEARS", null]))]
    pub interval_unit: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Period {
    /// For so many units of time.
    pub interval: i32,
    /// Unit of the interval.
    #[schemars(extend("enum" = ["DAYS", "WEEKS", "MONTHS", "YEARS"]))]
    pub interval_unit: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct CopyRule {
    /// Region in which the copy is made; for images.
    pub target_region: Option<String>,
    /// Region, or ARN of the Outpost, in which the copy is made; for snapshots.
    pub target: Option<String>,
    /// Whether the copy is encrypted although the original is not.
    pub encrypted: bool,
    /// ARN of the key for it; left out, the region's default.
    pub cmk_arn: Option<String>,
    /// Whether the copy gets the tags of the original.
    #[serde(default)]
    pub copy_tags: bool,
    /// How long the copy is kept; left out, as long as the original.
    pub retain_rule: Option<Period>,
    /// When the copy of an image is marked as out of date.
    pub deprecate_rule: Option<Period>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct FastRestoreRule {
    /// Zones in which it is fast.
    #[schemars(extend("uniqueItems" = true))]
    pub availability_zones: Vec<String>,
    /// For the last so many, 1 to 1,000.
    pub count: Option<i32>,
    /// For so many units of time.
    pub interval: Option<i32>,
    /// Unit of the interval.
    #[schemars(extend("enum" = ["DAYS", "WEEKS", "MONTHS", "YEARS", null]))]
    pub interval_unit: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ShareRule {
    /// Numbers of the accounts.
    #[schemars(extend("uniqueItems" = true))]
    pub target_accounts: Vec<String>,
    /// After so many units of time they may no longer; left out, they always may.
    pub unshare_interval: Option<i32>,
    /// Unit of the interval.
    #[schemars(extend("enum" = ["DAYS", "WEEKS", "MONTHS", "YEARS", null]))]
    pub unshare_interval_unit: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema, Default)]
pub struct Parameters {
    /// Whether snapshots leave out the volume that an instance starts from.
    #[serde(default)]
    pub exclude_boot_volume: bool,
    /// Whether images are made without stopping the instance for it.
    #[serde(default)]
    pub no_reboot: bool,
}

fn snapshots() -> String {
    "EBS_SNAPSHOT_MANAGEMENT".into()
}

fn hours() -> String {
    "HOURS".into()
}

fn unit(unit: &Option<String>) -> Option<aws::RetentionIntervalUnitValues> {
    unit.as_deref().map(Into::into)
}

fn unit_of(unit: Option<&aws::RetentionIntervalUnitValues>) -> Option<String> {
    unit.map(|unit| unit.as_str().to_owned())
}

/// Nothing is told as nothing or as zero.
fn number(number: Option<i32>) -> Option<i32> {
    number.filter(|number| *number != 0)
}

fn tag_list(tags: &Tags) -> Vec<aws::Tag> {
    tags.iter().map(|(key, value)| aws::Tag::builder().key(key).value(value).build()).collect()
}

fn tag_map(tags: &[aws::Tag]) -> Tags {
    let pair = |tag: &aws::Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

/// A list that is not sent if there is nothing in it.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

impl PolicyDetails {
    pub fn to_aws(&self) -> aws::PolicyDetails {
        let left_out = &self.parameters;
        let parameters = (left_out.exclude_boot_volume || left_out.no_reboot).then(|| {
            let set = |on: bool| on.then_some(true);
            let parameters = aws::Parameters::builder().set_exclude_boot_volume(set(left_out.exclude_boot_volume));
            parameters.set_no_reboot(set(left_out.no_reboot)).build()
        });
        aws::PolicyDetails::builder()
            .policy_type(self.policy_type.as_str().into())
            .set_resource_types(Some(self.resource_types.iter().map(|of| of.as_str().into()).collect()))
            .set_target_tags(Some(tag_list(&self.target_tags)))
            .set_schedules(Some(self.schedule.iter().map(Schedule::to_aws).collect()))
            .set_parameters(parameters)
            .build()
    }

    pub fn of(details: &aws::PolicyDetails) -> Self {
        let parameters = details.parameters();
        PolicyDetails {
            policy_type: details.policy_type().map_or_else(snapshots, |of| of.as_str().to_owned()),
            resource_types: details.resource_types().iter().map(|of| of.as_str().to_owned()).collect(),
            target_tags: tag_map(details.target_tags()),
            schedule: details.schedules().iter().map(Schedule::of).collect(),
            parameters: Parameters {
                exclude_boot_volume: parameters.and_then(|p| p.exclude_boot_volume()) == Some(true),
                no_reboot: parameters.and_then(|p| p.no_reboot()) == Some(true),
            },
        }
    }
}

impl Schedule {
    fn to_aws(&self) -> aws::Schedule {
        let when = &self.create_rule;
        let create_rule = aws::CreateRule::builder()
            .set_interval(when.interval)
            .set_interval_unit(when.interval.map(|_| when.interval_unit.as_str().into()))
            .set_times(some(when.times.clone()))
            .set_cron_expression(when.cron_expression.clone());
        let kept = &self.retain_rule;
        let retain_rule = aws::RetainRule::builder().set_count(kept.count).set_interval(kept.interval);
        let deprecate_rule = self.deprecate_rule.as_ref().map(|rule| {
            let built = aws::DeprecateRule::builder().set_count(rule.count).set_interval(rule.interval);
            built.set_interval_unit(unit(&rule.interval_unit)).build()
        });
        let fast_restore_rule = self.fast_restore_rule.as_ref().map(|rule| {
            let built = aws::FastRestoreRule::builder().set_count(rule.count).set_interval(rule.interval);
            let built = built.set_interval_unit(unit(&rule.interval_unit));
            built.set_availability_zones(Some(rule.availability_zones.clone())).build()
        });
        let share_rules = self.share_rule.iter().map(|rule| {
            let built = aws::ShareRule::builder().set_target_accounts(Some(rule.target_accounts.clone()));
            let built = built.set_unshare_interval(rule.unshare_interval);
            built.set_unshare_interval_unit(unit(&rule.unshare_interval_unit)).build()
        });
        aws::Schedule::builder()
            .name(&self.name)
            .create_rule(create_rule.build())
            .retain_rule(retain_rule.set_interval_unit(unit(&kept.interval_unit)).build())
            .copy_tags(self.copy_tags)
            .set_tags_to_add(some(tag_list(&self.tags_to_add)))
            .set_variable_tags(some(tag_list(&self.variable_tags)))
            .set_deprecate_rule(deprecate_rule)
            .set_cross_region_copy_rules(some(self.cross_region_copy_rule.iter().map(CopyRule::to_aws).collect()))
            .set_fast_restore_rule(fast_restore_rule)
            .set_share_rules(some(share_rules.collect()))
            .build()
    }

    fn of(schedule: &aws::Schedule) -> Self {
        let (when, kept) = (schedule.create_rule(), schedule.retain_rule());
        Schedule {
            name: schedule.name().unwrap_or_default().to_owned(),
            create_rule: CreateRule {
                interval: number(when.and_then(|when| when.interval())),
                interval_unit: when
                    .and_then(|when| when.interval_unit())
                    .map_or_else(hours, |unit| unit.as_str().to_owned()),
                times: when.map(|when| when.times().to_vec()).unwrap_or_default(),
                cron_expression: when.and_then(|when| when.cron_expression()).map(str::to_owned),
            },
            retain_rule: RetainRule {
                count: number(kept.and_then(|kept| kept.count())),
                interval: number(kept.and_then(|kept| kept.interval())),
                interval_unit: unit_of(kept.and_then(|kept| kept.interval_unit())),
            },
            copy_tags: schedule.copy_tags() == Some(true),
            tags_to_add: tag_map(schedule.tags_to_add()),
            variable_tags: tag_map(schedule.variable_tags()),
            deprecate_rule: schedule.deprecate_rule().map(|rule| RetainRule {
                count: number(rule.count()),
                interval: number(rule.interval()),
                interval_unit: unit_of(rule.interval_unit()),
            }),
            cross_region_copy_rule: schedule.cross_region_copy_rules().iter().map(CopyRule::of).collect(),
            fast_restore_rule: schedule.fast_restore_rule().map(|rule| FastRestoreRule {
                availability_zones: rule.availability_zones().to_vec(),
                count: number(rule.count()),
                interval: number(rule.interval()),
                interval_unit: unit_of(rule.interval_unit()),
            }),
            share_rule: schedule.share_rules().first().map(|rule| ShareRule {
                target_accounts: rule.target_accounts().to_vec(),
                unshare_interval: number(rule.unshare_interval()),
                unshare_interval_unit: unit_of(rule.unshare_interval_unit()),
            }),
        }
    }
}

impl CopyRule {
    fn to_aws(&self) -> aws::CrossRegionCopyRule {
        let retain_rule = self.retain_rule.as_ref().map(|rule| {
            let built = aws::CrossRegionCopyRetainRule::builder().interval(rule.interval);
            built.interval_unit(rule.interval_unit.as_str().into()).build()
        });
        let deprecate_rule = self.deprecate_rule.as_ref().map(|rule| {
            let built = aws::CrossRegionCopyDeprecateRule::builder().interval(rule.interval);
            built.interval_unit(rule.interval_unit.as_str().into()).build()
        });
        aws::CrossRegionCopyRule::builder()
            .set_target_region(self.target_region.clone())
            .set_target(self.target.clone())
            .encrypted(self.encrypted)
            .set_cmk_arn(self.cmk_arn.clone())
            .copy_tags(self.copy_tags)
            .set_retain_rule(retain_rule)
            .set_deprecate_rule(deprecate_rule)
            .build()
    }

    fn of(rule: &aws::CrossRegionCopyRule) -> Self {
        let period = |interval: Option<i32>, unit: Option<&aws::RetentionIntervalUnitValues>| {
            Some(Period { interval: interval?, interval_unit: unit_of(unit)? })
        };
        CopyRule {
            target_region: rule.target_region().map(str::to_owned),
            target: rule.target().map(str::to_owned),
            encrypted: rule.encrypted() == Some(true),
            cmk_arn: rule.cmk_arn().map(str::to_owned),
            copy_tags: rule.copy_tags() == Some(true),
            retain_rule: rule.retain_rule().and_then(|rule| period(rule.interval(), rule.interval_unit())),
            deprecate_rule: rule.deprecate_rule().and_then(|rule| period(rule.interval(), rule.interval_unit())),
        }
    }
}

/// What AWS would refuse, or fill in by itself so that it would look like a change.
pub fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let mut wrong = |path: &str, what: &str, hint: &str| {
        mistakes.push(Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) });
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || " _-".contains(c);
    if inputs
        .get("description")
        .and_then(Value::as_str)
        .is_some_and(|text| text.is_empty() || !text.chars().all(allowed))
    {
        wrong("description", "has characters that AWS does not take", "use letters, digits, blanks, _ and -");
    }
    let Some(Value::Map(details)) = inputs.get("policy_details") else { return mistakes };
    let schedules = details.get("schedule").and_then(Value::as_list).unwrap_or_default();
    for (i, schedule) in schedules.iter().enumerate() {
        let Value::Map(schedule) = schedule else { continue };
        let path = |name: &str| format!("policy_details.schedule[{i}].{name}");
        let given = |rule: &Map, name: &str| rule.get(name).is_some_and(|value| !value.is_empty());
        if let Some(Value::Map(rule)) = schedule.get("create_rule") {
            let at = path("create_rule");
            match (given(rule, "interval"), given(rule, "cron_expression")) {
                (true, true) => wrong(&at, "has an interval and a cron expression", "give one of them"),
                (false, false) => wrong(&at, "does not say when", "give `interval` and `times`, or `cron_expression`"),
                (true, false) if !given(rule, "times") => {
                    wrong(&at, "has no `times`", "say when the first of a day begins, for example [\"03:00\"]");
                }
                _ => {}
            }
        }
        for name in ["retain_rule", "deprecate_rule", "fast_restore_rule"] {
            let Some(Value::Map(rule)) = schedule.get(name) else { continue };
            if given(rule, "count") == given(rule, "interval") {
                wrong(&path(name), "does not say how long", "give `count`, or `interval` and `interval_unit`");
            } else if given(rule, "interval") != given(rule, "interval_unit") {
                wrong(&path(name), "has an interval without its unit, or the other way round", "give both");
            }
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let json = serde_json::json!({
            "policy_type": "IMAGE_MANAGEMENT", "resource_types": ["INSTANCE"], "target_tags": { "backup": "yes" },
            "parameters": { "exclude_boot_volume": false, "no_reboot": true },
            "schedule": [{
                "name": "all", "copy_tags": true, "tags_to_add": { "a": "b" }, "variable_tags": { "t": "$(timestamp)" },
                "create_rule": { "interval": 24, "interval_unit": "HOURS", "times": ["03:00"], "cron_expression": null },
                "retain_rule": { "count": 7, "interval": null, "interval_unit": null },
                "deprecate_rule": { "count": null, "interval": 2, "interval_unit": "WEEKS" },
                "fast_restore_rule": { "availability_zones": ["eu-west-1a"], "count": 1, "interval": null, "interval_unit": null },
                "share_rule": { "target_accounts": ["111122223333"], "unshare_interval": 1, "unshare_interval_unit": "DAYS" },
                "cross_region_copy_rule": [{
                    "target_region": null, "target": "eu-central-1", "encrypted": true, "cmk_arn": "arn:aws:kms:x", "copy_tags": true,
                    "retain_rule": { "interval": 1, "interval_unit": "MONTHS" },
                    "deprecate_rule": { "interval": 1, "interval_unit": "DAYS" },
                }],
            }],
        });
        let details: PolicyDetails = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(PolicyDetails::of(&details.to_aws())).unwrap(), json);
    }

    #[test]
    fn rules_say_one_thing() {
        let json = serde_json::json!({ "description": "nightly: all", "policy_details": { "schedule": [
            { "create_rule": { "interval": 24 }, "retain_rule": { "count": 1, "interval": 1 } },
            { "create_rule": {}, "retain_rule": { "interval": 1 } },
            { "create_rule": { "cron_expression": "cron(0 3 ? * MON *)" }, "retain_rule": { "count": 1 } },
        ] } });
        let Value::Map(inputs) = Value::from(json) else { panic!("a map") };
        let told: Vec<String> = check(&inputs).into_iter().map(|m| format!("{}: {}", m.path, m.what)).collect();
        assert_eq!(
            told,
            [
                "description: has characters that AWS does not take",
                "policy_details.schedule[0].create_rule: has no `times`",
                "policy_details.schedule[0].retain_rule: does not say how long",
                "policy_details.schedule[1].create_rule: does not say when",
                "policy_details.schedule[1].retain_rule: has an interval without its unit, or the other way round",
            ]
        );
    }
}
