//! What must be known before deciding: the user, the password policy, the secret of that name.
//! Reads AWS and the stores; changes and decides nothing.

use std::time::Duration;

use tokio::time::timeout;

use crate::aws::account::{self, AccessKey, PasswordPolicy, User};
use crate::aws::console::Console;
use crate::aws::credential::Credential;
use crate::aws::evidence::{Look, settled};
use crate::aws::failure::{Failure, Reason};
use crate::aws::identity::{Identity, caller_identity};
use crate::aws::sdk::{Sdk, Session};
use crate::aws_files::Locations;
use crate::aws_files::text::FileKind;
use crate::aws_profile::{self, AwsProfile};
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::secret::KeyPair;
use crate::setup::request::{ConsolePassword, IamUserRequest, Request, RootRequest, SecretTarget};
use crate::store::StoreKind;
use crate::store::index::Index;
use crate::store::vault::Vault;

/// How long STS may take to answer for a stored pair.
const LIMIT: Duration = Duration::from_secs(10);

/// How long IAM may take to tell of the root user, which nothing waits for.
const ROOT_LIMIT: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Facts {
    pub user: UserFact,
    /// `None` where nobody asked for a password or the policy may not be read.
    pub password_policy: Option<PasswordPolicy>,
    /// The secret that has the wanted name already.
    pub stored: Option<Stored>,
    /// Whether that secret belongs to the very identity that is wanted, so that `--if-exists
    /// reuse` may use it, or replace it when it no longer works.
    pub stored_is_reusable: bool,
    /// Whether the wanted name is the current secret's.
    pub secret_is_current: bool,
    /// The AWS profile that is wanted, and what has its name already.
    pub aws_profile: Option<(AwsProfile, Option<AwsProfile>)>,
    pub warnings: Vec<String>,
}

impl Facts {
    /// Whether `--if-exists reuse` may replace the stored secret: it is its own user's, and AWS
    /// rejects it.
    pub fn stored_may_be_replaced(&self) -> bool {
        self.stored_is_reusable && self.stored.as_ref().is_some_and(|stored| !stored.works())
    }
}

/// The IAM user of the wanted name.
#[derive(Default)]
pub enum UserFact {
    #[default]
    Absent,
    Present(User),
    /// The caller may create users but not look at them: CreateUser itself will tell.
    Unreadable(Failure),
}

pub struct Stored {
    pub store: StoreKind,
    /// Absent where the index knows a secret that is no longer in its place.
    pub access_key_id: Option<String>,
    /// Whom it belongs to: by STS where it works, else by the index.
    pub identity: Option<Identity>,
    pub verdict: Verdict,
}

/// What STS says of a stored pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Works,
    /// It does not know the key: one that was deleted, but also one that is inactive, or so new that
    /// not every server knows it yet.
    UnknownKey,
    WrongSecret,
    /// There is no pair that it could be asked about.
    NotAsked,
}

impl Stored {
    pub fn works(&self) -> bool {
        self.verdict == Verdict::Works
    }

    /// `for user/ana in 111122223333, in the keyring`.
    pub fn described(&self) -> String {
        let owner = match &self.identity {
            Some(identity) => format!("for {}", identity.described()),
            None => "of unknown origin".to_owned(),
        };
        match self.store {
            StoreKind::Keyring => format!("{owner}, in the keyring"),
            StoreKind::File => format!("{owner}, in a file"),
        }
    }
}

/// What the facts are read with.
pub struct Reader<'a> {
    pub sdk: &'a Sdk,
    pub vault: &'a Vault,
    pub index: &'a Index,
    pub env: &'a Env,
}

