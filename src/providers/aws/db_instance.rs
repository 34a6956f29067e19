//! `aws::db_instance`. Reads: one DescribeDBInstances per region, 100 a page; by name, one for each.

use aws_sdk_rds::types::{DbInstance as SdkInstance, PendingModifiedValues};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::db_instance_rules::{check, fits, forbids, major};
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::{Class, Fault, Map, Select, Status, Value};

pub struct DbInstance;

/// A database server that AWS runs. What it shall be from its next maintenance on counts as what it is.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the region, in lower case; left out, the logical name (CreateDBInstance).
    #[schemars(extend("immutable" = true))]
    pub identifier: Option<String>,
    /// Kind of database: `postgres`, `mysql`, `mariadb` and others (CreateDBInstance).
    #[schemars(extend("immutable" = true))]
    pub engine: String,
    /// Version; `16` is met by every `16.x`, and any by a later minor version that AWS has brought in by itself
    /// (ModifyDBInstance).
    pub engine_version: Option<String>,
    /// Size of the server, like `db.t4g.medium` (ModifyDBInstance).
    pub instance_class: String,
    /// Storage in GiB; it can only grow (ModifyDBInstance).
    pub allocated_storage: Option<i64>,
    /// GiB up to which AWS lets the storage grow by itself (ModifyDBInstance).
    pub max_allocated_storage: Option<i64>,
    /// Kind of storage: `gp3`, `gp2`, `io1`, `io2` (ModifyDBInstance).
    pub storage_type: Option<String>,
    /// I/O operations per second that are paid for (ModifyDBInstance).
    pub iops: Option<i64>,
    /// Whether the storage is encrypted (CreateDBInstance).
    #[serde(default)]
    #[schemars(extend("immutable" = true))]
    pub storage_encrypted: bool,
    /// ARN of the key to encrypt with; left out, the account's own for RDS (CreateDBInstance).
    #[schemars(extend("immutable" = true))]
    pub kms_key_id: Option<String>,
    /// Database that is made in it at first (CreateDBInstance).
    #[schemars(extend("immutable" = true))]
    pub db_name: Option<String>,
    /// Name of the master user (CreateDBInstance).
    #[schemars(extend("immutable" = true))]
    pub username: Option<String>,
    /// Password of the master user, only as a secret. It cannot be read back: after a change, raise `password_version`
    /// (ModifyDBInstance).
    #[schemars(extend("sensitive" = true, "write_only" = true))]
    pub password: Option<String>,
    /// Number to raise whenever `password` has changed; kept in a tag.
    #[schemars(extend("remembered" = true))]
    pub password_version: Option<i64>,
    /// Whether AWS makes up the password and keeps it in Secrets Manager, instead of `password` (ModifyDBInstance).
    pub manage_master_user_password: Option<bool>,
    /// The subnets it may stand in (ModifyDBInstance).
    #[schemars(extend("names" = "aws::db_subnet_group"))]
    pub db_subnet_group_name: Option<String>,
    /// Security groups (ModifyDBInstance).
    #[schemars(extend("uniqueItems" = true))]
    pub vpc_security_group_ids: Option<Vec<String>>,
    /// Port it listens on; left out, the usual one of its kind (ModifyDBInstance).
    pub port: Option<i64>,
    /// Whether it has an address on the internet (ModifyDBInstance).
    #[serde(default)]
    pub publicly_accessible: bool,
    /// Whether a second one stands by in another zone (ModifyDBInstance).
    #[serde(default)]
    pub multi_az: bool,
    /// Days for which backups are kept, 0 for none; AWS takes 1 (ModifyDBInstance).
    pub backup_retention_period: Option<i64>,
    /// When backups are made each day, in UTC: `03:00-04:00` (ModifyDBInstance).
    pub backup_window: Option<String>,
    /// When AWS may change it each week, in UTC: `sun:05:00-sun:06:00` (ModifyDBInstance).
    pub maintenance_window: Option<String>,
    /// Whether AWS refuses to delete it (ModifyDBInstance).
    #[serde(default)]
    pub deletion_protection: bool,
    /// Whether it is deleted without a last snapshot; kept in a tag (DeleteDBInstance).
    #[serde(default)]
    #[schemars(extend("remembered" = true))]
    pub skip_final_snapshot: bool,
    /// Name of that snapshot; left out, one that is used only once. Kept in a tag (DeleteDBInstance).
    #[schemars(extend("remembered" = true))]
    pub final_snapshot_identifier: Option<String>,
    /// Whether changes are made at once instead of at the next maintenance; some interrupt it. What waits already is
    /// not hurried by it (ModifyDBInstance).
    #[schemars(extend("write_only" = true))]
    pub apply_immediately: Option<bool>,
    /// Whether AWS brings in new minor versions; left out, it does (ModifyDBInstance).
    #[serde(default = "yes")]
    pub auto_minor_version_upgrade: bool,
    /// How it is licensed, where there is a choice (ModifyDBInstance).
    pub license_model: Option<String>,
    /// Its settings; left out, the usual ones of its kind (ModifyDBInstance).
    pub parameter_group_name: Option<String>,
    /// Authority of its TLS certificate (ModifyDBInstance).
    pub ca_cert_identifier: Option<String>,
    /// Whether snapshots get its tags (ModifyDBInstance).
    #[serde(default)]
    pub copy_tags_to_snapshot: bool,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn yes() -> bool {
    true
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Name of the instance.
    #[schemars(example = &"main")]
    id: String,
    /// ARN of the instance.
    #[schemars(example = "arn:aws:rds:eu-west-1:111122223333:db:main")]
    arn: String,
    /// Where it is reached: host, colon, port.
    #[schemars(example = &"main.c0a1b2c3d4e5.eu-west-1.rds.amazonaws.com:5432", extend("changes_with" = ["port"]))]
    endpoint: Option<String>,
    /// Host under which it is reached.
    #[schemars(example = &"main.c0a1b2c3d4e5.eu-west-1.rds.amazonaws.com")]
    address: Option<String>,
    /// Port on which it is reached.
    #[schemars(example = 5432, extend("changes_with" = ["port"]))]
    port: Option<i64>,
    /// Hosted zone of that name, for alias records of Route 53.
    #[schemars(example = &"Z29XKXDKYMONMX")]
    hosted_zone_id: Option<String>,
    /// Id that no other instance ever has.
    #[schemars(example = &"db-ABCDEFGHIJKLMNOPQRSTUVWXYZ")]
    resource_id: String,
    /// What it is doing, in AWS's words.
    #[schemars(example = &"available")]
    status: String,
    /// ARN of the secret that holds the password, where AWS keeps it.
    #[schemars(
        example = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:rds!db-0a1b2c3d-AbCdEf",
        extend("changes_with" = ["manage_master_user_password"])
    )]
    master_user_secret_arn: Option<String>,
}

