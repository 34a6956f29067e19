//! What is declared at one time, and random edits of it.

use std::collections::BTreeSet;
use std::time::Duration;

use runner::resource::{Map, ReplaceOrder, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::world::{self, Item, item, reference};

/// Picks one of what there is, whatever number there is.
pub type Pick = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    Network,
    Named,
    Inside,
    Part,
    Gate,
    Late,
}

/// One thing that an author does to a playbook.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Four picks of what it refers to, and switches for what it has.
    Add {
        sort: Sort,
        picks: [Pick; 4],
        has: u16,
    },
    Remove(Pick),
    /// What was removed is declared again.
    Revive(Pick),
    Size(Pick, u8),
    Tag(Pick, u8),
    /// Another value of a field that cannot be changed in place.
    Immutable(Pick, Pick),
    Rename(Pick),
    Holds(Pick, Pick),
    Targets(Pick, Vec<(Pick, Pick)>),
    Protect(Pick, bool),
    CreateFirst(Pick, bool),
    Ignore(Pick, bool),
    After(Pick, Pick),
    Phase(Pick, Pick),
}

#[derive(Clone, Debug)]
pub struct Declared {
    uid: u32,
    sort: Sort,
    renamed: u32,
    /// How often it was renamed when a run last went well.
    settled: u32,
    cidr: u8,
    version: u8,
    writes_name: bool,
    network: Option<u32>,
    parent: Option<u32>,
    disk_of: Option<u32>,
    targets: Option<Vec<(u32, u8)>>,
    holds: Option<u32>,
    size: Option<u8>,
    tag: Option<u8>,
    after: Vec<u32>,
    protect: bool,
    ignore: bool,
    create_first: bool,
    phase: Option<u8>,
}

#[derive(Clone, Debug, Default)]
pub struct Stack {
    pub declared: Vec<Declared>,
    removed: Vec<Declared>,
    born: u32,
}

const ATTRIBUTES: [&str; 4] = ["id", "own_id", "revision", "arn"];

impl Declared {
    fn name(&self, renamed: u32) -> String {
        if renamed == 0 { format!("x{}", self.uid) } else { format!("x{}-{renamed}", self.uid) }
    }

    pub fn kind(&self) -> &'static str {
        match self.sort {
            Sort::Network => "t::network",
            Sort::Named => "t::named",
            Sort::Inside => "t::inside",
            Sort::Part => "t::part",
            Sort::Gate => "t::gate",
            Sort::Late => "t::late",
        }
    }

    pub fn address(&self) -> String {
        format!("{}.{}", self.kind(), self.name(self.renamed))
    }

    /// What it cannot be without.
    fn rests_on(&self, uid: u32) -> bool {
        [self.network, self.parent, self.holds].contains(&Some(uid))
    }

    fn refers(&self) -> Vec<u32> {
        let targets = self.targets.iter().flatten().map(|(uid, _)| *uid);
        let more = [self.network, self.parent, self.holds, self.disk_of].into_iter().flatten();
        targets.chain(more).chain(self.after.iter().copied()).collect()
    }

    fn forget(&mut self, uid: u32) {
        self.after.retain(|other| *other != uid);
        self.targets.iter_mut().for_each(|targets| targets.retain(|(other, _)| *other != uid));
        self.disk_of = self.disk_of.filter(|other| *other != uid);
    }

    pub fn is_protected(&self) -> bool {
        self.protect
    }

    /// Set at creation and not compared afterwards.
    pub fn ignores(&self) -> &'static [&'static str] {
        if self.ignore { &["size"] } else { &[] }
    }
}

impl Stack {
    fn find(&self, uid: u32) -> &Declared {
        self.declared.iter().find(|declared| declared.uid == uid).expect("what is referred to is declared")
    }

    /// One of the first `before` of these sorts.
    fn pick(&self, before: usize, sorts: &[Sort], pick: Pick) -> Option<u32> {
        let fitting: Vec<u32> =
            self.declared[..before].iter().filter(|other| sorts.contains(&other.sort)).map(|other| other.uid).collect();
        (!fitting.is_empty()).then(|| fitting[pick as usize % fitting.len()])
    }

    fn at(&self, pick: Pick) -> Option<usize> {
        (!self.declared.is_empty()).then(|| pick as usize % self.declared.len())
    }

