//! Random stacks, edited, failed, killed and meddled with from run to run: a clean run always brings the world to what is
//! declared, deletions included, and leaves nothing to do. `RUNNER_PROPERTY_CASES=100000` for a long soak,
//! `RUNNER_PROPERTY_SEED=…` for others than usual. Every case that ever failed is kept in `property/cases/`.

mod stack;
mod weather;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use runner::diagnostic::Site;
use runner::engine::{self, Action, Forecast, Plan, Reason, Wish, World};
use runner::event::Events;
use runner::providers::sandbox::Sandbox;
use runner::resource::{Address, Create, Live, Owner, Provider, Status, Stop, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::stack::{Edit, Sort, Stack};
use self::weather::{Failing, Meddling, Trouble, Weather, meddle};
use crate::world::{Cloud, evaluation, kinds};

/// A life of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Case {
    /// What was made or changed takes a while to be ready, calls take time, and listings lag behind.
    slow: bool,
    lags: bool,
    parallelism: u8,
    /// What is declared at first.
    first: Vec<Edit>,
    runs: Vec<Run>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    edits: Vec<Edit>,
    how: How,
    /// Before the run, and between its plan and its apply.
    meddling: Vec<Meddling>,
    between: Vec<Meddling>,
    /// By the number of the call.
    troubles: BTreeMap<usize, Trouble>,
    /// Whether a clean run follows.
    clean: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Whole,
    Pruning,
    Phase(u8),
    /// The script had to see something and stopped after so many declarations.
    Stage(u8),
}

fn sort() -> impl Strategy<Value = Sort> {
    use Sort::{Gate, Inside, Late, Named, Network, Part};
    prop_oneof![3 => Just(Network), 2 => Just(Named), 1 => Just(Inside), 4 => Just(Part), 1 => Just(Gate), 1 => Just(Late)]
}

fn addition() -> impl Strategy<Value = Edit> {
    (sort(), any::<[u8; 4]>(), any::<u16>()).prop_map(|(sort, picks, has)| Edit::Add { sort, picks, has })
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => addition(),
        3 => any::<u8>().prop_map(Edit::Remove),
        2 => any::<u8>().prop_map(Edit::Revive),
        2 => (any::<u8>(), 0..4u8).prop_map(|(one, size)| Edit::Size(one, size)),
        1 => (any::<u8>(), 0..4u8).prop_map(|(one, tag)| Edit::Tag(one, tag)),
        4 => any::<(u8, u8)>().prop_map(|(one, pick)| Edit::Immutable(one, pick)),
        2 => any::<u8>().prop_map(Edit::Rename),
        2 => any::<(u8, u8)>().prop_map(|(one, pick)| Edit::Holds(one, pick)),
        2 => (any::<u8>(), vec((any::<u8>(), 0..4u8), 0..3)).prop_map(|(one, picks)| Edit::Targets(one, picks)),
        1 => any::<(u8, bool)>().prop_map(|(one, on)| Edit::Protect(one, on)),
        1 => any::<(u8, bool)>().prop_map(|(one, on)| Edit::CreateFirst(one, on)),
        1 => any::<(u8, bool)>().prop_map(|(one, on)| Edit::Ignore(one, on)),
        1 => any::<(u8, u8)>().prop_map(|(one, pick)| Edit::After(one, pick)),
        1 => (any::<u8>(), 0..4u8).prop_map(|(one, phase)| Edit::Phase(one, phase)),
    ]
}