impl AwsKind for DbInstance {
    const NAME: &'static str = "aws::db_instance";
    const TYPE: Type = Type::Rds("rds:db");
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["identifier"],
            named_by: Some("identifier"),
            normalise: |field, value| match (field, value) {
                ("identifier" | "engine" | "backup_window" | "maintenance_window", Value::String(text)) => {
                    text.to_lowercase().into()
                }
                _ => value.clone(),
            },
            fits,
            forbids,
            check,
            made_up,
            // Whatever state it is in, nobody wants an empty one in its place.
            mended_by: Some(&[]),
            timeout: 3600,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let instances = match search.select() {
            Select::Owned { .. } => {
                let pages = region.rds.describe_db_instances().into_paginator().page_size(100).items().send();
                pages.collect::<Result<Vec<_>, _>>().await.or_fault("rds:DescribeDBInstances")?
            }
            Select::Ids(names) | Select::Named(names) => {
                each(names.clone(), |name| async move { describe(region, &name).await }).await?
            }
        };
        let found = instances.into_iter().filter_map(|instance| {
            let id = instance.db_instance_identifier()?.to_owned();
            let tags = tags::of(instance.tag_list());
            let endpoint = instance.endpoint();
            let (host, port) = (endpoint.and_then(|e| e.address()), endpoint.and_then(|e| e.port()));
            let arn = instance.db_instance_arn().map(str::to_owned);
            Some(Found {
                inputs: inputs(&instance, &tags),
                outputs: Outputs {
                    arn: arn.unwrap_or_else(|| region.arn("rds", &format!("db:{id}"))),
                    endpoint: host.zip(port).map(|(host, port)| format!("{host}:{port}")),
                    address: host.map(str::to_owned),
                    port: port.map(Into::into),
                    hosted_zone_id: endpoint.and_then(|e| e.hosted_zone_id()).map(str::to_owned),
                    resource_id: instance.dbi_resource_id().unwrap_or_default().to_owned(),
                    status: instance.db_instance_status().unwrap_or_default().to_owned(),
                    master_user_secret_arn: instance
                        .master_user_secret()
                        .and_then(|s| s.secret_arn())
                        .map(str::to_owned),
                    id: id.clone(),
                },
                status: status(instance.db_instance_status().unwrap_or_default()),
                tags,
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .rds
            .create_db_instance()
            .db_instance_identifier(inputs.identifier.as_deref().unwrap_or(&birth.owner.address.name))
            .engine(&inputs.engine)
            .set_engine_version(inputs.engine_version.clone())
            .db_instance_class(&inputs.instance_class)
            .set_allocated_storage(inputs.allocated_storage.map(small))
            .set_max_allocated_storage(inputs.max_allocated_storage.map(small))
            .set_storage_type(inputs.storage_type.clone())
            .set_iops(inputs.iops.map(small))
            .storage_encrypted(inputs.storage_encrypted)
            .set_kms_key_id(inputs.kms_key_id.clone())
            .set_db_name(inputs.db_name.clone())
            .set_master_username(inputs.username.clone())
            .set_master_user_password(inputs.password.clone())
            .set_manage_master_user_password(inputs.manage_master_user_password)
            .set_db_subnet_group_name(inputs.db_subnet_group_name.clone())
            .set_vpc_security_group_ids(inputs.vpc_security_group_ids.clone())
            .set_port(inputs.port.map(small))
            .publicly_accessible(inputs.publicly_accessible)
            .multi_az(inputs.multi_az)
            .set_backup_retention_period(inputs.backup_retention_period.map(small))
            .set_preferred_backup_window(inputs.backup_window.clone())
            .set_preferred_maintenance_window(inputs.maintenance_window.clone())
            .deletion_protection(inputs.deletion_protection)
            .auto_minor_version_upgrade(inputs.auto_minor_version_upgrade)
            .set_license_model(inputs.license_model.clone())
            .set_db_parameter_group_name(inputs.parameter_group_name.clone())
            .set_ca_certificate_identifier(inputs.ca_cert_identifier.clone())
            .copy_tags_to_snapshot(inputs.copy_tags_to_snapshot)
            .set_tags(birth.list());
        let made = call.send().await.or_fault("rds:CreateDBInstance")?.db_instance;
        Ok(made.and_then(|made| made.db_instance_identifier))
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let inputs = change.inputs;
        // Only what changes is sent: AWS refuses some values even where they are what it has.
        macro_rules! changed {
            ($field:literal, $value:expr) => {
                if change.of($field) { $value } else { None }
            };
        }
        let io = change.of("storage_type") && inputs.storage_type.as_deref().is_some_and(|of| of.starts_with("io"));
        // AWS takes larger storage of these kinds only with its I/O operations.
        let of = inputs.storage_type.as_deref().unwrap_or_default();
        let with_io = of.starts_with("io") || of == "gp3" && inputs.allocated_storage.is_some_and(|size| size >= 400);
        let io = io || change.of("allocated_storage") && with_io;
        let call = region
            .rds
            .modify_db_instance()
            .db_instance_identifier(id)
            .apply_immediately(inputs.apply_immediately.unwrap_or_default())
            .set_engine_version(changed!("engine_version", inputs.engine_version.clone()))
            .set_allow_major_version_upgrade(changed!("engine_version", is_major_upgrade(&change).then_some(true)))
            .set_db_instance_class(changed!("instance_class", Some(inputs.instance_class.clone())))
            // I/O operations are changed together with the storage they are for.
            .set_allocated_storage(match change.of("allocated_storage") || change.of("iops") || io {
                // What AWS has let grow does not shrink again.
                true => inputs.allocated_storage.max(change.live.allocated_storage).map(small),
                false => None,
            })
            .set_iops(if change.of("iops") || io { inputs.iops.map(small) } else { None })
            .set_max_allocated_storage(changed!("max_allocated_storage", inputs.max_allocated_storage.map(small)))
            .set_storage_type(changed!("storage_type", inputs.storage_type.clone()))
            .set_master_user_password(new_password(&change)?)
            .set_manage_master_user_password(changed!(
                "manage_master_user_password",
                inputs.manage_master_user_password
            ))
            .set_db_subnet_group_name(changed!("db_subnet_group_name", inputs.db_subnet_group_name.clone()))
            .set_vpc_security_group_ids(changed!("vpc_security_group_ids", inputs.vpc_security_group_ids.clone()))
            .set_db_port_number(changed!("port", inputs.port.map(small)))
            .set_publicly_accessible(changed!("publicly_accessible", Some(inputs.publicly_accessible)))
            .set_multi_az(changed!("multi_az", Some(inputs.multi_az)))
            .set_backup_retention_period(changed!("backup_retention_period", inputs.backup_retention_period.map(small)))
            .set_preferred_backup_window(changed!("backup_window", inputs.backup_window.clone()))
            .set_preferred_maintenance_window(changed!("maintenance_window", inputs.maintenance_window.clone()))
            .set_deletion_protection(changed!("deletion_protection", Some(inputs.deletion_protection)))
            .set_auto_minor_version_upgrade(changed!(
                "auto_minor_version_upgrade",
                Some(inputs.auto_minor_version_upgrade)
            ))
            .set_license_model(changed!("license_model", inputs.license_model.clone()))
            .set_db_parameter_group_name(changed!("parameter_group_name", inputs.parameter_group_name.clone()))
            .set_ca_certificate_identifier(changed!("ca_cert_identifier", inputs.ca_cert_identifier.clone()))
            .set_copy_tags_to_snapshot(changed!("copy_tags_to_snapshot", Some(inputs.copy_tags_to_snapshot)));
        let ours = ["skip_final_snapshot", "final_snapshot_identifier"];
        if ours.iter().filter(|field| change.of(field)).count() == change.count() {
            return Ok(());
        }
        call.send().await.or_fault("rds:ModifyDBInstance").map(drop)
    }

    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        let mut call =
            region.rds.delete_db_instance().db_instance_identifier(id).skip_final_snapshot(live.skip_final_snapshot);
        if !live.skip_final_snapshot {
            let name = match live.final_snapshot_identifier {
                Some(name) => name,
                None => final_snapshot(region, id).await?,
            };
            call = call.final_db_snapshot_identifier(name);
        }
        call.send().await.or_fault("rds:DeleteDBInstance").map(drop)
    }
}

async fn describe(region: &Region, name: &str) -> Result<Option<SdkInstance>, Fault> {
    let answer = region.rds.describe_db_instances().db_instance_identifier(name).send().await;
    let answer = if_there(answer.or_fault("rds:DescribeDBInstances"))?;
    Ok(answer.and_then(|answer| answer.db_instances?.into_iter().next()))
}

/// A name that only this very instance can have used: the next of the same name has another id.
async fn final_snapshot(region: &Region, id: &str) -> Result<String, Fault> {
    let instance = describe(region, id).await?;
    let instance = instance.ok_or_else(|| Fault::new(Class::NotFound, format!("{id} is not there")))?;
    let resource = instance.dbi_resource_id().unwrap_or_default().to_lowercase();
    let tail = resource.trim_start_matches("db-").chars().take(12).collect::<String>();
    Ok(format!("{id}-final-{tail}"))
}

fn inputs(instance: &SdkInstance, tags: &Tags) -> Inputs {
    let nothing = PendingModifiedValues::builder().build();
    let pending = instance.pending_modified_values().unwrap_or(&nothing);
    let text = |text: Option<&str>| text.map(str::to_owned);
    let number = |number: Option<i32>| number.map(i64::from);
    let group = instance.db_subnet_group().and_then(|group| group.db_subnet_group_name());
    let security_groups = instance.vpc_security_groups().iter().filter(|group| group.status() != Some("removing"));
    let port = instance.endpoint().and_then(|endpoint| endpoint.port());
    let port = port.or(instance.db_instance_port().filter(|port| *port > 0));
    Inputs {
        identifier: text(instance.db_instance_identifier()),
        engine: instance.engine().unwrap_or_default().to_owned(),
        engine_version: text(pending.engine_version().or(instance.engine_version())),
        instance_class: text(pending.db_instance_class().or(instance.db_instance_class())).unwrap_or_default(),
        allocated_storage: number(pending.allocated_storage().or(instance.allocated_storage())),
        max_allocated_storage: number(instance.max_allocated_storage()),
        storage_type: text(pending.storage_type().or(instance.storage_type())),
        iops: number(pending.iops().or(instance.iops())),
        storage_encrypted: instance.storage_encrypted().unwrap_or_default(),
        kms_key_id: text(instance.kms_key_id()),
        db_name: text(instance.db_name()),
        username: text(instance.master_username()),
        password: None,
        password_version: None,
        manage_master_user_password: Some(instance.master_user_secret().is_some()),
        db_subnet_group_name: text(pending.db_subnet_group_name().or(group)),
        vpc_security_group_ids: Some(
            security_groups.filter_map(|group| group.vpc_security_group_id()).map(Into::into).collect(),
        ),
        port: number(pending.port().or(port)),
        publicly_accessible: instance.publicly_accessible().unwrap_or_default(),
        multi_az: pending.multi_az().or(instance.multi_az()).unwrap_or_default(),
        backup_retention_period: number(pending.backup_retention_period().or(instance.backup_retention_period())),
        backup_window: text(instance.preferred_backup_window()),
        maintenance_window: text(instance.preferred_maintenance_window()),
        deletion_protection: instance.deletion_protection().unwrap_or_default(),
        skip_final_snapshot: false,
        final_snapshot_identifier: None,
        apply_immediately: None,
        auto_minor_version_upgrade: instance.auto_minor_version_upgrade().unwrap_or(true),
        license_model: text(pending.license_model().or(instance.license_model())),
        parameter_group_name: text(instance.db_parameter_groups().first().and_then(|g| g.db_parameter_group_name())),
        ca_cert_identifier: text(pending.ca_certificate_identifier().or(instance.ca_certificate_identifier())),
        copy_tags_to_snapshot: instance.copy_tags_to_snapshot().unwrap_or_default(),
        tags: tags::authored(tags),
    }
}

/// The password where it is to be sent: it has changed, or AWS shall no longer keep one.
fn new_password(change: &Change<'_, Inputs>) -> Result<Option<String>, Fault> {
    let given_up = change.of("manage_master_user_password") && change.inputs.manage_master_user_password != Some(true);
    if !change.of("password_version") && !given_up {
        return Ok(None);
    }
    match (&change.inputs.password, change.inputs.manage_master_user_password) {
        (Some(password), _) => Ok(Some(password.clone())),
        (None, Some(true)) => Ok(None),
        (None, _) => Err(Fault::new(Class::Invalid, "`password` is needed to set it, and was left out")),
    }
}

fn is_major_upgrade(change: &Change<'_, Inputs>) -> bool {
    let major = |inputs: &Inputs| major(&inputs.engine, inputs.engine_version.as_deref().unwrap_or_default());
    major(change.inputs) != major(change.live)
}

/// Ready is what serves; a Failed one would be replaced, so what more storage or another setting can mend is only
/// waited for.
fn status(status: &str) -> Status {
    match status {
        "available" | "storage-optimization" | "storage-config-upgrade" | "stopped" => Status::Ready,
        "deleting" | "deleted" => Status::Deleting,
        "failed" | "restore-error" => Status::Failed(status.to_owned()),
        _ if status.starts_with("incompatible-") => Status::Failed(status.to_owned()),
        "" => Status::Pending("no status yet".into()),
        other => Status::Pending(other.to_owned()),
    }
}

/// An address that is its own.
fn made_up(output: &str, inputs: &Map) -> Option<Value> {
    let address = || {
        let name = inputs.get("identifier")?.as_str()?;
        Some(format!("{name}.c0a1b2c3d4e5.eu-west-1.rds.amazonaws.com"))
    };
    let usual = |engine: &str| match engine.split('-').next() {
        Some("mysql" | "mariadb") => 3306,
        Some("oracle") => 1521,
        Some("sqlserver") => 1433,
        _ => 5432,
    };
    let port = || match inputs.get("port") {
        Some(Value::Int(port)) => Some(*port),
        _ => Some(usual(inputs.get("engine")?.as_str()?)),
    };
    match output {
        "address" => address().map(Value::from),
        "port" => port().map(Value::Int),
        "endpoint" => Some(format!("{}:{}", address()?, port()?).into()),
        _ => None,
    }
}

/// Sizes, ports and days: AWS says what is wrong with one that is far out of range.
fn small(number: i64) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: serde_json::Value) -> Map {
        match Value::from(json) {
            Value::Map(map) => map,
            other => panic!("{other} is no map"),
        }
    }