impl Reader<'_> {
    /// # Errors
    /// When a read fails that the decision rests on; what the caller may not read is a fact, not an
    /// error.
    pub async fn read(&self, request: &Request) -> Result<Facts> {
        let aws_profile = self.aws_profile(request)?;
        let of_request = async {
            match request {
                Request::Existing(_) => Ok(Facts::default()),
                Request::IamUser(request) => self.of_iam_user(request).await,
                Request::Root(request) => self.of_root(request).await,
            }
        };
        let (facts, of_root) = tokio::join!(of_request, self.about_root(request.caller()));
        let mut facts = Facts { aws_profile, ..facts? };
        if let Some(target) = request.target() {
            facts.secret_is_current = self.index.is_current(&target.secret);
        }
        facts.warnings.extend(of_root);
        if let (Some(_), Some(name)) = (&facts.aws_profile, self.env.moves_data()) {
            facts.warnings.push(aws_profile::works_only_with(name));
        }
        Ok(facts)
    }

    /// Nothing where the caller may not read it: the decision does not rest on it.
    async fn about_root(&self, caller: &Credential) -> Vec<String> {
        let account = caller.identity().map(|it| it.account_id.as_str()).unwrap_or_default();
        let console = Console::of_region(caller.session.region.as_ref());
        let iam = self.sdk.iam(&caller.session);
        let Ok(Ok(root)) = timeout(ROOT_LIMIT, account::root_user(&iam)).await else {
            return Vec::new();
        };
        root.weaknesses(account, console).iter().map(Diagnostic::with_hint).collect()
    }

    /// # Errors
    /// When the profile could not be written, or AWS's tools would not read it.
    fn aws_profile(&self, request: &Request) -> Result<Option<(AwsProfile, Option<AwsProfile>)>> {
        let Some(target) = request.target() else { return Ok(None) };
        let Some(name) = &target.aws_profile else { return Ok(None) };
        let region = request.caller().region.clone();
        let profile = AwsProfile::new(name, self.env.program()?, Some(&target.secret), region)?;
        let locations = Locations::of(self.env)?;
        let existing = aws_profile::existing(&locations, &profile)?;
        locations.check_writable(FileKind::Config)?;
        Ok(Some((profile, existing)))
    }

    async fn of_iam_user(&self, request: &IamUserRequest) -> Result<Facts> {
        let name = &request.user_name;
        let iam = self.sdk.iam(&request.bootstrap.session);
        let found = self.find_pair(&request.target).await?;
        let wants_password = !matches!(request.console_password, ConsolePassword::None);
        let password_policy = async {
            if wants_password { Some(account::password_policy(&iam).await) } else { None }
        };
        let owner = Owner { session: &request.bootstrap.session, user: Some(name) };
        let (user, password_policy, stored) = tokio::join!(
            account::user(&iam, name, wants_password),
            password_policy,
            self.known(found, &request.target, owner),
        );
        let (stored, listed) = stored?;
        let mut warnings = Vec::new();
        let user = match user {
            Ok(Some(mut user)) => {
                add(&mut user, listed);
                UserFact::Present(user)
            }
            Ok(None) => UserFact::Absent,
            Err(failure) if failure.reason == Reason::Denied => {
                warnings.push(format!(
                    "could not check whether the user `{name}` exists: {} is not allowed",
                    failure.operation
                ));
                UserFact::Unreadable(failure)
            }
            Err(failure) => return Err(failure.into()),
        };
        let password_policy = match password_policy.transpose() {
            Ok(policy) => policy,
            Err(failure) if failure.reason == Reason::Denied => {
                warnings.push(format!(
                    "could not check the account's password policy: {} is not allowed",
                    failure.operation
                ));
                None
            }
            Err(failure) => return Err(failure.into()),
        };
        let account = request.bootstrap.identity().map(|identity| &identity.account_id);
        let owner = stored.as_ref().and_then(|stored| stored.identity.as_ref());
        let stored_is_reusable = owner.is_some_and(|owner| {
            // IAM does not tell user names apart by case.
            let is_user = owner.user_name().is_some_and(|owner| owner.eq_ignore_ascii_case(name));
            is_user && Some(&owner.account_id) == account
        });
        Ok(Facts {
            user,
            password_policy,
            stored,
            stored_is_reusable,
            warnings,
            ..Facts::default()
        })
    }

    async fn of_root(&self, request: &RootRequest) -> Result<Facts> {
        let found = self.find_pair(&request.target).await?;
        let is_given = match (&found, &request.pair) {
            (Some((_, Some(stored))), Some(given)) => stored.same_as(given),
            _ => false,
        };
        let owner = Owner { session: &request.checked.session, user: None };
        let (stored, user) =
            tokio::join!(self.known(found, &request.target, owner), self.root_user(request));
        let ((stored, listed), mut user) = (stored?, user?);
        if let UserFact::Present(root) = &mut user {
            add(root, listed);
        }
        let owner = stored.as_ref().and_then(|stored| stored.identity.as_ref());
        let stored_is_reusable =
            is_given || (owner.is_some() && owner == request.checked.identity());
        Ok(Facts { user, stored, stored_is_reusable, ..Facts::default() })
    }

    /// Root's keys, where it gets another one.
    ///
    /// # Errors
    /// When AWS does not show root's keys to a session of root: it makes none for it either.
    async fn root_user(&self, request: &RootRequest) -> Result<UserFact> {
        if request.pair.is_some() {
            return Ok(UserFact::Absent);
        }
        let keys = account::access_keys(&self.sdk.iam(&request.checked.session), None).await;
        let access_keys = keys.map_err(|failure| match failure.reason {
            Reason::Denied | Reason::Missing | Reason::Other | Reason::UnknownKey => {
                Error::credentials(format!(
                    "AWS makes no root key with these credentials ({})",
                    failure.quoted()
                ))
                .hint("make it in the console as root, or better create a user: --mode iam-user")
            }
            _ => failure.into(),
        })?;
        Ok(UserFact::Present(User { access_keys, ..User::default() }))
    }

    /// The pair of the wanted name, from where the index says it is, else from the wanted store.
    async fn find_pair(
        &self,
        target: &SecretTarget,
    ) -> Result<Option<(StoreKind, Option<KeyPair>)>> {
        let Some(wanted) = target.store else {
            return Ok(None);
        };
        let (secret, vault) = (target.secret.clone(), self.vault.clone());
        let entry = self.index.find(&secret).cloned();
        // A keyring may take its time: its owner has to unlock it.
        let looking = tokio::task::spawn_blocking(move || {
            // Also finds out that the wanted store does not answer, before anything is planned.
            let pair = vault.find(wanted, &secret)?;
            match entry {
                Some(entry) if entry.store != wanted => {
                    Ok(Some((entry.store, vault.find(entry.store, &entry.name)?)))
                }
                Some(_) => Ok(Some((wanted, pair))),
                None => Ok(pair.map(|pair| (wanted, Some(pair)))),
            }
        });
        looking.await.map_err(|broken| Error::from(anyhow::Error::from(broken)))?
    }

    /// What AWS says of the stored pair; and its key, where STS does not accept it although IAM lists
    /// it.
    ///
    /// # Errors
    /// When STS neither accepts nor rejects the pair: what may well work must not be replaced.
    async fn known(
        &self,
        found: Option<(StoreKind, Option<KeyPair>)>,
        target: &SecretTarget,
        owner: Owner<'_>,
    ) -> Result<(Option<Stored>, Option<AccessKey>)> {
        let Some((store, pair)) = found else {
            return Ok((None, None));
        };
        let mut listed = None;
        let (by_sts, verdict) = match &pair {
            Some(pair) => match self.accepted(pair, owner).await? {
                Accepted::By(identity) => (Some(identity), Verdict::Works),
                Accepted::Not(verdict, key) => {
                    listed = key;
                    (None, verdict)
                }
            },
            None => (None, Verdict::NotAsked),
        };
        let by_index = self
            .index
            .find(&target.secret)
            .and_then(|it| Some(Identity::new(it.account_id.as_ref()?, it.arn.as_ref()?)));
        let access_key_id = pair.map(|pair| pair.access_key_id);
        let identity = by_sts.or(by_index);
        Ok((Some(Stored { store, access_key_id, verdict, identity }), listed))
    }

    /// A pair may be replaced once AWS rejects it for the whole settling time.
    async fn accepted(&self, pair: &KeyPair, owner: Owner<'_>) -> Result<Accepted> {
        let region = owner.session.region.clone();
        let accepted = settled(|| async {
            let sdk = self.sdk.with_fresh_connections();
            let session = sdk.session(pair, region.clone());
            match caller_identity(&sdk, &session, LIMIT).await {
                Ok(identity) => Ok(Look::Sure(Accepted::By(identity))),
                Err(failure) if failure.reason == Reason::WrongSecret => {
                    Ok(Look::Sure(Accepted::Not(Verdict::WrongSecret, None)))
                }
                Err(failure) if failure.reason == Reason::UnknownKey => {
                    let iam = sdk.iam(owner.session);
                    let keys = account::access_keys(&iam, owner.user).await.unwrap_or_default();
                    let key = keys.into_iter().find(|key| key.id == pair.access_key_id);
                    let is_inactive = key.as_ref().is_some_and(|key| !key.active);
                    let not = Accepted::Not(Verdict::UnknownKey, key);
                    Ok(if is_inactive { Look::Sure(not) } else { Look::Unsure(not) })
                }
                Err(failure) => Err(failure),
            }
        });
        Ok(accepted.await?)
    }
}

/// Whose keys a stored one may be among.
#[derive(Clone, Copy)]
struct Owner<'a> {
    session: &'a Session,
    /// `None` for root.
    user: Option<&'a str>,
}

enum Accepted {
    By(Identity),
    /// With the key, where IAM lists it all the same.
    Not(Verdict, Option<AccessKey>),
}

/// Adds a key that an earlier listing may not have shown.
fn add(user: &mut User, key: Option<AccessKey>) {
    user.access_keys.extend(key.filter(|key| !user.access_keys.iter().any(|it| it.id == key.id)));
}
