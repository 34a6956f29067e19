use super::super::example::{address, change, field, live, plan};
use super::*;
use crate::engine::Reason;
use crate::resource::Address;

fn of(changes: Vec<Change>) -> Plan {
    Plan { changes, outputs: vec![], stop: None, ..plan() }
}

fn many(action: Action, number: usize) -> Vec<Change> {
    let one = |n: usize| Change {
        live: live(&format!("subnet-{n}")).filter(|_| action != Action::Create),
        reason: (action == Action::Delete).then_some(Reason::NotDeclared),
        ..change(
            &format!("aws::subnet.{:?}-{n}", action).to_lowercase(),
            action,
            vec![field("cidr_block", Some("10.0.0.0/16".into()), Some(format!("10.0.{n}.0/24").into()))],
        )
    };
    (0..number).map(one).collect()
}

#[test]
fn a_comment_warns_first_and_folds_the_rest_by_phase() {
    insta::assert_snapshot!(draw(&plan(), BUDGET), @r#"
    ### Plan for `prod`: 2 to create, 1 to update, **1 to replace**, **1 to delete**, 1 unchanged, 1 kept though not declared

    > [!CAUTION]
    > **Destroys 2 resources:**
    > - **replace** `aws::nat_gateway.main` (`nat-1`), `playbooks/phases/network.rhai:12`; forced by `availability_zone`: `"eu-central-1a"` → `"eu-central-1b"`
    > - **delete** `aws::eip.old` (`eipalloc-1`), `no longer declared`

    <details><summary><code>(no phase)</code>: 1 to delete, 1 to create</summary>

    ```diff
    + aws::vpc.main  playbooks/phases/network.rhai:12
    +     cidr_block: "10.0.0.0/16"
    ```

    </details>

    <details><summary><code>network</code>: 1 to replace, 1 to update, 1 to create</summary>

    ```diff
    - aws::nat_gateway.main  nat-1  playbooks/phases/network.rhai:12
    -     availability_zone: "eu-central-1a"
    +     availability_zone: "eu-central-1b"  # forces replacement
    ! aws::route_table.private  rtb-1  renamed from aws::route_table.internal  because aws::nat_gateway.main is replaced  playbooks/phases/network.rhai:12
    -     tags.Team: "a"
    +     tags.Team: "b"
    +     tags.Cost: "1"
          subnet_ids:
    -         "subnet-1"
    +         "subnet-3"
          route:
    +         { cidr_block: "0.0.0.0/0", nat_gateway_id: (known after apply: aws::nat_gateway.main.id) }
    + aws::subnet.private-a  playbooks/phases/network.rhai:12
    +     cidr_block: "10.0.1.0/24"
    +     vpc_id: (known after apply: aws::vpc.main.id)
    +     password: (sensitive)
    ```

    </details>

    <details><summary>Not declared any more (kept; <code>--prune</code> deletes them)</summary>

    ```diff
      aws::sqs_queue.old  sqs-1  no longer declared
    ```

    </details>

    <details><summary>1 output</summary>

    ```text
    endpoint = "https://(known after apply: aws::lb.main.dns_name)/x"
    ```

    </details>

    **The rest follows once** `aws::eks_cluster.prod.endpoint` is known (`playbooks/prod.rhai:41:8`).
    "#);
}

#[test]
fn what_does_not_fit_is_folded_and_said_and_no_delete_is_left_out() {
    let all =
        [many(Action::Create, 700), many(Action::Update, 700), many(Action::Replace, 60), many(Action::Delete, 60)]
            .concat();
    let plan = of(all);
    let mut before = usize::MAX;
    for budget in [400_000, 150_000, 100_000, 65_000, 20_000, 9_000, 4_000] {
        let text = draw(&plan, budget);
        assert!(size(&text) <= budget && size(&text) <= before, "{budget}: {}", size(&text));
        before = size(&text);
        for change in plan.changes.iter().filter(|change| is_destroyed(change)) {
            assert!(text.contains(&*change.address.name), "{budget}: {} is named", change.address);
        }
        assert_eq!(text.contains("**Folded to fit a comment:**"), budget < 400_000, "{budget}");
        // Creates fold before updates.
        assert!(!text.contains("aws::subnet.create-3 ") || text.contains("aws::subnet.update-3 "), "{budget}");
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    }
    let counted = draw(&plan, 20_000);
    assert!(counted.contains("700 resources to create counted only"), "{counted}");
    assert!(counted.contains("create: `700 aws::subnet`"), "{counted}");
}

#[test]
fn more_deletes_than_a_comment_has_room_for_are_counted() {
    let plan = of(many(Action::Delete, 20_000));
    let text = draw(&plan, BUDGET);
    let size = size(&text);
    assert!(size <= BUDGET && size > BUDGET - 200, "{size}");
    assert!(text.contains("more whose names do not fit here:**"), "{}", &text[text.len() - 300..]);
    assert!(text.starts_with("### Plan for `prod`: 0 to create, 0 to update, 0 to replace, **20000 to delete**"));
}

#[test]
fn nothing_that_was_written_is_read_as_markdown() {
    let evil = "x```\n</details><script>alert(1)</script>\n@everyone `a` \u{202e}";
    let mut odd = change(
        "aws::vpc.main",
        Action::Update,
        vec![
            field("tags.Name", Some(evil.into()), Some(format!("{evil}!").into())),
            FieldChange { forces_replace: true, ..field("a`b", Some(evil.into()), None) },
        ],
    );
    odd.address = Address::new("aws::vpc", evil);
    odd.phase = vec![evil.into()];
    odd.notes = vec![evil.into()];
    odd.live = live(evil);
    let gone = Change { action: Action::Replace, ..odd.clone() };
    let mut plan = of(vec![odd, gone]);
    plan.stack = evil.into();
    let text = draw(&plan, BUDGET);
    // Outside of code there is nothing of it.
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let run = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            Some(open) if line == open => fence = None,
            None if run.len() >= 3 => fence = Some(run),
            Some(_) => {}
            None => {
                let bare = if line == "</details>" { String::new() } else { without_code(line) };
                for word in ["<script", "@everyone", "alert"] {
                    assert!(!bare.contains(word), "{line}\n{bare}");
                }
            }
        }
    }
    assert_eq!(fence, None);
    assert_eq!(text.matches("\n</details>").count(), 1);
    assert!(!text.contains('\u{202e}'));
}

