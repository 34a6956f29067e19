use super::*;
use crate::engine::earlier::{self, Told};

fn whose() -> Whose {
    Whose { run: "7f3a".into(), stack: "prod".into(), ..Whose::default() }
}

fn main() -> Address {
    Address::new("aws::vpc", "main")
}

fn create<'a>(address: &'a Address, inputs: &'a str) -> Intended<'a> {
    Intended { address, operation: Operation::Create, id: None, region: Some("eu-west-1"), inputs, anew: false }
}

/// What a run wrote, and the next reads.
fn story(write: impl Fn(&Journal)) -> (String, Told) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::at(&path, whose()).unwrap();
    write(&journal);
    let text = std::fs::read_to_string(&path).unwrap();
    let said = read(&text);
    assert_eq!(said.wrong, [""; 0]);
    (text, earlier::told(&said.entries).unwrap())
}

#[test]
fn what_has_no_end_is_open() {
    let address = main();
    let (_, told) = story(|journal| drop(journal.intent(&create(&address, "{}")).unwrap()));
    assert_eq!((told.open.len(), told.open[0].written.clone(), told.made.len()), (1, None, 0));
    assert_eq!(told.open[0].region.as_deref(), Some("eu-west-1"));
    let create_ = Operation::Create;
    let written = |journal: &Journal| {
        journal.intent(&create(&address, "{}")).unwrap();
        journal.written(&address, create_, Some("vpc-1")).unwrap();
    };
    let (_, told) = story(written);
    assert_eq!(told.open[0].written.as_deref(), Some("vpc-1"));
    assert_eq!(told.made, [(address.clone(), Some("eu-west-1".to_owned()), "vpc-1".to_owned())]);
    let (_, told) = story(|journal| {
        written(journal);
        journal.abandoned(&address, create_).unwrap();
    });
    assert_eq!(told.open.len(), 1);
    let (_, told) = story(|journal| {
        written(journal);
        journal.outcome(&address, create_, None, false).unwrap();
    });
    assert_eq!((told.open.len(), told.made.len()), (0, 1));
    let (_, told) = story(|journal| {
        written(journal);
        journal.outcome(&address, create_, Some("no answer came in time"), true).unwrap();
    });
    assert_eq!(told.open.len(), 1, "an error that says nothing is no end");
    let (_, told) = story(|journal| {
        written(journal);
        journal.outcome(&address, create_, None, false).unwrap();
        let (operation, id) = (Operation::Delete, Some("vpc-1"));
        journal.intent(&Intended { operation, id, ..create(&address, "{}") }).unwrap();
        journal.written(&address, operation, id).unwrap();
    });
    assert_eq!((told.open.len(), told.made.len()), (1, 0));
    assert_eq!(told.open[0].operation, Operation::Delete);
}

#[test]
fn a_token_is_used_again_for_the_very_same_only() {
    let address = main();
    let (_, told) = story(|journal| drop(journal.intent(&create(&address, "{\"cidr\":1}")).unwrap()));
    let open = told.open[0].clone();
    let next = |edit: &dyn Fn(&mut Open), intended: &Intended<'_>| {
        let mut open = open.clone();
        edit(&mut open);
        let token = Journal::none().after([open]).intent(intended).unwrap();
        assert_eq!(token.again, token.text == told.open[0].token);
        token.again
    };
    let same = create(&address, "{\"cidr\":1}");
    assert!(next(&|_| (), &same));
    assert!(!next(&|_| (), &create(&address, "{\"cidr\":2}")));
    assert!(!next(&|_| (), &Intended { region: None, ..create(&address, "{\"cidr\":1}") }));
    assert!(!next(&|_| (), &Intended { anew: true, ..create(&address, "{\"cidr\":1}") }));
    assert!(!next(&|open| open.written = Some("vpc-1".into()), &same), "it is known what came of it");
    assert!(!next(&|open| open.at = Timestamp::UNIX_EPOCH, &same), "too long ago");
    assert!(!next(&|open| open.salt = None, &same));
    assert!(!next(&|open| open.operation = Operation::Update, &same));
}

#[test]
fn no_input_is_in_it() {
    let address = main();
    let inputs = "{\"password\":\"NOTAREAL-word\"}";
    let (text, _) = story(|journal| drop(journal.intent(&create(&address, inputs)).unwrap()));
    assert!(!text.contains("NOTAREAL") && !text.contains("password"), "{text}");
}

#[test]
fn a_torn_journal_tells_what_is_whole() {
    let address = main();
    let (text, _) = story(|journal| {
        journal.intent(&create(&address, "{}")).unwrap();
        journal.written(&address, Operation::Create, Some("vpc-1")).unwrap();
    });
    // Wherever it ends.
    for end in 0..text.len() {
        let Said { entries, wrong, .. } = read(&text[..end]);
        let whole = text[..end].matches('\n').count();
        let cut = !text[..end].is_empty() && !text[..end].ends_with('\n') && text.as_bytes()[end] != b'\n';
        assert_eq!(
            entries.len(),
            whole + usize::from(text.as_bytes()[end] == b'\n' && !text[..end].ends_with('\n') && end > 0)
        );
        assert_eq!(wrong.len(), usize::from(cut), "{end}: {wrong:?}");
        drop(earlier::told(&entries));
    }
    let Said { entries, wrong, .. } = read(&text.replacen("intent", "in\u{0}nt", 1));
    assert_eq!((entries.len(), wrong), (2, vec!["line 2 cannot be read".to_owned()]));
    let later = text.replace("\"journal\":1", "\"journal\":9");
    let Said { entries, wrong, foreign } = read(&later);
    assert_eq!((entries, foreign), (vec![], true));
    assert_eq!(wrong, ["it has version 9, and this runner reads 1"]);
    let without = text.split_once('\n').unwrap().1;
    let Said { entries, wrong, .. } = read(without);
    assert_eq!((earlier::told(&entries), wrong), (None, vec!["it does not say of which run it is".to_owned()]));
    assert_eq!(read(&"?\n".repeat(1000)).wrong.len(), MISTAKES + 1);
}

#[test]
fn after_a_line_that_was_cut_off_the_next_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::at(&path, whose()).unwrap();
    {
        let mut tail = journal.file.as_ref().unwrap().lock().unwrap();
        tail.file.write_all(b"{\"intent\":{\"at\"").unwrap();
        tail.torn = true;
    }
    let address = main();
    journal.intent(&create(&address, "{}")).unwrap();
    let Said { entries, wrong, .. } = read(&std::fs::read_to_string(&path).unwrap());
    assert_eq!((entries.len(), wrong), (2, vec!["line 2 cannot be read".to_owned()]));
}
