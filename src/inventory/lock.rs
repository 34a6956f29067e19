//! `[lock]`: where a team keeps the lock of its stacks. A mistake in it would be no lock at all, so nothing unknown passes.

use serde::{Deserialize, Serialize};

use super::Inventory;
use crate::diagnostic::{Diagnostic, Diagnostics, closest};
use crate::resource::{LockPlace, Value};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// `s3://bucket/prefix`.
    pub s3: String,
    /// The bucket's region, if it is not the stack's.
    pub region: Option<String>,
    /// For how many seconds each sign of life of a run holds.
    pub lease: u64,
}

pub(super) const KEYS: [&str; 3] = ["s3", "region", "lease"];

const PLACE: &str = "s3 = \"s3://bucket/prefix\", with a bucket that is there";

/// Seconds, where the inventory says nothing.
const LEASE: u64 = 60;

/// Shorter ones are lost by mere slowness; longer ones keep others waiting for who is gone.
const LEASES: std::ops::RangeInclusive<i64> = 15..=3600;

impl Lock {
    /// The bucket and the folder in it; `None` if this is no such place.
    pub fn place(&self) -> Option<LockPlace> {
        let (bucket, prefix) = match self.s3.strip_prefix("s3://")?.split_once('/') {
            Some((bucket, prefix)) => (bucket, prefix.trim_matches('/')),
            None => (self.s3.strip_prefix("s3://")?, ""),
        };
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let is_bucket = (3..=63).contains(&bucket.len()) && bucket.chars().all(fits);
        let is_prefix = !prefix.chars().any(char::is_control) && !prefix.split('/').any(|part| part == "..");
        (is_bucket && is_prefix).then(|| LockPlace {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            region: self.region.clone(),
        })
    }
}

impl Inventory {
    pub(super) fn read_lock(&self) -> Result<Option<Lock>, Diagnostics> {
        let Some(mut table) = self.settings("lock", &KEYS)? else { return Ok(None) };
        for key in table.map.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let near = closest(key, KEYS.iter().copied()).filter(|near| !table.map.contains_key(*near));
            if near.is_none() {
                let told = Diagnostic::error(format!("`lock.{key}` is not a setting"));
                let hint = "under `[lock]` there are `s3`, `region` and `lease`";
                table.mistakes.push(self.at(told, &format!("lock.{key}")).hint(hint));
            }
        }
        let s3 = table.text("s3");
        let told = table.mistakes.pop_if(|_| s3.is_none() && table.map.contains_key("s3"));
        table.mistakes.extend(told.map(|told| told.hint(PLACE)));
        let region = table.text("region");
        region.iter().for_each(|name| table.region("region", name));
        let lease = match table.map.get("lease") {
            None => LEASE,
            Some(Value::Int(seconds)) if LEASES.contains(seconds) => seconds.unsigned_abs(),
            Some(_) => {
                let (least, most) = (LEASES.start(), LEASES.end());
                let told = Diagnostic::error(format!("`lock.lease` must be whole seconds from {least} to {most}"));
                table.mistakes.push(self.at(told, "lock.lease"));
                LEASE
            }
        };
        let lock = Lock { s3: s3.clone().unwrap_or_default(), region, lease };
        if table.mistakes.is_empty() && lock.place().is_none() {
            let told = match s3 {
                Some(s3) => self.at(Diagnostic::error(format!("`lock.s3` is no place in S3: \"{s3}\"")), "lock.s3"),
                None => self.at(Diagnostic::error("`[lock]` does not say where the lock is"), "lock"),
            };
            table.mistakes.push(told.hint(PLACE));
        }
        table.finish(Some(lock))
    }
}
