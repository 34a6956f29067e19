//! `cloudflare::zone(name)`, and which zones a run is about. Reads: one ListZones (50 a page), once in a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{Listed, or_default};
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
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default, deserialize_with = "or_default")]
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
    legacy_id: Option<String>,
}

impl Listed for Zone {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Zone {
    /// Whether a complete name is in it.
    pub fn holds(&self, name: &str) -> bool {
        name.strip_suffix(self.name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// How many characters the comment of a record may have.
    pub fn longest_comment(&self) -> usize {
        let plan = self.plan.as_ref().and_then(|plan| plan.legacy_id.as_deref());
        if plan == Some("free") { 100 } else { 500 }
    }
}

/// The zones that a run is about.
pub struct Zones {
    pub chosen: Vec<Zone>,
    /// Those that the token sees and the inventory leaves out.
    left_out: Vec<String>,
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
pub fn chosen(visible: Vec<Zone>, named: &[String]) -> Result<Zones, Fault> {
    if named.is_empty() {
        return Ok(Zones { chosen: visible, left_out: vec![] });
    }
    let mut chosen: Vec<Zone> = vec![];
    let all = Zones { chosen: visible, left_out: vec![] };
    for name in named {
        let zone = of_name(&all, name).map_err(|fault| Fault {
            message: format!("`[cloudflare] zones` of the inventory names `{name}`, and {}", fault.message),
            ..fault
        })?;
        if !chosen.iter().any(|known| known.id == zone.id) {
            chosen.push(zone.clone());
        }
    }
    let rest = all.chosen.iter().filter(|zone| !chosen.iter().any(|known| known.id == zone.id));
    Ok(Zones { left_out: rest.map(|zone| zone.name.clone()).collect(), chosen })
}

pub fn find(zones: &Zones, name: &str) -> Result<Value, Fault> {
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

fn of_name<'a>(zones: &'a Zones, name: &str) -> Result<&'a Zone, Fault> {
    let wanted = super::content::host(name);
    let found: Vec<&Zone> = zones.chosen.iter().filter(|zone| zone.name == wanted).collect();
    let active: Vec<&Zone> = found.iter().filter(|zone| zone.status == "active").copied().collect();
    match (found.as_slice(), active.as_slice()) {
        ([zone], _) | (_, [zone]) => return Ok(zone),
        ([], _) => {}
        (several, _) => {
            let account = |zone: &&Zone| zone.account.as_ref().and_then(|account| account.id.clone());
            let accounts: Vec<String> = several.iter().filter_map(account).collect();
            let what = format!("the API token sees {} zones `{name}`", several.len());
            return Err(Fault::new(Class::Invalid, what)
                .hint(format!("give it the zone of one account only: {}", accounts.join(", "))));
        }
    }
    if zones.left_out.contains(&wanted) {
        let what = format!("the zone `{name}` is not among those of the inventory's `[cloudflare] zones`");
        return Err(Fault::new(Class::Invalid, what).hint("add it there"));
    }
    let missing = Fault::new(Class::NotFound, format!("the API token sees no zone `{name}`"));
    let names = || zones.chosen.iter().map(|zone| zone.name.as_str());
    let above = zones.chosen.iter().find(|zone| zone.holds(&wanted));
    Err(missing.hint(match (above, closest(&wanted, names())) {
        (Some(zone), _) => format!("`{name}` is a name in the zone `{}`: look that up", zone.name),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) if zones.chosen.is_empty() => super::fault::TOKEN.to_owned(),
        (None, None) => format!("it sees {}", names().collect::<Vec<_>>().join(", ")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(id: &str, name: &str, status: &str) -> Zone {
        serde_json::from_value(serde_json::json!({ "id": id, "name": name, "status": status, "name_servers": null }))
            .unwrap()
    }

    fn two() -> Vec<Zone> {
        vec![zone("1", "example.com", "active"), zone("2", "example.org", "active")]
    }

    #[test]
    fn a_zone_that_is_not_seen_is_told_with_what_is() {
        let zones = chosen(two(), &[]).unwrap();
        let hint = |name: &str| of_name(&zones, name).unwrap_err().hint.unwrap();
        assert_eq!(of_name(&zones, "Example.com.").unwrap().name, "example.com");
        assert!(hint("staging.example.com").contains("in the zone `example.com`"));
        assert!(hint("exmple.com").contains("did you mean `example.com`"));
        assert!(hint("other.net").contains("it sees example.com, example.org"));
        let none = chosen(vec![], &[]).unwrap();
        assert!(of_name(&none, "other.net").unwrap_err().hint.unwrap().contains("Zone / Zone / Read"));
    }

    #[test]
    fn the_inventory_may_name_the_zones() {
        let named = |names: &[&str]| chosen(two(), &names.iter().map(|name| (*name).into()).collect::<Vec<String>>());
        assert_eq!(named(&[]).unwrap().chosen.len(), 2);
        let one = named(&["example.org", "Example.org."]).unwrap();
        assert_eq!(one.chosen.iter().map(|zone| &*zone.name).collect::<Vec<_>>(), ["example.org"]);
        assert!(of_name(&one, "example.com").unwrap_err().message.contains("`[cloudflare] zones`"));
        assert!(named(&["example.net"]).err().unwrap().message.contains("names `example.net`"));
    }

    #[test]
    fn of_two_zones_of_one_name_the_active_one_is_meant() {
        let twice =
            |other: &str| chosen(vec![zone("1", "example.com", other), zone("2", "example.com", "active")], &[]);
        assert_eq!(of_name(&twice("moved").unwrap(), "example.com").unwrap().id, "2");
        assert!(of_name(&twice("active").unwrap(), "example.com").is_err());
    }

    #[test]
    fn names_are_in_a_zone_or_not() {
        let zone = zone("1", "example.com", "active");
        assert!(zone.holds("example.com") && zone.holds("*.shop.example.com"));
        assert!(!zone.holds("example.org") && !zone.holds("myexample.com"));
    }
}