fn meddling() -> impl Strategy<Value = Meddling> {
    prop_oneof![
        any::<(u8, u8)>().prop_map(|(one, size)| Meddling::Size(one, size)),
        any::<u8>().prop_map(Meddling::Tag),
        any::<u8>().prop_map(Meddling::Delete),
        any::<u8>().prop_map(Meddling::Fail),
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    use Failing::{Ambiguous, Busy, Denied, Exists, Invalid, NotFound, Other, Throttled};
    let class = prop::sample::select(vec![Throttled, Ambiguous, NotFound, Busy, Exists, Denied, Invalid, Other]);
    prop_oneof![
        6 => (class, any::<bool>(), 0..5u8).prop_map(|(class, takes_effect, times)| Trouble::Fails { class, takes_effect, times }),
        3 => any::<bool>().prop_map(|takes_effect| Trouble::Kill { takes_effect }),
        1 => Just(Trouble::Stop),
        2 => meddling().prop_map(Trouble::Meddle),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    let how = prop_oneof![
        4 => Just(How::Pruning),
        2 => Just(How::Whole),
        1 => (0..3u8).prop_map(How::Phase),
        1 => any::<u8>().prop_map(How::Stage),
    ];
    let troubles = prop::collection::btree_map(0..50usize, trouble(), 0..4);
    (vec(edit(), 0..6), how, vec(meddling(), 0..2), vec(meddling(), 0..2), troubles, any::<bool>()).prop_map(
        |(edits, how, meddling, between, troubles, clean)| Run { edits, how, meddling, between, troubles, clean },
    )
}

fn case() -> impl Strategy<Value = Case> {
    (any::<bool>(), any::<bool>(), 1..8u8, vec(addition(), 1..12), vec(run(), 1..6))
        .prop_map(|(slow, lags, parallelism, first, runs)| Case { slow, lags, parallelism, first, runs })
}

/// What the tests have been through, to be told at the end.
#[derive(Default)]
struct Tally {
    runs: AtomicUsize,
    clean: AtomicUsize,
    killed: AtomicUsize,
    troubles: AtomicUsize,
    refused: AtomicUsize,
    failed: AtomicUsize,
    changes: AtomicUsize,
}

impl Tally {
    fn count(count: &AtomicUsize, more: usize) {
        count.fetch_add(more, Ordering::Relaxed);
    }
}

/// One life under way.
struct Life<'a> {
    case: &'a Case,
    tally: &'a Tally,
    cloud: Cloud,
    stack: Stack,
    /// The last that a plan was made for: whatever happened since, it can still be brought about.
    accepted: Stack,
    is_accepted: bool,
    has_run_a_phase: bool,
    /// Somebody else's resources.
    theirs: Vec<Live>,
    story: Vec<String>,
}

/// What a plan may be refused for, without anyone having made a mistake but the author.
const REFUSALS: [&str; 8] = [
    "is protected",
    "would have to be replaced, and cannot be",
    "would have to be replaced for its new name",
    "uses it, which is no longer declared and kept",
    "does not exist yet",
    "these changes wait for each other",
    "cannot read",
    "cannot reach",
];

impl<'a> Life<'a> {
    async fn begin(case: &'a Case, tally: &'a Tally) -> Self {
        let mut sandbox = Sandbox::in_memory(kinds(), vec![]);
        if case.slow {
            sandbox.latency.settle_otherwise = Duration::from_secs(5);
        }
        // The same addresses, and another stack.
        for (address, inputs) in
            [("t::network.x0", json!({ "cidr_block": "10.0.0.0/16" })), ("t::named.x1", json!({ "name": "theirs" }))]
        {
            let address: Address = address.parse().unwrap();
            let kind = sandbox.kind(&address.kind).unwrap();
            let Value::Map(inputs) = Value::from(inputs) else { unreachable!() };
            let owner = Owner { stack: "other".into(), address, deposed: false, protect: true };
            sandbox.create(&kind, &Create { region: None, owner, inputs, token: String::new() }).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        let _ = sandbox.list(&kinds()[1], None, &runner::resource::Select::Ids(Default::default())).await;
        let theirs = sandbox.all().into_iter().map(|(_, live)| live).collect();
        let (stack, accepted, story) = Default::default();
        Life {
            case,
            tally,
            cloud: Cloud::over(sandbox),
            stack,
            accepted,
            is_accepted: true,
            has_run_a_phase: false,
            theirs,
            story,
        }
    }

    fn weather(&self, troubles: BTreeMap<usize, Trouble>) -> Arc<Weather> {
        let lag = Duration::from_millis(if self.case.lags { 1500 } else { 0 });
        self.cloud.stop.send_replace(false);
        Arc::new(Weather::new(self.cloud.sandbox.clone(), troubles, self.cloud.stop.clone(), lag, self.case.slow))
    }

    async fn plan(&self, provider: Arc<dyn Provider>, how: How) -> Result<Plan, Vec<String>> {
        let mut wish = Wish { prune: matches!(how, How::Pruning), ..Wish::default() };
        let mut stage = None;
        match how {
            How::Phase(phase) if self.stack.has_phase(phase) => wish.phases = vec![format!("p{phase}")],
            How::Stage(count) => stage = Some(count as usize % (self.stack.declared.len() + 1)),
            _ => {}
        }
        let mut evaluation = evaluation(self.stack.items(stage));
        if stage.is_some() {
            evaluation.stop = Some(Stop { references: vec![], site: Site::new("test.rhai", 99, 1), because: None });
        }
        let world = Arc::new(World::new(provider, "prod", Events::default()));
        let forecast = Forecast::new(world, wish.phases.clone(), tokio::runtime::Handle::current()).pruning(&wish);
        let plan = engine::plan(&forecast, &evaluation, &wish).await;
        plan.map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
    }

    fn tell(&mut self, weather: &Weather) -> Result<(), String> {
        self.story.extend(weather.told.lock().unwrap().drain(..).map(|line| format!("    {line}")));
        match weather.wrong.lock().unwrap().first() {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(()),
        }
    }

    /// A run in which anything may happen.
    async fn run(&mut self, run: &Run) -> Result<(), String> {
        self.story.push(format!("run {:?}", run.how));
        Tally::count(&self.tally.runs, 1);
        run.edits.iter().for_each(|edit| self.stack.edit(edit));
        self.is_accepted &= run.edits.is_empty();
        self.has_run_a_phase |= matches!(run.how, How::Phase(_));
        for meddling in &run.meddling {
            let done = meddle(&self.cloud.sandbox, meddling).await;
            self.story.push(format!("    someone: {done:?}"));
        }
        self.check().await?;
        let weather = self.weather(run.troubles.clone());
        let mut refused: Option<Vec<String>> = None;
        {
            let life = &*self;
            let work = async {
                let plan = match life.plan(weather.clone(), run.how).await {
                    Ok(plan) => plan,
                    Err(wrong) => return Err(wrong),
                };
                for meddling in &run.between {
                    meddle(&life.cloud.sandbox, meddling).await;
                }
                Tally::count(&life.tally.changes, plan.counts().create + plan.counts().delete);
                if !matches!(run.how, How::Pruning)
                    && let Some(change) = plan
                        .changes
                        .iter()
                        .find(|change| change.action == Action::Delete && change.reason != Some(Reason::Deposed))
                {
                    return Err(vec![format!("WRONG: {} is deleted though nobody asked for it", change.address)]);
                }
                let apply = life.cloud.apply_over(weather.clone(), &plan, life.case.parallelism.into());
                match tokio::time::timeout(Duration::from_secs(100_000), apply).await {
                    Err(_) => Err(vec!["WRONG: it is stuck".into()]),
                    Ok(outcome) => {
                        Tally::count(&life.tally.failed, usize::from(!outcome.is_success()));
                        Ok(())
                    }
                }
            };
            tokio::select! {
                biased;
                ended = work => refused = ended.err(),
                () = weather.died.notified() => Tally::count(&self.tally.killed, 1),
            }
        }
        Tally::count(&self.tally.troubles, weather.troubled());
        let troubled = weather.troubled() > 0;
        self.tell(&weather)?;
        tokio::time::sleep(Duration::from_secs(60)).await;
        match refused {
            Some(wrong) => self.may_be_refused(&wrong, troubled),
            None => Ok(()),
        }
    }

    /// Takes back what cannot be planned, and mends what only a person can mend.
    async fn check(&mut self) -> Result<(), String> {
        for _ in 0..2 {
            let Err(wrong) = self.plan(self.weather(BTreeMap::new()), How::Pruning).await else { break };
            self.may_be_refused(&wrong, false)?;
            match self.is_accepted {
                false => self.stack = self.accepted.clone(),
                true => {
                    let mut lives = self.all();
                    lives.retain(|live| matches!(live.status, Status::Failed(_)));
                    // A run of one phase has replaced what others rest on, and some of those cannot follow.
                    if lives.is_empty() && self.has_run_a_phase {
                        self.story.push(format!("    the author lets go first: {:?}", self.stack.let_go_first(&wrong)));
                    }
                    for live in lives {
                        self.story.push(format!("    mended: {}", live.id));
                        self.cloud.sandbox.meddle(&live.id, |live| live.status = Status::Ready);
                    }
                }
            }
            self.is_accepted = true;
        }
        if let Err(wrong) = self.plan(self.weather(BTreeMap::new()), How::Pruning).await {
            return Err(format!("what was accepted is refused now: {wrong:?}"));
        }
        (self.accepted, self.is_accepted) = (self.stack.clone(), true);
        Ok(())
    }

    fn may_be_refused(&mut self, wrong: &[String], troubled: bool) -> Result<(), String> {
        self.story.push(format!("    refused: {wrong:?}"));
        Tally::count(&self.tally.refused, 1);
        match wrong.iter().find(|wrong| !REFUSALS.iter().any(|known| wrong.contains(known))) {
            Some(other) if !troubled || other.starts_with("WRONG") => Err(format!("refused: {other}")),
            _ => Ok(()),
        }
    }

    /// Nobody interferes: all is as declared afterwards.
    async fn clean(&mut self) -> Result<(), String> {
        self.story.push("clean run".into());
        self.check().await?;
        let weather = self.weather(BTreeMap::new());
        let plan = self.plan(weather.clone(), How::Pruning).await.map_err(|wrong| format!("refused: {wrong:?}"))?;
        Tally::count(&self.tally.clean, 1);
        let apply = self.cloud.apply_over(weather.clone(), &plan, self.case.parallelism.into());
        let outcome = tokio::time::timeout(Duration::from_secs(100_000), apply).await;
        self.tell(&weather)?;
        let outcome = outcome.map_err(|_| "it is stuck".to_owned())?;
        if let Some(failure) = outcome.failures.first() {
            return Err(format!("a clean run fails: {}", failure.diagnostic));
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.compare()?;
        let again = self.plan(self.weather(BTreeMap::new()), How::Pruning).await;
        let again = again.map_err(|wrong| format!("after a clean run the plan is refused: {wrong:?}"))?;
        if let Some(more) = again.changes.iter().find(|change| change.action != Action::None) {
            let fields: Vec<&str> = more.fields.iter().map(|field| field.path.as_str()).collect();
            return Err(format!(
                "there is more to do: {:?} {} {fields:?} {:?}",
                more.action, more.address, more.reason
            ));
        }
        self.stack.settle();
        self.accepted = self.stack.clone();
        Ok(())
    }

    fn all(&self) -> Vec<Live> {
        let all = self.cloud.sandbox.all().into_iter().map(|(_, live)| live);
        all.filter(|live| live.owner.as_ref().is_none_or(|owner| owner.stack != "other")).collect()
    }

    /// The world is what is declared: all of it, as it says, and nothing else.
    fn compare(&self) -> Result<(), String> {
        let mut lives: HashMap<String, Live> = HashMap::new();
        for live in self.all() {
            let Some(owner) = live.owner.clone() else { return Err(format!("{} is nobody's", live.id)) };
            if owner.deposed {
                return Err(format!("{} is left, deposed", owner.address));
            }
            if let Some(other) = lives.insert(owner.address.to_string(), live) {
                return Err(format!("{} is there twice: {}", owner.address, other.id));
            }
        }
        let attribute = |text: &str| {
            let (address, name) = text.rsplit_once('.').expect("address and attribute");
            let live = lives.get(address);
            match live {
                Some(live) if name == "id" => json!(live.id),
                Some(live) => json!(live.outputs.get(name)),
                None => json!(null),
            }
        };
        for one in &self.stack.declared {
            let address = one.address();
            let Some(live) = lives.get(&address) else { return Err(format!("{address} is missing")) };
            if live.status != Status::Ready {
                return Err(format!("{address} is {:?}", live.status));
            }
            if live.owner.as_ref().is_some_and(|owner| owner.protect) != one.is_protected() {
                return Err(format!("{address} does not remember whether it is protected"));
            }
            let kind = self.cloud.sandbox.kind(one.kind()).expect("one of these kinds");
            for (name, wanted) in self.stack.inputs(one, attribute) {
                let field = kind.input(&name).expect("a field of the kind");
                let found = live.inputs.get(&name).cloned().unwrap_or_default();
                let same = kind.canonical(field, &found) == kind.canonical(field, &wanted);
                let nothing = found.is_null() && wanted.is_empty();
                if !(same || nothing || one.ignores().contains(&name.as_str())) {
                    return Err(format!("{address}.{name} is {found}, and {wanted} was declared"));
                }
            }
        }
        if let Some(more) =
            lives.keys().find(|address| !self.stack.declared.iter().any(|one| one.address() == **address))
        {
            return Err(format!("{more} is there, and not declared"));
        }
        let theirs: Vec<Live> = self.cloud.sandbox.all().into_iter().map(|(_, live)| live).collect();
        match self.theirs.iter().all(|live| theirs.contains(live)) {
            true => Ok(()),
            false => Err("somebody else's resource was touched".into()),
        }
    }
}

/// Lives it through; what went wrong, with the story of it.
fn live_through(case: &Case, tally: &Tally) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut life = Life::begin(case, tally).await;
        let lived = async {
            case.first.iter().for_each(|edit| life.stack.edit(edit));
            life.is_accepted = false;
            for run in &case.runs {
                life.run(run).await?;
                if run.clean {
                    life.clean().await?;
                }
            }
            life.clean().await
        };
        let lived: Result<(), String> = lived.await;
        lived.map_err(|wrong| format!("{wrong}\n{}", life.story.join("\n")))
    })
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn after_a_clean_run_the_world_is_what_is_declared() {
    let (cases, seed) = (number("RUNNER_PROPERTY_CASES", 400), number("RUNNER_PROPERTY_SEED", 7));
    let config =
        Config { cases: cases as u32, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tally = Tally::default();
    let lived = runner.run(&case(), |case| live_through(&case, &tally).map_err(TestCaseError::fail));
    if let Err(TestError::Fail(wrong, case)) = lived {
        let kept = serde_json::to_string(&case).unwrap();
        panic!("{wrong}\n\nkeep it as tests/it/property/cases/<what it is>.json:\n{kept}");
    }
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let (clean, killed, troubles) = (count(&tally.clean), count(&tally.killed), count(&tally.troubles));
    println!(
        "{cases} lives: {} runs and {clean} clean ones, {} creations and deletions planned; {troubles} troubles, {killed} \
         kills, {} runs that failed, {} plans refused",
        count(&tally.runs),
        count(&tally.changes),
        count(&tally.failed),
        count(&tally.refused),
    );
    assert!(cases < 100 || killed as u64 > cases / 10 && troubles as u64 > cases, "too little happened");
}

#[test]
fn what_failed_once_does_not_fail_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/property/cases");
    let mut tried = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let case: Case = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        if let Err(wrong) = live_through(&case, &Tally::default()) {
            panic!("{}: {wrong}", file.display());
        }
        tried += 1;
    }
    assert!(tried > 0, "there are cases");
}
