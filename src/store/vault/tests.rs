use std::sync::Arc;

use super::*;
use crate::store::by_run::Origin;

struct Case {
    _home: tempfile::TempDir,
    vault: Vault,
}

fn case() -> Case {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folders = Folders { data: home.path().into(), state: home.path().into() };
    Case { _home: home, vault: Vault { folders, patience: Duration::ZERO, warn: Arc::new(|_| {}) } }
}

impl Case {
    fn put(&self, name: &SecretName, number: u8, over: Over<'_>) -> Result<Put> {
        self.vault.put(&entry(name, number), &pair(number), over)
    }

    /// The key in the file, and the one in the index.
    fn keys(&self, name: &SecretName) -> (Option<String>, Option<String>) {
        let pair = self.vault.find(StoreKind::File, name).expect("readable");
        let entry = self.vault.entry(name).expect("readable");
        (pair.map(|it| it.access_key_id), entry.map(|it| it.access_key_id))
    }

    fn entry(&self, name: &SecretName) -> Option<Entry> {
        self.vault.entry(name).expect("readable")
    }
}

fn entry(name: &SecretName, number: u8) -> Entry {
    Entry {
        name: name.clone(),
        store: StoreKind::File,
        access_key_id: id(number),
        account_id: None,
        arn: None,
        created_at: Timestamp::UNIX_EPOCH,
        verified_at: None,
        left_in: None,
    }
}

fn name(text: &str) -> SecretName {
    SecretName::new(text).expect("a valid name")
}

fn id(number: u8) -> String {
    format!("AKIA{number:016}")
}

fn pair(number: u8) -> KeyPair {
    KeyPair::new(id(number), format!("secret-{number}").into())
}

fn both(number: u8) -> (Option<String>, Option<String>) {
    (Some(id(number)), Some(id(number)))
}

#[test]
fn a_file_store_passes_its_probe_and_leaves_nothing() {
    let case = case();
    case.vault.probe(StoreKind::File).expect("writable");
    let folder = case.vault.folders.data.join("secrets/aws");
    let files = std::fs::read_dir(folder).expect("made by the probe");
    assert_eq!(files.count(), 0);
}

#[test]
fn a_name_is_given_up_only_as_agreed() {
    let (case, ana) = (case(), name("ana"));
    assert!(case.put(&ana, 1, Over::Nothing).expect("free").changed);
    let again = case.put(&ana, 1, Over::Nothing).expect("the same pair");
    assert!(!again.changed && again.replaced.is_none());
    let aside = SecretName::set_aside_by("run");
    let (first, third) = (id(1), id(3));
    let named = |key_id| Over::SetAside { key_id, aside: &aside };
    for over in [Over::Nothing, Over::Key(&third), named(None), named(Some(&third))] {
        let refused = case.put(&ana, 2, over).err().expect("another pair");
        assert!(refused.message.contains("meanwhile"), "{refused}");
        assert_eq!(case.keys(&ana), both(1));
    }
    let put = case.put(&name("ANA"), 2, Over::Key(&first)).expect("agreed");
    assert_eq!(put.replaced, Some(id(1)));
    assert_eq!(put.entry.name, ana, "one name has one spelling");
    case.put(&ana, 3, Over::Anything).expect("whatever it is");
    assert_eq!(case.keys(&ana), both(3));
}

#[test]
fn what_is_known_of_a_key_stays_known() {
    let (case, ana) = (case(), name("ana"));
    case.put(&ana, 1, Over::Nothing).expect("free");
    let now = Timestamp::from_second(1).expect("in range");
    case.vault.verified(&ana, now).expect("writable");
    case.put(&ana, 1, Over::Nothing).expect("the same pair");
    assert_eq!(case.entry(&ana).expect("listed").verified_at, Some(now));
    case.put(&ana, 2, Over::Anything).expect("another one");
    assert_eq!(case.entry(&ana).expect("listed").verified_at, None);
}