    pub fn edit(&mut self, edit: &Edit) {
        use Sort::{Gate, Inside, Late, Named, Network, Part};
        const HELD: [Sort; 5] = [Network, Part, Gate, Late, Named];
        const ANY: [Sort; 6] = [Network, Part, Gate, Late, Inside, Named];
        match edit {
            Edit::Add { sort, picks, has } => {
                let (end, has) = (self.declared.len(), |bit: u16| has & (1 << bit) != 0);
                let mut new = Declared {
                    uid: self.born,
                    sort: *sort,
                    renamed: 0,
                    settled: 0,
                    cidr: picks[0],
                    version: 0,
                    writes_name: has(0),
                    network: None,
                    parent: None,
                    disk_of: None,
                    targets: None,
                    holds: None,
                    size: has(1).then_some(picks[1] % 4),
                    tag: has(2).then_some(picks[1] % 4),
                    after: vec![],
                    protect: has(3) && has(4) && has(5),
                    ignore: has(6) && has(7),
                    create_first: has(8) && has(9),
                    phase: has(10).then_some(picks[2] % 3),
                };
                match sort {
                    Network => {}
                    Named => new.network = self.pick(end, &[Network], picks[0]).filter(|_| has(11)),
                    Inside => {
                        new.parent = self.pick(end, &[Named], picks[0]);
                        if new.parent.is_none() {
                            return;
                        }
                        new.disk_of = self.pick(end, &[Part, Gate, Late], picks[1]).filter(|_| has(11));
                    }
                    Part | Gate | Late => {
                        new.network = self.pick(end, &[Network], picks[0]).filter(|_| has(11) || has(12));
                        new.holds = self.pick(end, &HELD, picks[2]).filter(|_| has(13));
                        if has(14) {
                            let target = self.pick(end, &ANY, picks[3]).map(|uid| (uid, picks[2] % 4));
                            new.targets = Some(target.into_iter().collect());
                        }
                    }
                }
                new.after = self.pick(end, &ANY, picks[3]).filter(|_| has(15)).into_iter().collect();
                self.born += 1;
                self.declared.push(new);
            }
            Edit::Remove(pick) => {
                let Some(at) = self.at(*pick) else { return };
                let mut going = BTreeSet::from([self.declared[at].uid]);
                // What cannot be without it goes too.
                for other in &self.declared[at..] {
                    if going.iter().any(|uid| other.rests_on(*uid)) {
                        going.insert(other.uid);
                    }
                }
                let (gone, mut kept): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.declared).into_iter().partition(|other| going.contains(&other.uid));
                kept.iter_mut().for_each(|other| going.iter().for_each(|uid| other.forget(*uid)));
                self.declared = kept;
                self.removed.extend(gone);
            }
            Edit::Revive(pick) => {
                if self.removed.is_empty() {
                    return;
                }
                let mut back = self.removed.remove(*pick as usize % self.removed.len());
                let there = |uid: u32| self.declared.iter().any(|other| other.uid == uid);
                for uid in back.refers() {
                    if !there(uid) && !back.rests_on(uid) {
                        back.forget(uid);
                    }
                }
                match back.refers().into_iter().all(there) {
                    true => self.declared.push(back),
                    false => self.removed.push(back),
                }
            }
            _ => self.change(edit),
        }
    }

    /// An edit of one that is declared.
    fn change(&mut self, edit: &Edit) {
        use Sort::{Gate, Inside, Late, Named, Network, Part};
        let (Edit::Size(which, _)
        | Edit::Tag(which, _)
        | Edit::Immutable(which, _)
        | Edit::Rename(which)
        | Edit::Holds(which, _)
        | Edit::Targets(which, _)
        | Edit::Protect(which, _)
        | Edit::CreateFirst(which, _)
        | Edit::Ignore(which, _)
        | Edit::After(which, _)
        | Edit::Phase(which, _)) = edit
        else {
            return;
        };
        let Some(at) = self.at(*which) else { return };
        let any = [Network, Part, Gate, Late, Inside, Named];
        let networks = |pick| self.pick(at, &[Network], pick);
        let (other_network, other_parent) = match edit {
            Edit::Immutable(_, pick) => (networks(*pick), self.pick(at, &[Named], *pick)),
            _ => (None, None),
        };
        let held = match edit {
            Edit::Holds(_, pick) => self.pick(at, &any[..4], *pick),
            Edit::After(_, pick) => self.pick(at, &any, *pick),
            _ => None,
        };
        let targets: Vec<(u32, u8)> = match edit {
            Edit::Targets(_, picks) => {
                picks.iter().filter_map(|(pick, what)| Some((self.pick(at, &any, *pick)?, what % 4))).collect()
            }
            _ => vec![],
        };
        let one = &mut self.declared[at];
        match edit {
            Edit::Size(_, size) => one.size = Some(size % 4),
            Edit::Tag(_, tag) => one.tag = Some(tag % 4),
            Edit::Immutable(..) => match one.sort {
                Network => one.cidr = one.cidr.wrapping_add(1),
                Named => one.version += 1,
                Inside => one.parent = other_parent.or(one.parent),
                // What was written is never left out again: it would stay as it is, and hold what it names.
                Part | Gate | Late => one.network = other_network.or(one.network),
            },
            // Once between two runs that went well: `was` names one former name.
            Edit::Rename(_) if one.renamed == one.settled => one.renamed += 1,
            Edit::Holds(..) if one.holds.is_some() => one.holds = held.or(one.holds),
            Edit::Targets(..) if matches!(one.sort, Part | Gate | Late) => one.targets = Some(targets),
            Edit::Protect(_, on) => one.protect = *on,
            Edit::CreateFirst(_, on) => one.create_first = *on,
            Edit::Ignore(_, on) => one.ignore = *on,
            Edit::After(..) => one.after = held.into_iter().collect(),
            Edit::Phase(_, phase) => one.phase = (phase % 4 != 3).then_some(phase % 4),
            _ => {}
        }
    }

    /// A run has gone well.
    pub fn settle(&mut self) {
        self.declared.iter_mut().for_each(|one| one.settled = one.renamed);
    }

    /// What is told to be in its own way, since the new one shall be made first, is replaced the other way round from now on.
    pub fn let_go_first(&mut self, wrong: &[String]) -> Vec<String> {
        let told = |one: &Declared| {
            let told = format!("{} would have to be replaced, and cannot be", one.address());
            one.create_first && wrong.iter().any(|wrong| wrong.contains(&told))
        };
        let mut changed = vec![];
        for one in self.declared.iter_mut().filter(|one| told(one)) {
            one.create_first = false;
            changed.push(one.address());
        }
        changed
    }

    /// The inputs of one, its references as `refer` gives them.
    pub fn inputs(&self, one: &Declared, refer: impl Fn(&str) -> serde_json::Value) -> Map {
        let of = |uid: u32, attribute: &str| refer(&format!("{}.{attribute}", self.find(uid).address()));
        let mut inputs = serde_json::Map::new();
        let mut write = |name: &str, value: Option<serde_json::Value>| {
            if let Some(value) = value {
                inputs.insert(name.to_owned(), value);
            }
        };
        match one.sort {
            Sort::Network => write("cidr_block", Some(json!(format!("10.{}.0.0/16", one.cidr)))),
            Sort::Named => {
                // Where the name follows the one in the playbook, a new version is another network or nothing.
                let name = one.writes_name.then(|| json!(format!("n{}-{}", one.uid, one.version)));
                write("name", name);
            }
            Sort::Inside => write("parent", one.parent.map(|uid| of(uid, "id"))),
            Sort::Part | Sort::Gate | Sort::Late => {}
        }
        write("network", one.network.map(|uid| of(uid, "id")));
        write("disk_of", one.disk_of.map(|uid| of(uid, "id")));
        write("holds", one.holds.map(|uid| of(uid, "id")));
        let targets = one.targets.as_ref();
        let attribute = |uid: u32, what: u8| of(uid, ATTRIBUTES[what as usize]);
        write("targets", targets.map(|all| all.iter().map(|(uid, what)| attribute(*uid, *what)).collect()));
        write("size", one.size.filter(|_| one.sort != Sort::Network).map(|size| json!(size)));
        write("tags", one.tag.filter(|_| one.sort != Sort::Named).map(|tag| json!({ "t": tag.to_string() })));
        let Value::Map(inputs) = Value::from(serde_json::Value::Object(inputs)) else { unreachable!("it is a map") };
        let kind = world::kinds().into_iter().find(|kind| *kind.name == *one.kind()).expect("one of these kinds");
        kind.complete(&one.name(one.renamed), &inputs)
    }

    /// The playbook, or its first so many declarations.
    pub fn items(&self, stage: Option<usize>) -> Vec<Item> {
        let first = self.declared.iter().take(stage.unwrap_or(usize::MAX));
        first
            .map(|one| {
                let inputs = json!(self.inputs(one, reference));
                let item = item(&one.address(), inputs).with(|options| {
                    options.after =
                        one.after.iter().map(|uid| self.find(*uid).address().parse().expect("an address")).collect();
                    options.protect = one.protect;
                    options.ignore = one.ignores().iter().map(|name| (*name).to_owned()).collect();
                    options.was = one.renamed.checked_sub(1).map(|before| one.name(before));
                    options.timeout = Some(Duration::from_secs(300));
                    if one.create_first {
                        options.replace = ReplaceOrder::CreateFirst;
                    }
                });
                match one.phase {
                    Some(phase) => item.phase(&format!("p{phase}")),
                    None => item,
                }
            })
            .collect()
    }

    pub fn has_phase(&self, phase: u8) -> bool {
        self.declared.iter().any(|one| one.phase == Some(phase))
    }
}
