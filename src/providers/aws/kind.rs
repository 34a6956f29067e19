//! What each kind's file provides, in types; and the adapter that puts it behind the provider's untyped verbs.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_ec2::types::{Filter, TagSpecification};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::Region;
use super::fault::after;
use super::tagging::{self, Type};
use super::tags::{self, SdkTag, Tags};
use crate::providers::typed::{map_of, typed, typed_value};
use crate::resource::kind::Nature;
use crate::resource::schema::{self, Mistake};
use crate::resource::{Class, Create, Delete, Fault, Kind, Live, Map, Owner, Select, Status, Update, Value};

/// One kind of resource: its shape, and the calls of its life. Tags and ownership after the create are not its
/// business: the adapter brings them up to date. Nor are inputs that are only `remembered`: AWS has no place for them,
/// and the adapter keeps them in tags.
pub trait AwsKind: Sized + Send + Sync + 'static {
    /// `aws::vpc`.
    const NAME: &'static str;
    /// What it is to AWS where tags are concerned.
    const TYPE: Type;
    type Inputs: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    type Outputs: Serialize + JsonSchema + Send + Sync;

    fn nature() -> Nature;

    fn list(region: &Region, search: &Search) -> impl Future<Output = Result<Vec<Found<Self>>, Fault>> + Send;

    /// The call that makes it; the id, if the answer holds one.
    fn create(
        region: &Region,
        inputs: &Self::Inputs,
        birth: &Birth,
    ) -> impl Future<Output = Result<Option<String>, Fault>> + Send;

    /// Sets what that call cannot.
    fn complete(_region: &Region, _id: &str, _inputs: &Self::Inputs) -> impl Future<Output = Result<(), Fault>> + Send {
        async { Ok(()) }
    }

    /// Brings the fields of `change` to what they shall be; `tags` is never among them.
    fn update(
        region: &Region,
        id: &str,
        change: Change<'_, Self::Inputs>,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    fn delete(region: &Region, id: &str, live: Self::Inputs) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// One resource as a listing gives it.
pub struct Found<K: AwsKind> {
    pub id: String,
    /// All of them.
    pub tags: Tags,
    pub inputs: K::Inputs,
    pub outputs: K::Outputs,
    pub status: Status,
}

/// What an update is about.
pub struct Change<'a, Inputs> {
    pub inputs: &'a Inputs,
    /// As it was when the change was decided.
    pub live: &'a Inputs,
    changed: &'a [String],
}

impl<Inputs> Change<'_, Inputs> {
    pub fn of(&self, field: &str) -> bool {
        self.changed.iter().any(|name| name == field)
    }

    pub fn count(&self) -> usize {
        self.changed.len()
    }
}

/// What a new resource is born with, besides its inputs.
pub struct Birth {
    pub owner: Owner,
    pub token: String,
    /// Ownership, tags and what is remembered in tags, for the create call.
    pub tags: Tags,
    of: Type,
}

impl Birth {
    /// The tags as most services take them.
    pub fn list<T: SdkTag>(&self) -> Option<Vec<T>> {
        Some(tags::list(&self.tags))
    }

    /// The tags as EC2 takes them.
    pub fn specification(&self) -> TagSpecification {
        let Type::Ec2(of) = &self.of else { unreachable!("only kinds of EC2 ask for it") };
        TagSpecification::builder().resource_type(of.clone()).set_tags(self.list()).build()
    }
}

/// Which resources to list, in AWS's terms.
pub struct Search<'a>(&'a Select);

/// EC2 takes no more values than this in one filter.
const VALUES: usize = 200;