#[test]
fn a_run_gives_back_what_it_replaced_however_often_it_is_told_to() {
    let (case, ana) = (case(), name("ana"));
    let (aside, first) = (SecretName::set_aside_by("run"), id(1));
    case.put(&ana, 1, Over::Nothing).expect("free");
    let replaced = case.entry(&ana);
    let over = Over::SetAside { key_id: Some(&first), aside: &aside };
    let put = entry(&ana, 2);
    let give_back = || case.vault.give_back(&put, replaced.as_ref(), &aside, Origin::Created);
    for _ in 0..2 {
        case.put(&ana, 2, over).expect("the named key");
        assert_eq!(case.keys(&ana), both(2));
        assert_eq!(case.keys(&aside).0, Some(id(1)));
        for _ in 0..2 {
            give_back().expect("writable");
            assert_eq!(case.keys(&ana), both(1));
            assert_eq!(case.entry(&ana), replaced);
            assert_eq!(case.keys(&aside).0, None);
        }
    }
    case.put(&ana, 2, over).expect("the named key");
    assert!(case.vault.discard(StoreKind::File, &aside).expect("there"));
    give_back().expect("writable");
    assert_eq!(case.keys(&ana), (None, None), "nothing is left of either");
}

#[test]
fn a_run_leaves_what_others_have_put_there_since() {
    let (case, ana, bob) = (case(), name("ana"), name("bob"));
    let aside = SecretName::set_aside_by("run");
    let give_back = |origin| case.vault.give_back(&entry(&ana, 1), None, &aside, origin);
    case.put(&ana, 1, Over::Nothing).expect("free");
    case.put(&ana, 2, Over::Anything).expect("by somebody else");
    give_back(Origin::Created).expect("fine");
    assert_eq!(case.keys(&ana), both(2));
    // The user's own copy of a key that they brought along stays, the run's moved pair does not.
    case.put(&bob, 1, Over::Nothing).expect("free");
    give_back(Origin::BroughtAlong).expect("fine");
    assert_eq!(case.keys(&bob), both(1));
    give_back(Origin::Created).expect("fine");
    assert_eq!(case.keys(&bob), (None, None));
    // A key that had the name before the run keeps it.
    case.put(&bob, 1, Over::Nothing).expect("free");
    let before = case.entry(&bob);
    let (put, brought) = (entry(&bob, 1), Origin::BroughtAlong);
    case.vault.give_back(&put, before.as_ref(), &aside, brought).expect("fine");
    assert_eq!(case.keys(&bob), both(1));
}

#[test]
fn a_key_is_found_under_any_name() {
    let (case, ana, bob) = (case(), name("ana"), name("bob"));
    case.put(&ana, 1, Over::Nothing).expect("free");
    let held = |name| case.vault.held(name, StoreKind::File, &id(1)).expect("readable");
    assert!(held(&ana).is_some_and(|it| it.same_as(&pair(1))));
    case.vault.rename(&ana, &bob, || Ok(())).expect("free");
    assert!(held(&ana).is_none());
    let found = case.vault.find_key(&id(1)).expect("readable");
    assert!(found.is_some_and(|it| it.same_as(&pair(1))));
    assert!(case.vault.find_key(&id(2)).expect("readable").is_none());
}

#[test]
fn a_rename_that_stopped_half_way_is_finished_by_the_same_again() {
    let (case, ana, bob) = (case(), name("ana"), name("bob"));
    case.put(&ana, 1, Over::Nothing).expect("free");
    let stop = || Err(Error::failed("stop"));
    case.vault.rename(&ana, &bob, stop).expect_err("stopped");
    assert_eq!(case.keys(&bob), both(1));
    assert_eq!(case.keys(&ana), (Some(id(1)), None));
    case.vault.rename(&ana, &bob, || Ok(())).expect("the rest");
    assert_eq!(case.keys(&ana), (None, None));
    let gone = case.vault.rename(&ana, &bob, || Ok(()));
    assert!(gone.expect_err("done").message.contains("no secret `ana`"));
}

#[test]
fn a_secret_is_removed_only_as_it_was_looked_at() {
    let (case, ana) = (case(), name("ana"));
    case.put(&ana, 1, Over::Nothing).expect("free");
    let seen = case.entry(&ana).expect("listed");
    case.put(&ana, 2, Over::Anything).expect("meanwhile");
    let remove = |entry: &Entry| case.vault.remove(entry, Unreadable::Refuse, |_| Ok(()));
    remove(&seen).expect_err("changed");
    remove(&case.entry(&ana).expect("listed")).expect("as seen");
    assert_eq!(case.keys(&ana), (None, None));
}

