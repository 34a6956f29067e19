//! `aws::route_table`, with its routes and its subnets. Reads: one DescribeRouteTables per region, 100 a page.
//!
//! Routes and associations are single calls after the create; killed between them, the next run sees what is missing.

use aws_sdk_ec2::types::{ResourceType, RouteOrigin, RouteTableAssociationStateCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cidr::{self, Family};
use super::client::Region;
use super::fault::{OrFault, gone_is_fine};
use super::kind::{AwsKind, Birth, Change, Found, Search, added, filter};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Status, Value};

pub struct RouteTable;

/// Where the subnets of a VPC send their traffic.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// VPC it belongs to (CreateRouteTable).
    #[schemars(extend("immutable" = true))]
    pub vpc_id: String,
    /// All routes, besides the VPC's own, those of gateway endpoints and those that a VPN gateway propagates
    /// (CreateRoute, ReplaceRoute, DeleteRoute).
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true, "lets_go" = true))]
    pub route: Vec<Route>,
    /// All subnets that use it; a subnet that used another table moves here (AssociateRouteTable,
    /// ReplaceRouteTableAssociation).
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true, "lets_go" = true))]
    pub subnet_ids: Vec<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// One destination and one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// Destination: an IPv4 range.
    pub cidr_block: Option<String>,
    /// Destination: an IPv6 range.
    pub ipv6_cidr_block: Option<String>,
    /// Destination: a managed prefix list.
    pub destination_prefix_list_id: Option<String>,
    /// Target: an internet gateway or a virtual private gateway.
    pub gateway_id: Option<String>,
    /// Target: a NAT gateway.
    pub nat_gateway_id: Option<String>,
    /// Target: a transit gateway.
    pub transit_gateway_id: Option<String>,
    /// Target: a peering with another VPC.
    pub vpc_peering_connection_id: Option<String>,
    /// Target: a network interface, such as that of a VPN instance.
    pub network_interface_id: Option<String>,
    /// Target: an egress-only internet gateway (IPv6).
    pub egress_only_gateway_id: Option<String>,
    /// Target: a Gateway Load Balancer endpoint.
    pub vpc_endpoint_id: Option<String>,
}

const DESTINATIONS: [&str; 3] = ["cidr_block", "ipv6_cidr_block", "destination_prefix_list_id"];
const TARGETS: [&str; 7] = [
    "gateway_id",
    "nat_gateway_id",
    "transit_gateway_id",
    "vpc_peering_connection_id",
    "network_interface_id",
    "egress_only_gateway_id",
    "vpc_endpoint_id",
];

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the route table.
    #[schemars(example = "rtb-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the route table.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:route-table/rtb-0a1b2c3d4e5f60718")]
    arn: String,
    /// Account it belongs to.
    #[schemars(example = "111122223333")]
    owner_id: String,
}

