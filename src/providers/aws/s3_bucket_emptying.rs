//! Takes everything out of a bucket: all versions of all objects, and the marks of deleted ones.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::client::Region;
use super::fault::OrFault;
use super::fault_codes::classify;
use crate::resource::{Class, Fault};

/// A thousand at a time, as long as there are any.
pub async fn empty(region: &Region, bucket: &str) -> Result<(), Fault> {
    loop {
        let call = region.s3.list_object_versions().bucket(bucket).max_keys(1000);
        let found = call.send().await.or_fault("s3:ListObjectVersions")?;
        let versions = found.versions().iter().map(|one| (one.key(), one.version_id()));
        let marks = found.delete_markers().iter().map(|one| (one.key(), one.version_id()));
        let objects = versions.chain(marks).filter_map(|(key, version)| {
            ObjectIdentifier::builder().key(key?).set_version_id(version.map(str::to_owned)).build().ok()
        });
        let objects: Vec<ObjectIdentifier> = objects.collect();
        if objects.is_empty() {
            return Ok(());
        }
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.expect("the objects are given");
        let answer = region.s3.delete_objects().bucket(bucket).delete(delete).send().await;
        // The call succeeds also if nothing was deleted: each failure is an item of the answer.
        if let Some(error) = answer.or_fault("s3:DeleteObjects")?.errors().first() {
            let code = error.code().unwrap_or_default();
            let class = if code.is_empty() { Class::Other } else { classify(code, 400) };
            let key = error.key().unwrap_or_default();
            let why = error.message().unwrap_or("it was not deleted");
            let mut fault = Fault::new(class, format!("the object `{key}` stays: {why}"));
            fault.code = Some(code.to_owned()).filter(|code| !code.is_empty());
            fault.operation = Some("s3:DeleteObjects".into());
            return Err(fault);
        }
    }
}