impl Search<'_> {
    /// The filters of each listing that is needed: more than one only if there are more ids than one call takes.
    /// `id` and `name` are the kind's filters; a filter leaves out what is not there, where `…Ids` would fail.
    pub fn listings(&self, id: &str, name: Option<&str>) -> Vec<Vec<Filter>> {
        match self.0 {
            Select::Owned { stack } => vec![vec![filter(&format!("tag:{}", tags::STACK), [stack])]],
            Select::Ids(ids) => in_chunks(id, ids),
            Select::Named(names) => name.map(|name| in_chunks(name, names)).unwrap_or_default(),
        }
    }

    /// The ids to read of a kind whose listing does not tell tags. `id` takes an id out of an ARN; a natural name that
    /// is asked for is the id.
    pub async fn ids(
        &self,
        region: &Region,
        of: &Type,
        id: impl Fn(&str) -> Option<String>,
    ) -> Result<BTreeSet<String>, Fault> {
        match self.0 {
            Select::Owned { stack } => {
                let arns = tagging::owned_arns(region, &[of], stack).await?;
                Ok(arns.iter().filter_map(|arn| id(arn)).collect())
            }
            Select::Ids(ids) | Select::Named(ids) => Ok(ids.clone()),
        }
    }

    pub fn select(&self) -> &Select {
        self.0
    }

    /// Whether a listing gave what was asked for: a filter may be wider (it knows wildcards), or not be known.
    fn wants(&self, id: &str, owner: Option<&Owner>) -> bool {
        match self.0 {
            Select::Owned { stack } => owner.is_some_and(|owner| owner.stack == *stack),
            Select::Ids(ids) => ids.contains(id),
            Select::Named(_) => true,
        }
    }
}