impl AwsKind for RouteTable {
    const NAME: &'static str = "aws::route_table";
    const TYPE: Type = Type::Ec2(ResourceType::RouteTable);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature { check, normalise, id_prefix: "rtb-", ..Nature::default() }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut tables = vec![];
        for filters in search.listings("route-table-id", None) {
            let pages = region.ec2.describe_route_tables().set_filters(Some(filters)).into_paginator().page_size(100);
            let pages = pages.items().send();
            tables.extend(pages.collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeRouteTables")?);
        }
        let found = tables.into_iter().filter_map(|table| {
            let id = table.route_table_id()?.to_owned();
            Some(Found {
                inputs: Inputs {
                    vpc_id: table.vpc_id().unwrap_or_default().to_owned(),
                    route: routes(&table),
                    subnet_ids: associations(&table).into_iter().map(|(subnet, _)| subnet).collect(),
                    tags: tags::authored(&tags::of(table.tags())),
                },
                outputs: Outputs {
                    arn: region.ec2_arn(table.owner_id(), &format!("route-table/{id}")),
                    owner_id: table.owner_id().unwrap_or(&region.account).to_owned(),
                    id: id.clone(),
                },
                tags: tags::of(table.tags()),
                status: Status::Ready,
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region.ec2.create_route_table().vpc_id(&inputs.vpc_id);
        let call = call.client_token(&birth.token).tag_specifications(birth.specification());
        let table = call.send().await.or_fault("ec2:CreateRouteTable")?.route_table;
        Ok(table.and_then(|table| table.route_table_id))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        set_routes(region, id, &[], &inputs.route).await?;
        associate(region, id, &inputs.subnet_ids).await
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        // As it is now, so that what an interrupted attempt did is not done again.
        let Some(table) = describe(region, id).await? else { return Err(missing(id)) };
        if change.of("route") {
            set_routes(region, id, &routes(&table), &change.inputs.route).await?;
        }
        if change.of("subnet_ids") {
            let held = associations(&table);
            let subnets: Vec<String> = held.iter().map(|(subnet, _)| subnet.clone()).collect();
            associate(region, id, &added(&subnets, &change.inputs.subnet_ids).unwrap_or_default()).await?;
            for (_, association) in held.iter().filter(|(subnet, _)| !change.inputs.subnet_ids.contains(subnet)) {
                disassociate(region, association).await?;
            }
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let Some(table) = describe(region, id).await? else { return Ok(()) };
        for (_, association) in associations(&table) {
            disassociate(region, &association).await?;
        }
        region.ec2.delete_route_table().route_table_id(id).send().await.or_fault("ec2:DeleteRouteTable").map(drop)
    }
}

fn missing(id: &str) -> Fault {
    Fault::new(crate::resource::Class::NotFound, format!("{id} is not there"))
}

async fn describe(region: &Region, id: &str) -> Result<Option<aws_sdk_ec2::types::RouteTable>, Fault> {
    let answer = region.ec2.describe_route_tables().filters(filter("route-table-id", [id])).send().await;
    Ok(answer.or_fault("ec2:DescribeRouteTables")?.route_tables.unwrap_or_default().into_iter().next())
}

/// The routes that someone made, as an author would write them.
fn routes(table: &aws_sdk_ec2::types::RouteTable) -> Vec<Route> {
    let made = table.routes().iter().filter(|route| {
        let by_someone = !matches!(
            route.origin(),
            Some(RouteOrigin::CreateRouteTable | RouteOrigin::EnableVgwRoutePropagation | RouteOrigin::Advertisement)
        );
        let of_endpoint = route.destination_prefix_list_id().is_some()
            && route.gateway_id().is_some_and(|id| id.starts_with("vpce-"));
        by_someone && !of_endpoint && route.gateway_id() != Some("local")
    });
    made.map(|route| {
        let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
        let (endpoint, gateway) = match route.gateway_id() {
            Some(id) if id.starts_with("vpce-") => (Some(id), None),
            other => (None, other),
        };
        Route {
            cidr_block: text(route.destination_cidr_block()),
            ipv6_cidr_block: text(route.destination_ipv6_cidr_block()),
            destination_prefix_list_id: text(route.destination_prefix_list_id()),
            gateway_id: text(gateway),
            nat_gateway_id: text(route.nat_gateway_id()),
            transit_gateway_id: text(route.transit_gateway_id()),
            vpc_peering_connection_id: text(route.vpc_peering_connection_id()),
            network_interface_id: text(route.network_interface_id()),
            egress_only_gateway_id: text(route.egress_only_internet_gateway_id()),
            vpc_endpoint_id: text(endpoint),
        }
    })
    .collect()
}

/// Its subnets, each with the id of the association.
fn associations(table: &aws_sdk_ec2::types::RouteTable) -> Vec<(String, String)> {
    use RouteTableAssociationStateCode::{Disassociated, Disassociating, Failed};
    let held = table.associations().iter().filter(|one| {
        let state = one.association_state().and_then(|state| state.state());
        one.main() != Some(true) && !matches!(state, Some(Disassociating | Disassociated | Failed))
    });
    held.filter_map(|one| Some((one.subnet_id()?.to_owned(), one.route_table_association_id()?.to_owned()))).collect()
}

/// CreateRoute and ReplaceRoute take the same, by two types.
macro_rules! addressed {
    ($call:expr, $table:expr, $route:expr) => {
        $call
            .route_table_id($table)
            .set_destination_cidr_block($route.cidr_block.clone())
            .set_destination_ipv6_cidr_block($route.ipv6_cidr_block.clone())
            .set_destination_prefix_list_id($route.destination_prefix_list_id.clone())
            .set_gateway_id($route.gateway_id.clone())
            .set_nat_gateway_id($route.nat_gateway_id.clone())
            .set_transit_gateway_id($route.transit_gateway_id.clone())
            .set_vpc_peering_connection_id($route.vpc_peering_connection_id.clone())
            .set_network_interface_id($route.network_interface_id.clone())
            .set_egress_only_internet_gateway_id($route.egress_only_gateway_id.clone())
            .set_vpc_endpoint_id($route.vpc_endpoint_id.clone())
            .send()
            .await
    };
}

impl Route {
    fn leads_where(&self, other: &Route) -> bool {
        self.cidr_block == other.cidr_block
            && self.ipv6_cidr_block == other.ipv6_cidr_block
            && self.destination_prefix_list_id == other.destination_prefix_list_id
    }
}

async fn set_routes(region: &Region, id: &str, now: &[Route], wanted: &[Route]) -> Result<(), Fault> {
    for route in wanted.iter().filter(|route| !now.contains(route)) {
        if now.iter().any(|old| old.leads_where(route)) {
            addressed!(region.ec2.replace_route(), id, route).or_fault("ec2:ReplaceRoute")?;
        } else {
            addressed!(region.ec2.create_route(), id, route).or_fault("ec2:CreateRoute")?;
        }
    }
    for old in now.iter().filter(|old| !wanted.iter().any(|route| route.leads_where(old))) {
        let call = region
            .ec2
            .delete_route()
            .route_table_id(id)
            .set_destination_cidr_block(old.cidr_block.clone())
            .set_destination_ipv6_cidr_block(old.ipv6_cidr_block.clone())
            .set_destination_prefix_list_id(old.destination_prefix_list_id.clone());
        gone_is_fine(call.send().await.or_fault("ec2:DeleteRoute").map(drop))?;
    }
    Ok(())
}

/// Makes subnets use the table, also those that use another one now.
async fn associate(region: &Region, id: &str, subnets: &[String]) -> Result<(), Fault> {
    if subnets.is_empty() {
        return Ok(());
    }
    let mut elsewhere = vec![];
    for chunk in subnets.chunks(200) {
        let tables = region.ec2.describe_route_tables().filters(filter("association.subnet-id", chunk));
        let tables = tables.into_paginator().page_size(100).items().send().collect::<Result<Vec<_>, _>>().await;
        elsewhere.extend(tables.or_fault("ec2:DescribeRouteTables")?);
    }
    for subnet in subnets {
        let held = elsewhere.iter().find_map(|table| {
            let (_, association) = associations(table).into_iter().find(|(held, _)| held == subnet)?;
            Some((table.route_table_id()?.to_owned(), association))
        });
        match held {
            Some((table, _)) if table == id => {}
            Some((_, association)) => {
                let call = region.ec2.replace_route_table_association().association_id(association);
                call.route_table_id(id).send().await.or_fault("ec2:ReplaceRouteTableAssociation")?;
            }
            None => {
                let call = region.ec2.associate_route_table().route_table_id(id).subnet_id(subnet);
                call.send().await.or_fault("ec2:AssociateRouteTable")?;
            }
        }
    }
    Ok(())
}

async fn disassociate(region: &Region, association: &str) -> Result<(), Fault> {
    let call = region.ec2.disassociate_route_table().association_id(association);
    match call.send().await.or_fault("ec2:DisassociateRouteTable") {
        // Gone with its subnet, or moved to another table.
        Err(fault) if fault.code.as_deref() == Some("InvalidAssociationID.NotFound") => Ok(()),
        other => other.map(drop),
    }
}

fn normalise(field: &str, value: &Value) -> Value {
    let ("route", Value::List(routes)) = (field, value) else { return value.clone() };
    let one = |route: &Value| match route {
        Value::Map(route) => {
            let spelled = |(name, value): (&String, &Value)| match name.as_str() {
                "ipv6_cidr_block" => (name.clone(), cidr::canonical(value)),
                _ => (name.clone(), value.clone()),
            };
            Value::Map(route.iter().map(spelled).collect())
        }
        other => other.clone(),
    };
    routes.iter().map(one).collect()
}

/// Each route has one destination and one target.
fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let mut seen: Vec<(usize, &Value)> = vec![];
    let routes = inputs.get("route").and_then(Value::as_list).unwrap_or_default();
    for (i, route) in routes.iter().enumerate() {
        let Value::Map(route) = route else { continue };
        let path = format!("route[{i}]");
        let given = |names: &[&'static str]| -> Vec<&'static str> {
            names.iter().copied().filter(|name| route.get(*name).is_some_and(|value| !value.is_null())).collect()
        };
        for (what, names) in [("destination", &DESTINATIONS[..]), ("target", &TARGETS[..])] {
            let given = given(names);
            if given.len() != 1 {
                let count =
                    if given.is_empty() { "no".into() } else { format!("{} ({})", given.len(), given.join(", ")) };
                mistakes.push(Mistake {
                    path: path.clone(),
                    what: format!("has {count} {what}{}", if given.len() > 1 { "s" } else { "" }),
                    hint: Some(format!("give one of {}", names.join(", "))),
                });
            }
        }
        let block = |name: &str| format!("{path}.{name}");
        mistakes.extend(cidr::mistake(&block("cidr_block"), route.get("cidr_block"), Family::V4, 0..=32));
        mistakes.extend(cidr::mistake(&block("ipv6_cidr_block"), route.get("ipv6_cidr_block"), Family::V6, 0..=128));
        for name in DESTINATIONS {
            let Some(value) = route.get(name).filter(|value| value.as_str().is_some()) else { continue };
            match seen.iter().find(|(_, earlier)| *earlier == value) {
                Some((first, _)) => mistakes.push(Mistake {
                    path: block(name),
                    what: format!("`{value}` is the destination of route[{first}] already"),
                    hint: None,
                }),
                None => seen.push((i, value)),
            }
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_one_destination_and_one_target() {
        let json = serde_json::json!({ "vpc_id": "vpc-1", "route": [
            { "cidr_block": "0.0.0.0/0", "gateway_id": "igw-1" },
            { "cidr_block": "0.0.0.0/0", "nat_gateway_id": "nat-1", "gateway_id": "igw-1" },
            { "nat_gateway_id": "nat-1" },
        ] });
        let Value::Map(inputs) = Value::from(json) else { panic!("a map") };
        let told: Vec<String> = check(&inputs).into_iter().map(|m| format!("{}: {}", m.path, m.what)).collect();
        assert_eq!(
            told,
            [
                "route[1]: has 2 (gateway_id, nat_gateway_id) targets",
                "route[1].cidr_block: `0.0.0.0/0` is the destination of route[0] already",
                "route[2]: has no destination",
            ]
        );
    }
}