    #[test]
    fn a_major_version_is_met_by_its_minor_ones() {
        let version = |text: &str| map(serde_json::json!({ "engine_version": text }));
        assert!(fits("engine_version", &version("16"), &version("16.3")));
        assert!(!fits("engine_version", &version("1"), &version("16.3")));
        assert!(!fits("engine_version", &version("16.3"), &version("16")));
        assert!(!fits("engine_version", &version("16.3"), &version("16.4")));
        let upgraded = |engine: &str, version: &str| {
            map(serde_json::json!({ "engine": engine, "engine_version": version, "auto_minor_version_upgrade": true }))
        };
        assert!(fits("engine_version", &version("16.3"), &upgraded("postgres", "16.10")));
        assert!(!fits("engine_version", &version("16.3"), &upgraded("postgres", "17.1")));
        assert!(!fits("engine_version", &version("16.3"), &upgraded("postgres", "16.2")));
        assert!(!fits("engine_version", &version("8.0.36"), &upgraded("mysql", "8.4.3")));
    }

    #[test]
    fn a_password_is_given_or_made_up_by_aws_not_both() {
        let told = |json| check(&map(json)).into_iter().map(|mistake| mistake.path).collect::<Vec<_>>();
        let secret = serde_json::Value::from(&Value::from(crate::resource::Reference::secret("database")));
        let json = serde_json::json!({ "identifier": "main", "password": secret.clone() });
        assert_eq!(told(json), [""; 0]);
        assert_eq!(told(serde_json::json!({ "password": "not-a-real-password" })), ["password"], "only as a secret");
        assert_eq!(told(serde_json::json!({ "manage_master_user_password": true })), [""; 0]);
        assert_eq!(told(serde_json::json!({ "identifier": "Main" })), ["identifier", "password"]);
        let both = serde_json::json!({ "password": secret, "manage_master_user_password": true });
        assert_eq!(told(both), ["password"]);
        let alias = serde_json::json!({ "manage_master_user_password": true, "kms_key_id": "alias/data" });
        assert_eq!(told(alias), ["kms_key_id"]);
    }

    #[test]
    fn storage_that_aws_has_grown_fits_and_none_shrinks() {
        let live = |limit| map(serde_json::json!({ "allocated_storage": 150, "max_allocated_storage": limit }));
        let wanted = |size| map(serde_json::json!({ "allocated_storage": size }));
        let limit = || serde_json::json!(500);
        assert!(fits("allocated_storage", &wanted(100), &live(limit())));
        assert!(!fits("allocated_storage", &wanted(100), &live(serde_json::Value::Null)));
        assert!(fits("allocated_storage", &wanted(140), &live(serde_json::Value::Null)), "rounded up");
        assert!(!fits("allocated_storage", &wanted(200), &live(limit())));
        assert_eq!(forbids(&wanted(100), &live(serde_json::Value::Null)).unwrap().path, "allocated_storage");
        assert!(forbids(&wanted(100), &live(limit())).is_none());
    }

    #[test]
    fn what_can_be_mended_is_no_reason_to_replace_it() {
        assert_eq!(status("storage-full"), Status::Pending("storage-full".into()));
        assert_eq!(status("incompatible-network"), Status::Failed("incompatible-network".into()));
        assert_eq!(status("storage-optimization"), Status::Ready);
    }
}