/// A filter that takes exactly these values.
pub fn filter(name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) -> Filter {
    let values = values.into_iter().map(|value| literal(value.as_ref())).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// The same filter over many values, as often as needed.
pub fn in_chunks(name: &str, values: &BTreeSet<String>) -> Vec<Vec<Filter>> {
    let all: Vec<&String> = values.iter().collect();
    all.chunks(VALUES).map(|chunk| vec![filter(name, chunk)]).collect()
}

/// In filters `*` and `?` stand for other characters.
fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// One read per id, eight at a time; what is not there is left out.
pub async fn each<T, Read>(
    ids: impl IntoIterator<Item = String>,
    read: impl Fn(String) -> Read,
) -> Result<Vec<T>, Fault>
where
    Read: Future<Output = Result<Option<T>, Fault>>,
{
    let found: Vec<Option<T>> = stream::iter(ids).map(read).buffered(8).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// A read of what may not be there.
pub fn if_there<T>(result: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.class == Class::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// A kind without its types.
#[async_trait]
pub trait AnyKind: Send + Sync {
    fn kind(&self) -> &Arc<Kind>;
    fn of_type(&self) -> Type;
    async fn list(&self, region: &Region, named: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault>;
    async fn create(&self, region: &Region, request: &Create) -> Result<String, Fault>;
    async fn update(&self, region: &Region, request: &Update) -> Result<(), Fault>;
    async fn delete(&self, region: &Region, request: &Delete) -> Result<(), Fault>;
}

/// Puts a typed kind behind [`AnyKind`].
pub struct Typed<K>(Arc<Kind>, PhantomData<K>);

pub fn any<K: AwsKind>() -> Box<dyn AnyKind> {
    let nature = Nature { check: check::<K>, foreign_key: tags::foreign, ..K::nature() };
    Box::new(Typed::<K>(Arc::new(Kind::of::<K::Inputs, K::Outputs>(K::NAME, nature)), PhantomData))
}

fn check<K: AwsKind>(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = (K::nature().check)(inputs);
    mistakes.extend(tags::check(inputs));
    mistakes
}

#[async_trait]
impl<K: AwsKind> AnyKind for Typed<K> {
    fn kind(&self) -> &Arc<Kind> {
        &self.0
    }

    fn of_type(&self) -> Type {
        K::TYPE
    }

    async fn list(&self, region: &Region, named: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        let search = Search(select);
        let found = K::list(region, &search).await?;
        let live = found.into_iter().filter_map(|found| {
            let owner = tags::owner(&found.tags);
            search.wants(&found.id, owner.as_ref()).then(|| {
                let mut inputs = map_of(&found.inputs);
                inputs.extend(self.recall(&found.tags));
                Live {
                    id: found.id,
                    region: named.map(str::to_owned),
                    owner,
                    inputs,
                    outputs: map_of(&found.outputs),
                    status: found.status,
                }
            })
        });
        Ok(live.collect())
    }

    async fn create(&self, region: &Region, request: &Create) -> Result<String, Fault> {
        let inputs: K::Inputs = typed(&request.inputs)?;
        let mut tags = tags::complete(&request.owner, authored(&request.inputs)?.as_ref());
        tags.extend(self.to_remember(&request.inputs));
        let birth = Birth { owner: request.owner.clone(), token: request.token.clone(), tags, of: K::TYPE };
        let id = K::create(region, &inputs, &birth).await?.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Fault::new(Class::Ambiguous, "AWS says that it was created, but not its id"))?;
        after(&id, K::complete(region, &id, &inputs).await)?;
        Ok(id)
    }

    async fn update(&self, region: &Region, request: &Update) -> Result<(), Fault> {
        let live = &request.live;
        let arn = live.outputs.get("arn").and_then(Value::as_str).unwrap_or(&live.id);
        let live_tags = authored(&live.inputs)?.unwrap_or_default();
        let mut now = live_tags.clone();
        now.extend(live.owner.iter().flat_map(tags::ownership));
        let wanted = if request.changed.iter().any(|field| field == "tags") {
            tags::complete(&request.owner, authored(&request.inputs)?.as_ref())
        } else {
            live_tags.into_iter().chain(tags::ownership(&request.owner)).collect()
        };
        tags::reconcile(region, &K::TYPE, (&live.id, arn), &now, &wanted).await?;

        let changed: Vec<String> = request.changed.iter().filter(|field| *field != "tags").cloned().collect();
        if changed.is_empty() {
            return Ok(());
        }
        // What the author left out is as it is: a change of another field must not need it.
        let mut complete = live.inputs.clone();
        complete.extend(request.inputs.clone());
        let inputs: K::Inputs = typed(&complete)?;
        let before: K::Inputs = typed(&live.inputs)?;
        K::update(region, &live.id, Change { inputs: &inputs, live: &before, changed: &changed }).await?;
        // Last: as long as it is not remembered, it is not done.
        let (now, wanted) = (self.to_remember(&live.inputs), self.to_remember(&complete));
        tags::reconcile(region, &K::TYPE, (&live.id, arn), &now, &wanted).await
    }

    async fn delete(&self, region: &Region, request: &Delete) -> Result<(), Fault> {
        match K::delete(region, &request.live.id, typed(&request.live.inputs)?).await {
            // What is missing may be something it refers to: gone is what a listing does not give.
            Err(fault) if fault.class == Class::NotFound => {
                let select = Select::Ids(BTreeSet::from([request.live.id.clone()]));
                let left = K::list(region, &Search(&select)).await?;
                if left.is_empty() { Ok(()) } else { Err(fault) }
            }
            other => other,
        }
    }
}

impl<K: AwsKind> Typed<K> {
    fn remembered(&self) -> impl Iterator<Item = &schema::Field> {
        self.0.inputs.iter().filter(|field| field.remembered)
    }

    /// The tags that hold what AWS has no place for.
    fn to_remember(&self, inputs: &Map) -> Tags {
        let set = self.remembered().filter_map(|field| Some((field, inputs.get(&field.name)?)));
        let set = set.filter(|(_, value)| !value.is_null());
        set.map(|(field, value)| (format!("{}{}", tags::OURS, field.name), value.to_string())).collect()
    }

    /// What those tags say.
    fn recall(&self, tags: &Tags) -> Map {
        let told = self.remembered().filter_map(|field| {
            let text = tags.get(&format!("{}{}", tags::OURS, field.name))?;
            let value = match field.ty {
                schema::Type::Bool => text.parse().map(Value::Bool).ok()?,
                schema::Type::Int => text.parse().map(Value::Int).ok()?,
                _ => text.as_str().into(),
            };
            Some((field.name.clone(), value))
        });
        told.collect()
    }
}

fn authored(inputs: &Map) -> Result<Option<Tags>, Fault> {
    match inputs.get("tags") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => typed_value(value).map(Some),
    }
}

/// What is in `wanted` and not in `now`, or `None` if that is nothing: the SDK's way to say "no change".
pub fn added(now: &[String], wanted: &[String]) -> Option<Vec<String>> {
    let new: Vec<String> = wanted.iter().filter(|item| !now.contains(item)).cloned().collect();
    Some(new).filter(|new| !new.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_ids_than_a_filter_takes_are_several_listings() {
        let ids: BTreeSet<String> = (0..450).map(|n| format!("vpc-{n:03}")).collect();
        let select = Select::Ids(ids);
        let listings = Search(&select).listings("vpc-id", None);
        let sizes: Vec<usize> = listings.iter().map(|filters| filters[0].values().len()).collect();
        assert_eq!(sizes, [200, 200, 50]);
        assert!(Search(&Select::Ids(BTreeSet::new())).listings("vpc-id", None).is_empty());
    }

    #[test]
    fn a_filter_takes_a_star_for_a_star() {
        assert_eq!(filter("tag:a", ["x*y?z\\"]).values(), ["x\\*y\\?z\\\\"]);
    }
}
