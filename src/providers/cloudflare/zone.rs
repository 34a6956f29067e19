//! `cloudflare::zone(name)`, and which zones a run is about. Reads: one ListZones (50 a page), once in a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::closest;
use crate::providers::typed::{Named, value_of};
use crate::resource::kind::Lookup;
use crate::resource::{Class, Fault, Value};

pub const NAME: &str = "cloudflare::zone";

/// A zone as the API tells it.
#[derive(Deserialize, Clone, Debug)]
pub struct Zone {
    pub id: String,
    pub name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    name_servers: Vec<String>,
    account: Option<Account>,
    plan: Option<Plan>,
}

#[derive(Deserialize, Clone, Debug)]
struct Account {
    id: Option<String>,
}

#[derive(Deserialize, Clone, Debug)]
struct Plan {
    name: Option<String>,
}

/// A zone of Cloudflare: a domain with all names below it that are not zones themselves. It must be there already; the
/// API token has to have the permission Zone / Zone / Read for it.
#[derive(Serialize, JsonSchema)]
struct Found {
    /// Its id, for the `zone_id` of `cloudflare::dns_record`.
    #[schemars(example = &"023e105f4ecef8ad9ca31a8372d0c353")]
    id: String,
    /// The domain.
    #[schemars(example = &"example.com")]
    name: String,
    /// `active`, or `pending` as long as the domain's registrar does not name Cloudflare's name servers.
    #[schemars(example = &"active")]
    status: String,
    /// The name servers that Cloudflare gave it.
    #[schemars(example = ["ada.ns.example.com", "bob.ns.example.com"])]
    name_servers: Vec<String>,
    /// Id of the account it belongs to.
    #[schemars(example = &"01a7362d577a6c3019a474fd6f485823")]
    account_id: Option<String>,
    /// Name of its plan (`Free Website`).
    #[schemars(example = &"Free Website")]
    plan: Option<String>,
}

pub fn lookup() -> Lookup {
    Lookup::of::<Named, Found>(NAME)
}

/// Those that the inventory names, or all.
pub fn chosen(visible: Vec<Zone>, named: &[String]) -> Result<Vec<Zone>, Fault> {
    if named.is_empty() {
        return Ok(visible);
    }
    named.iter().map(|name| of_name(&visible, name).cloned()).collect()
}

pub fn find(zones: &[Zone], name: &str) -> Result<Value, Fault> {
    let zone = of_name(zones, name)?;
    Ok(value_of(&Found {
        id: zone.id.clone(),
        name: zone.name.clone(),
        status: zone.status.clone(),
        name_servers: zone.name_servers.clone(),
        account_id: zone.account.as_ref().and_then(|account| account.id.clone()),
        plan: zone.plan.as_ref().and_then(|plan| plan.name.clone()),
    }))
}

fn of_name<'a>(zones: &'a [Zone], name: &str) -> Result<&'a Zone, Fault> {
    let wanted = super::content::host(name);
    if let Some(zone) = zones.iter().find(|zone| zone.name == wanted) {
        return Ok(zone);
    }
    let missing = Fault::new(Class::NotFound, format!("the API token sees no zone `{name}`"));
    let names = || zones.iter().map(|zone| zone.name.as_str());
    let above = names().find(|zone| wanted.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')));
    Err(missing.hint(match (above, closest(&wanted, names())) {
        (Some(zone), _) => format!("`{name}` is a name in the zone `{zone}`: look that up"),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) if zones.is_empty() => super::fault::TOKEN.to_owned(),
        (None, None) => format!("it sees {}", names().collect::<Vec<_>>().join(", ")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        serde_json::from_value(serde_json::json!({ "id": "1", "name": name })).unwrap()
    }

    #[test]
    fn a_zone_that_is_not_seen_is_told_with_what_is() {
        let zones = [zone("example.com"), zone("example.org")];
        let hint = |name: &str| of_name(&zones, name).unwrap_err().hint.unwrap();
        assert_eq!(of_name(&zones, "Example.com.").unwrap().name, "example.com");
        assert!(hint("staging.example.com").contains("in the zone `example.com`"));
        assert!(hint("exmple.com").contains("did you mean `example.com`"));
        assert!(hint("other.net").contains("it sees example.com, example.org"));
        assert!(of_name(&[], "other.net").unwrap_err().hint.unwrap().contains("Zone / Zone / Read"));
    }

    #[test]
    fn the_inventory_may_name_the_zones() {
        let zones = || vec![zone("example.com"), zone("example.org")];
        assert_eq!(chosen(zones(), &[]).unwrap().len(), 2);
        assert_eq!(chosen(zones(), &["example.org".into()]).unwrap()[0].name, "example.org");
        assert!(chosen(zones(), &["example.net".into()]).is_err());
    }
}