#[test]
fn the_current_secret_comes_back_unless_another_is_current_by_now() {
    let (case, ana, bob) = (case(), name("ana"), name("bob"));
    let current = || Index::load(&case.vault.folders).expect("readable").current;
    case.vault.set_current(&ana).expect_err("not there");
    for (name, number) in [(&ana, 1), (&bob, 2)] {
        case.put(name, number, Over::Nothing).expect("free");
    }
    assert_eq!(case.vault.set_current(&ana).expect("there"), None);
    let previous = case.vault.set_current(&bob).expect("there");
    assert_eq!(previous.as_ref(), Some(&ana));
    case.vault.restore_current(&ana, None).expect("writable");
    assert_eq!(current(), Some(bob.clone()), "it was not ours");
    case.vault.restore_current(&bob, previous.as_ref()).expect("writable");
    assert_eq!(current(), Some(ana));
}

#[test]
fn a_replaced_pair_comes_back_though_the_new_one_was_removed() {
    let (case, ana) = (case(), name("ana"));
    let aside = SecretName::set_aside_by("run");
    let first = id(1);
    case.put(&ana, 1, Over::Nothing).expect("free");
    let replaced = case.entry(&ana);
    let over = Over::SetAside { key_id: Some(&first), aside: &aside };
    let put = case.put(&ana, 2, over).expect("agreed");
    case.vault.remove(&put.entry, Unreadable::Refuse, |_| Ok(())).expect("by its user");
    let given_back = case.vault.give_back(&put.entry, replaced.as_ref(), &aside, Origin::Created);
    given_back.expect("writable");
    assert_eq!(case.keys(&ana), both(1));
    assert_eq!(case.entry(&ana), replaced);
}

#[test]
fn a_copy_in_the_other_store_is_remembered_until_it_is_cleared() {
    let (case, ana) = (case(), name("ana"));
    // As if the process had died between the index and the removal of the file.
    case.put(&ana, 1, Over::Nothing).expect("free");
    let set = |store, left_in| {
        let change = |index: &mut Index| {
            let entry = index.find_mut(&ana).expect("listed");
            (entry.store, entry.left_in) = (store, left_in);
            Ok(())
        };
        Index::update(&case.vault.folders, change).expect("writable");
    };
    let left_in = || case.entry(&ana).expect("listed").left_in;
    let (file, keyring) = (StoreKind::File, StoreKind::Keyring);
    set(keyring, Some(file));
    let mut index = Index::lock(&case.vault.folders).expect("readable");
    case.vault.clear_left(&mut index, &ana).expect("removable");
    drop(index);
    assert_eq!(left_in(), None);
    assert_eq!(case.keys(&ana).0, None);
    // A copy that cannot be cleared now stays listed, and so it is for a pair that is put again.
    set(file, Some(keyring));
    for _ in 0..2 {
        let refused = case.put(&ana, 2, Over::Nothing).err().expect("no keyring waits 0 s");
        assert_eq!(refused.kind, crate::error::Kind::PartlyApplied);
        assert_eq!((case.keys(&ana), left_in()), (both(2), Some(keyring)));
    }
}

/// A keyring that is locked after some calls.
struct Locking {
    calls: std::cell::Cell<u8>,
    pair: std::cell::RefCell<Option<KeyPair>>,
}

impl Locking {
    fn after(calls: u8) -> Self {
        Locking { calls: calls.into(), pair: None.into() }
    }

    fn call(&self) -> Result<()> {
        let left = self.calls.get().checked_sub(1).ok_or_else(|| Error::failed("it is locked"))?;
        self.calls.set(left);
        Ok(())
    }
}

impl Store for Locking {
    fn kind(&self) -> StoreKind {
        StoreKind::Keyring
    }

    fn put(&self, _: &SecretName, pair: &KeyPair) -> Result<()> {
        self.call()?;
        self.pair.replace(Some(pair.clone()));
        Ok(())
    }

    fn find(&self, _: &SecretName) -> Result<Option<KeyPair>> {
        self.call()?;
        Ok(self.pair.borrow().clone())
    }

    fn remove(&self, _: &SecretName) -> Result<bool> {
        self.call()?;
        Ok(self.pair.take().is_some())
    }
}

#[test]
fn what_a_locked_keyring_does_not_give_back_is_reported() {
    use crate::error::Kind;
    let ana = name("ana");
    for (calls, kind) in [(0, Kind::Failed), (1, Kind::PartlyApplied)] {
        let store = Locking::after(calls);
        let error = store.replace(&ana, None, &pair(1)).expect_err("locked");
        assert_eq!((error.kind, store.pair.borrow().is_some()), (kind, calls == 1), "{error}");
        assert_eq!(Locking::after(calls).probe().expect_err("locked").kind, Kind::Failed);
    }
    Locking::after(2).replace(&ana, None, &pair(1)).expect("written and read back");
}