/// A line without its spans of code, and without what `<code>` holds.
fn without_code(line: &str) -> String {
    if line.starts_with('<') {
        let (start, end) = (line.find("<code>").expect("a name"), line.find("</code>").expect("its end"));
        assert!(!line[start + 6..end].contains(['<', '>']), "{line}");
        return line[..start].to_owned() + &line[end..];
    }
    let mut bare = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        bare.push_str(&rest[..start]);
        let fence = &rest[start..rest.len() - rest[start..].trim_start_matches('`').len()];
        let inside = &rest[start + fence.len()..];
        let mut end = 0;
        loop {
            let at = end + inside[end..].find('`').expect("a span ends");
            let length = inside.len() - at - inside[at..].trim_start_matches('`').len();
            end = at + length;
            if length == fence.len() {
                break;
            }
        }
        rest = &inside[end..];
    }
    bare + rest
}

#[test]
fn an_object_of_kubernetes_is_a_difference_of_yaml() {
    let at = "spec.template.spec.containers[web]";
    let object = change(
        "k8s::Deployment.shop/web",
        Action::Update,
        vec![
            field("spec.replicas", Some(2.into()), Some(3.into())),
            field(&format!("{at}.image"), Some("web:1".into()), Some("web:2".into())),
        ],
    );
    insta::assert_snapshot!(draw(&of(vec![object]), BUDGET), @r#"
    ### Plan for `prod`: 0 to create, 1 to update, 0 to replace, 0 to delete, 0 unchanged

    <details><summary><code>network</code>: 1 to update</summary>

    ```diff
    ! k8s::Deployment.shop/web  playbooks/phases/network.rhai:12
          spec:
    -       replicas: 2
    +       replicas: 3
            template:
              spec:
                containers:
                  - # web
    -               image: web:1
    +               image: web:2
    ```

    </details>
    "#);
}

#[test]
fn what_takes_others_down_says_so() {
    let moved = FieldChange {
        forces_replace: true,
        ..field("vpc_id", Some("vpc-1".into()), Some(super::super::example::reference("aws::vpc.main", "id")))
    };
    let cidr = FieldChange {
        forces_replace: true,
        ..field("cidr_block", Some("10.0.0.0/16".into()), Some("10.1.0.0/16".into()))
    };
    let vpc = Change { live: live("vpc-1"), ..change("aws::vpc.main", Action::Replace, vec![cidr]) };
    let subnet = Change { live: live("subnet-1"), ..change("aws::subnet.a", Action::Replace, vec![moved]) };
    assert_eq!(address("aws::subnet.a"), subnet.address);
    insta::assert_snapshot!(draw(&of(vec![vpc, subnet]), BUDGET), @r#"
    ### Plan for `prod`: 0 to create, 0 to update, **2 to replace**, 0 to delete, 0 unchanged

    > [!CAUTION]
    > **Destroys 2 resources:**
    > - **replace** `aws::vpc.main` (`vpc-1`), `playbooks/phases/network.rhai:12`; forced by `cidr_block`: `"10.0.0.0/16"` → `"10.1.0.0/16"`; **takes with it**: `aws::subnet.a`
    > - **replace** `aws::subnet.a` (`subnet-1`), `because aws::vpc.main is replaced`, `playbooks/phases/network.rhai:12`; forced by `vpc_id`: `"vpc-1"` → `(known after apply: aws::vpc.main.id)`

    <details><summary><code>network</code>: 2 to replace</summary>

    ```diff
    - aws::vpc.main  vpc-1  playbooks/phases/network.rhai:12
    -     cidr_block: "10.0.0.0/16"
    +     cidr_block: "10.1.0.0/16"  # forces replacement
    - aws::subnet.a  subnet-1  because aws::vpc.main is replaced  playbooks/phases/network.rhai:12
    -     vpc_id: "vpc-1"
    +     vpc_id: (known after apply: aws::vpc.main.id)  # forces replacement
    ```

    </details>
    "#);
}

#[test]
fn where_there_is_no_plan_it_says_why() {
    let wrong = Diagnostic::error("it is ``` broken").at(&Site::new("a.rhai", 1, 2), "here").hint("mend it\n@all");
    insta::assert_snapshot!(refusal(&[wrong]), @r#"
    ### No plan: 1 finding

    ````text
    error: it is ``` broken
      --> a.rhai:1:2: here
      hint: mend it
    @all
    ````
    "#);
}
