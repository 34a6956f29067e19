use super::super::example::{change, field, live, plan};
use super::*;
use crate::resource::Address;

fn plain(plan: &Plan) -> String {
    draw(plan, &Screen::plain(), false)
}

fn of(changes: Vec<Change>) -> Plan {
    Plan { stack: "prod".into(), changes, ..Plan::default() }
}

#[test]
fn a_plan_shows_what_is_destroyed_first() {
    insta::assert_snapshot!(plain(&plan()), @r#"
    Destroys 2 resources:

      network
      -/+ aws::nat_gateway.main  nat-1  playbooks/phases/network.rhai:12
            ~ availability_zone: "eu-central-1a" -> "eu-central-1b"  # forces replacement

      (no phase)
        - aws::eip.old  eipalloc-1        no longer declared

    Updates 1 resource:

      network
        ~ aws::route_table.private  rtb-1  renamed from aws::route_table.internal  because aws::nat_gateway.main is replaced  playbooks/phases/network.rhai:12
            ~ tags.Team:  "a" -> "b"
            + tags.Cost:  "1"
            ~ subnet_ids:
                - "subnet-1"
                + "subnet-3"
            ~ route:
                + { cidr_block: "0.0.0.0/0", nat_gateway_id: (known after apply: aws::nat_gateway.main.id) }

    Creates 2 resources:

        + aws::vpc.main          playbooks/phases/network.rhai:12
            cidr_block: "10.0.0.0/16"

      network
        + aws::subnet.private-a  playbooks/phases/network.rhai:12
            cidr_block: "10.0.1.0/24"
            vpc_id:     (known after apply: aws::vpc.main.id)
            password:   (sensitive)

    Not declared any more (kept; --prune deletes them):

        . aws::sqs_queue.old  sqs-1  no longer declared

    Outputs:

      endpoint = "https://(known after apply: aws::lb.main.dns_name)/x"

    The rest follows once `aws::eks_cluster.prod.endpoint` is known (playbooks/prod.rhai:41:8).

    Plan: 2 to create, 1 to update, 1 to replace, 1 to delete, 1 unchanged, 1 kept though not declared.
    "#);
}

#[test]
fn colour_is_the_same_text_in_paint() {
    let painted = draw(&plan(), &Screen { colour: true, ..Screen::plain() }, false);
    assert_eq!(console::strip_ansi_codes(&painted), plain(&plan()));
    assert!(painted.starts_with("\u{1b}[31m\u{1b}[1mDestroys 2 resources:\u{1b}[0m\n"), "{painted:?}");
    assert!(painted.contains("\u{1b}[32m  +\u{1b}[0m"));
}

#[test]
fn nothing_to_do_is_one_line() {
    let same = change("aws::vpc.main", Action::None, vec![]);
    assert_eq!(plain(&of(vec![same.clone()])), "Nothing to do: 1 resource is as declared.\n");
    assert_eq!(plain(&of(vec![])), "Nothing to do: stack `prod` has no resources.\n");
    insta::assert_snapshot!(draw(&of(vec![same]), &Screen::plain(), true), @r#"
    Unchanged:

      network
        . aws::vpc.main  playbooks/phases/network.rhai:12

    Nothing to do: 1 resource is as declared.
    "#);
}

#[test]
fn a_new_owner_is_told_even_if_no_field_changes() {
    let reason = Some(Reason::Adopted { id: "vpc-1".into() });
    let adopted = Change { reason, live: live("vpc-1"), ..change("aws::vpc.main", Action::None, vec![]) };
    insta::assert_snapshot!(plain(&of(vec![adopted])), @r#"
    Changes only in whose it is:

      network
        . aws::vpc.main  adopted vpc-1  playbooks/phases/network.rhai:12

    Plan: 0 to create, 0 to update, 0 to replace, 0 to delete, 1 unchanged.
    "#);
}

#[test]
fn long_values_take_lines_of_their_own() {
    let zones: Value = (0..9).map(|n| Value::from(format!("arn:aws:s3:::bucket-{n}"))).collect();
    let script: String = (1..=20).map(|n| format!("line {n}\n")).collect();
    let changed = script.replace("line 7\n", "line seven\n");
    let create = change(
        "aws::launch_template.node",
        Action::Create,
        vec![field("buckets", None, Some(zones)), field("user_data", None, Some(script.clone().into()))],
    );
    let update = change(
        "aws::instance.node",
        Action::Update,
        vec![field("user_data", Some(script.into()), Some(changed.into()))],
    );
    insta::assert_snapshot!(plain(&of(vec![create, update])), @r#"
    Updates 1 resource:

      network
        ~ aws::instance.node  playbooks/phases/network.rhai:12
            ~ user_data:
                  line 6
                - line 7
                + line seven
                  line 8

    Creates 1 resource:

      network
        + aws::launch_template.node  playbooks/phases/network.rhai:12
            buckets:
                "arn:aws:s3:::bucket-0"
                "arn:aws:s3:::bucket-1"
                "arn:aws:s3:::bucket-2"
                "arn:aws:s3:::bucket-3"
                "arn:aws:s3:::bucket-4"
                "arn:aws:s3:::bucket-5"
                "arn:aws:s3:::bucket-6"
                "arn:aws:s3:::bucket-7"
                "arn:aws:s3:::bucket-8"
            user_data:
                | line 1
                | line 2
                | line 3
                | line 4
                | line 5
                | line 6
                | line 7
                | line 8
                | line 9
                | line 10
                | line 11
                | line 12
                … 8 more lines

    Plan: 1 to create, 1 to update, 0 to replace, 0 to delete, 0 unchanged.
    "#);
}

#[test]
fn a_replacement_says_its_order_and_a_secret_says_nothing() {
    let secret = FieldChange { sensitive: true, ..field("password", Some("a".into()), Some("b".into())) };
    let mut replaced = change("aws::db_instance.main", Action::Replace, vec![secret]);
    replaced.options.replace = ReplaceOrder::CreateFirst;
    replaced.address = Address::new("aws::db_instance", "main");
    insta::assert_snapshot!(plain(&of(vec![replaced])), @r#"
    Destroys 1 resource:

      network
      +/- aws::db_instance.main  playbooks/phases/network.rhai:12
            ~ password: (sensitive)

    Plan: 0 to create, 0 to update, 1 to replace, 0 to delete, 0 unchanged.
    "#);
}

#[test]
fn what_stops_and_starts_a_resource_says_so() {
    let larger =
        FieldChange { restarts: true, ..field("instance_type", Some("m5.large".into()), Some("m5.xlarge".into())) };
    let update = change("aws::instance.node", Action::Update, vec![larger]);
    insta::assert_snapshot!(plain(&of(vec![update])), @r#"
    Updates 1 resource:

      network
        ~ aws::instance.node  playbooks/phases/network.rhai:12
            ~ instance_type: "m5.large" -> "m5.xlarge"  # stops and starts it

    Plan: 0 to create, 1 to update, 0 to replace, 0 to delete, 0 unchanged.
    "#);
}
