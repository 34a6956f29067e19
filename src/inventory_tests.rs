use super::*;
use crate::report::{Screen, diagnostics};
use serde_json::json;

const COMMON: &str = "[aws]\nregion = \"eu-central-1\"\n\n[network]\ncidr = \"10.0.0.0/16\"\nzones = [\"a\", \"b\"]\n";

fn load(files: &[(&str, &str)], name: &str, sets: &[&str]) -> Result<Inventory, String> {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("inventory");
    std::fs::create_dir(&dir).unwrap();
    for (name, text) in files {
        std::fs::write(dir.join(format!("{name}.toml")), text).unwrap();
    }
    let sources = Sources::default();
    let sets: Vec<Set> = sets.iter().map(|set| set.parse().unwrap()).collect();
    Inventory::load(&dir, name, &sets, &sources, root.path()).map_err(|found| {
        found.iter().map(|d| diagnostics::draw(d, &sources, &Screen::plain())).collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn an_inventory_builds_on_others_and_knows_where_each_value_stands() {
    let prod = "extends = [\"common\", \"big\"]\nsince = 2024-01-02\n[network]\nzones = [\"c\"]\n";
    let big = "[network]\nzones = [\"x\"]\nsize = 9\n";
    let inventory = load(&[("common", COMMON), ("big", big), ("prod", prod)], "prod", &[]).unwrap();
    assert_eq!(
        inventory.value(),
        Value::from(json!({
            "name": "prod",
            "since": "2024-01-02",
            "aws": { "region": "eu-central-1" },
            "network": { "cidr": "10.0.0.0/16", "zones": ["c"], "size": 9 },
        }))
    );
    assert_eq!(inventory.files, ["inventory/prod.toml", "inventory/big.toml", "inventory/common.toml"]);
    assert_eq!(inventory.name.as_str(), "prod");
    assert_eq!(inventory.aws.region.as_deref(), Some("eu-central-1"));
    let origin = |path: &str| inventory.origin(path).unwrap().to_string();
    assert_eq!(origin("network.zones"), "inventory/prod.toml:4:1");
    assert_eq!(origin("network.size"), "inventory/big.toml:3:1");
    assert_eq!(origin("network.cidr"), "inventory/common.toml:5:1");
}

#[test]
fn what_is_set_comes_last_and_is_toml_or_a_string() {
    let sets = ["network.size=3", "network.zones=[\"q\"]", "image=nginx:1.2", "a.b.c=true", "empty="];
    let inventory = load(&[("prod", COMMON)], "prod", &sets).unwrap();
    assert_eq!(inventory.values["network"], json!({ "cidr": "10.0.0.0/16", "zones": ["q"], "size": 3 }).into());
    assert_eq!(inventory.values["image"], "nginx:1.2".into());
    assert_eq!(inventory.values["a"], json!({ "b": { "c": true } }).into());
    assert_eq!(inventory.values["empty"], "".into());
    assert_eq!((inventory.values["name"].clone(), inventory.name.as_str()), ("prod".into(), "prod"));
    assert_eq!(inventory.origin("a.b.c").unwrap().to_string(), "--set a.b.c=true");
}

/// A slip on the command line must not become a plan of something else.
#[test]
fn what_is_set_is_of_the_type_that_is_there() {
    let with = |set: &str| {
        load(&[("prod", "list = [1]\nflag = true\nnumber = \"12\"\nsize = 3\n[table]\na = 1\n")], "prod", &[set])
    };
    for (set, expected) in [
        ("list=ab", "`list` is of type list, and this is of type string"),
        ("flag=no", "`flag` is of type bool, and this is of type string"),
        ("size=big", "`size` is of type integer, and this is of type string"),
        ("table=1", "`table` is of type map, and this is of type integer"),
        ("table.a=[1]", "`table.a` is of type integer, and this is of type list"),
    ] {
        let wrong = with(set).unwrap_err();
        assert!(wrong.contains(expected), "{set}: {wrong}");
    }
    assert_eq!(with("number=13").unwrap().values["number"], "13".into());
    assert_eq!(with("size=1.5").unwrap().values["size"], Value::Float(1.5));
    let named = load(&[("prod", "name = \"other\"\n")], "prod", &[]).unwrap_err();
    assert!(
        named.contains("`name` of an inventory is the name of its stack") && named.contains("prod.toml:1:1"),
        "{named}"
    );
}

#[test]
fn what_does_not_fit_says_what_is_in_the_way_and_how_it_is_written() {
    let found = load(&[("prod", COMMON)], "prod", &["network.cidr.x=1", "network.zones=a"]).unwrap_err();
    insta::assert_snapshot!(found, @r#"
    error: `--set network.cidr.x=1` does not fit the inventory
     --> inventory/prod.toml:5:1
      |
    5 | cidr = "10.0.0.0/16"
      | ^^^^ defined here
      |
      = caused by: `network.cidr` is of type string, and has no keys
      = hint: write `--set network.cidr=value`

    error: `--set network.zones=a` does not fit the inventory
     --> inventory/prod.toml:6:1
      |
    6 | zones = ["a", "b"]
      | ^^^^^ defined here
      |
      = caused by: `network.zones` is of type list, and this is of type string
      = hint: write it like `--set network.zones='["a", "b"]'`
    "#);
}

#[test]
fn what_can_be_no_set_is_told_with_the_arguments() {
    for (given, expected) in [
        ("nothing", "there is no `=`"),
        ("a..b=1", "a key is empty"),
        ("=1", "a key is empty"),
        ("list=[\"a\"", "it begins like a list or a table, and is none of TOML's"),
        ("other={a = }", "it begins like a list or a table, and is none of TOML's"),
        ("name=other", "cannot be set"),
    ] {
        let wrong = given.parse::<Set>().unwrap_err();
        assert!(wrong.contains(expected), "{given}: {wrong}");
    }
}

#[test]
fn a_missing_inventory_says_which_there_are() {
    let all = [
        load(&[("prod", ""), ("staging", "")], "prdo", &[]),
        load(&[("prod", ""), ("staging", "")], "live", &[]),
        load(&[], "prod", &[]),
        load(&[("prod", "a = 1\nextends = 'comon'"), ("common", "")], "prod", &[]),
        load(&[], "../prod", &[]),
    ];
    insta::assert_snapshot!(all.map(Result::unwrap_err).join("\n"), @r#"
    error: there is no inventory `prdo`
     |
     = caused by: inventory/prdo.toml does not exist
     = hint: did you mean `prod`? there are: prod, staging

    error: there is no inventory `live`
     |
     = caused by: inventory/live.toml does not exist
     = hint: there are: prod, staging; or make it: `inventory/live.toml` may be as short as `extends = "common"`

    error: there is no inventory `prod`
     |
     = caused by: inventory/prod.toml does not exist
     = hint: make it: an empty `inventory/prod.toml` will do

    error: there is no inventory `comon`
     --> inventory/prod.toml:2:1
      |
    2 | extends = 'comon'
      | ^^^^^^^ asked for here
      |
      = caused by: inventory/comon.toml does not exist
      = hint: did you mean `common`? there are: common, prod

    error: `../prod` is not the name of an inventory
    "#);
}

#[test]
fn a_circle_is_told_with_its_chain() {
    let found = load(&[("a", "extends = \"b\""), ("b", "extends = \"a\"")], "a", &[]).unwrap_err();
    insta::assert_snapshot!(found, @r#"
    error: inventory `a` extends itself
     --> inventory/b.toml:1:1
      |
    1 | extends = "a"
      | ^^^^^^^ asked for here
      |
      = caused by: a → b → a
    "#);
}

#[test]
fn mistakes_are_told_at_their_line() {
    let aws = "[aws]\nregoin = \"eu\"\naccount = 12345678901\nprofile = []\nregions = \"eu\"\nmine = 1\n";
    let all = [
        load(&[("prod", "a = 1\nb = = 2\n")], "prod", &[]),
        load(&[("prod", aws)], "prod", &[]),
        load(&[("prod", "[aws]\naccount = \"123\"\n")], "prod", &[]),
        load(&[("prod", "aws = 1\n")], "prod", &[]),
        load(&[("prod", "extends = 1\n")], "prod", &[]),
        load(&[("prod", "n = 99999999999999999999\n")], "prod", &[]),
    ];
    insta::assert_snapshot!(all.map(Result::unwrap_err).join("\n"), @r#"
    error: failed to read inventory/prod.toml as TOML
     --> inventory/prod.toml:2:5
      |
    2 | b = = 2
      |     ^ extra `=`, expected nothing

    error: `aws.regoin` is not a setting
     --> inventory/prod.toml:2:1
      |
    2 | regoin = "eu"
      | ^^^^^^
      |
      = hint: did you mean `region`?

    error: `aws.account` must be a string, not an integer
     --> inventory/prod.toml:3:1
      |
    3 | account = 12345678901
      | ^^^^^^^
      |
      = hint: put it in quotes: a number loses its leading zeros

    error: `aws.profile` must be a string, not a list
     --> inventory/prod.toml:4:1
      |
    4 | profile = []
      | ^^^^^^^

    error: `aws.regions` must be a list of strings, not a string
     --> inventory/prod.toml:5:1
      |
    5 | regions = "eu"
      | ^^^^^^^

    error: `aws.account` is not an account's number: "123"
     --> inventory/prod.toml:2:1
      |
    2 | account = "123"
      | ^^^^^^^
      |
      = hint: an account's number has 12 digits

    error: `aws` must be a table, not an integer
     --> inventory/prod.toml:1:1
      |
    1 | aws = 1
      | ^^^

    error: `extends` must be the name of an inventory or a list of names
     --> inventory/prod.toml:1:1
      |
    1 | extends = 1
      | ^^^^^^^

    error: `n` is larger than an integer can be: 99999999999999999999
     --> inventory/prod.toml:1:1
      |
    1 | n = 99999999999999999999
      | ^
    "#);
}

#[test]
fn secrets_are_named_and_their_sources_checked() {
    let text = "[secrets]\na = { env = \"A\" }\nb = { file = \"keys/b\" }\nc = { ssm = \"/c\" }\n\
                d = { secretsmanager = \"d\", key = \"k\" }\n";
    let inventory = load(&[("prod", text)], "prod", &[]).unwrap();
    let told: Vec<String> = inventory.secrets.values().map(ToString::to_string).collect();
    assert!(told[1].ends_with("/keys/b"), "{told:?}");
    assert_eq!((told[0].as_str(), told[2].as_str()), ("environment variable A", "SSM parameter /c"));
    assert_eq!(told[3], "Secrets Manager, d, key k");
    let found = load(&[("prod", "[secrets]\na = \"hunter2\"\nb = { evn = \"B\" }\n")], "prod", &[]).unwrap_err();
    assert!(found.contains("`secrets.a` does not say where the secret is"), "{found}");
    assert!(found.contains("`secrets.b` does not say where"), "{found}");
}

#[test]
fn a_lock_is_where_the_inventory_says_and_no_mistake_leaves_it_out() {
    let lock = |text: &str| load(&[("prod", &format!("[lock]\n{text}\n"))], "prod", &[]).map(|found| found.lock);
    let found = lock("s3 = \"s3://team-locks/shop/eu/\"\nregion = \"eu-west-1\"").unwrap().unwrap();
    assert_eq!(found.lease, 60);
    let place = found.place().unwrap();
    assert_eq!((place.bucket.as_str(), place.prefix.as_str()), ("team-locks", "shop/eu"));
    assert_eq!(place.region.as_deref(), Some("eu-west-1"));
    let place = lock("s3 = \"s3://team-locks\"\nlease = 300").unwrap().unwrap().place().unwrap();
    assert_eq!((place.bucket.as_str(), place.prefix.as_str()), ("team-locks", ""));
    assert_eq!(load(&[("prod", COMMON)], "prod", &[]).unwrap().lock, None);
    for (text, said) in [
        ("", "does not say where the lock is"),
        ("s4 = \"s3://team-locks\"", "did you mean `s3`?"),
        ("s3 = \"s3://team-locks\"\nenabled = false", "`lock.enabled` is not a setting"),
        ("s3 = \"team-locks/shop\"", "is no place in S3"),
        ("s3 = \"s3://Team_Locks\"", "is no place in S3"),
        ("s3 = \"s3:///shop\"", "is no place in S3"),
        ("s3 = \"s3://team-locks/../shop\"", "is no place in S3"),
        ("s3 = 7", "must be a string"),
        ("s3 = \"s3://team-locks\"\nregion = \"nowhere\"", "`lock.region` is no region of AWS: \"nowhere\""),
        ("s3 = \"s3://team-locks\"\nregion = \"eu-west-1.example.org\"", "is no region of AWS"),
        ("s3 = \"s3://team-locks\"\nregion = \"\"", "is no region of AWS"),
        ("s3 = \"s3://team-locks\"\nlease = 5", "from 15 to 3600"),
        ("s3 = \"s3://team-locks\"\nlease = \"60\"", "from 15 to 3600"),
    ] {
        let told = lock(text).unwrap_err();
        assert!(told.contains(said), "{text}: {told}");
    }
    assert!(load(&[("prod", "lock = true")], "prod", &[]).unwrap_err().contains("`lock` must be a table"));
    let told = lock("s3 = 7").unwrap_err();
    assert!(!told.contains("zeros") && told.contains("hint: s3 = \"s3://bucket/prefix\""), "{told}");
    for region in ["us-gov-west-1", "ap-southeast-5", "eusc-de-east-1", "us-iso-east-1"] {
        assert!(lock(&format!("s3 = \"s3://team-locks\"\nregion = \"{region}\"")).is_ok(), "{region}");
    }
}

#[test]
fn a_region_is_called_like_one() {
    let aws = |text: &str| load(&[("prod", &format!("[aws]\n{text}\n"))], "prod", &[]);
    assert!(aws("region = \"eu-central-1\"\nregions = [\"us-east-1\", \"us-gov-west-1\"]").is_ok());
    for (text, said) in [
        ("region = \"nowhere\"", "`aws.region` is no region of AWS"),
        ("region = \"eu-central-1a\"", "`aws.region` is no region of AWS"),
        ("regions = [\"eu-west-1\", \"EU-WEST-2\"]", "`aws.regions` is no region of AWS: \"EU-WEST-2\""),
    ] {
        let told = aws(text).unwrap_err();
        assert!(told.contains(said) && told.contains("called like \"eu-central-1\""), "{text}: {told}");
    }
}
