//! What must be known before deciding: the user, the password policy, the secret of that name.
//! Reads AWS and the stores; changes and decides nothing.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::aws::account::{self, AccessKey, PasswordPolicy, User};
use crate::aws::credential::Credential;
use crate::aws::evidence::{Look, settled};
use crate::aws::failure::{Failure, Reason};
use crate::aws::identity::{Identity, caller_identity};
use crate::aws::partition::Partition;
use crate::aws::sdk::Sdk;
use crate::aws_files::Locations;
use crate::aws_files::text::FileKind;
use crate::aws_profile::{self, AwsProfile};
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::secret::KeyPair;
use crate::setup::request::{ConsolePassword, IamUserRequest, Request, RootRequest, SecretTarget};
use crate::setup::steps::WriteAwsProfile;
use crate::store::StoreKind;
use crate::store::index::Index;
use crate::store::vault::Vault;

/// How long IAM may take to tell of the root user, which nothing waits for.
const ROOT_LIMIT: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Facts {
    pub now: Timestamp,
    pub user: UserFact,
    /// `None` where nobody asked for a password or the policy may not be read.
    pub password_policy: Option<PasswordPolicy>,
    /// The secret that has the wanted name already.
    pub stored: Option<Stored>,
    /// Whether the wanted name is the current secret's.
    pub secret_is_current: bool,
    /// Writes the AWS profile that is wanted, in place of what has its name already.
    pub aws_profile: Option<WriteAwsProfile>,
    pub warnings: Vec<String>,
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
    /// Whether it belongs to the very identity that is wanted, so that `--if-exists reuse` may use it,
    /// or replace it when it no longer works.
    pub is_reusable: bool,
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
        format!("{owner}, {}", self.store.place())
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
    /// Fails only where the decision rests on a read: what the caller may not read is a fact.
    pub async fn read(&self, request: &Request) -> Result<Facts> {
        let aws_profile = self.aws_profile(request)?;
        let (of_secret, of_user, of_root) = tokio::join!(
            self.about_secret(request),
            self.about_user(request),
            self.about_root(request.caller())
        );
        let (of_secret, listed) = of_secret?;
        let Facts { mut user, password_policy, mut warnings, .. } = of_user?;
        if let (UserFact::Present(user), Some(key)) = (&mut user, listed)
            && !user.access_keys.iter().any(|it| it.id == key.id)
        {
            user.access_keys.push(key);
        }
        warnings.extend(of_root);
        if let (Some(_), Some(name)) = (&aws_profile, self.env.moves_data()) {
            warnings.push(aws_profile::works_only_with(name));
        }
        let now = self.env.now();
        Ok(Facts { now, user, password_policy, aws_profile, warnings, ..of_secret })
    }

    /// Nothing where the caller may not read it: the decision does not rest on it.
    async fn about_root(&self, caller: &Credential) -> Vec<String> {
        let account = caller.identity().map(|it| it.account_id.as_str()).unwrap_or_default();
        let console = Partition::of_region(caller.session.region.as_ref());
        let iam = self.sdk.iam(&caller.session);
        let Ok(Ok(root)) = timeout(ROOT_LIMIT, account::root_user(&iam)).await else {
            return Vec::new();
        };
        root.weaknesses(account, console).iter().map(Diagnostic::with_hint).collect()
    }

    /// Fails where the profile could not be written, or AWS's tools would not read it.
    fn aws_profile(&self, request: &Request) -> Result<Option<WriteAwsProfile>> {
        let Some(target) = request.target() else { return Ok(None) };
        let Some(name) = &target.aws_profile else { return Ok(None) };
        let region = request.caller().region.clone();
        let profile = AwsProfile::new(name, self.env.program()?, Some(&target.secret), region)?;
        let locations = Locations::of(self.env)?;
        let replaces = profile.existing(&locations)?;
        locations.check_writable(FileKind::Config)?;
        Ok(Some(WriteAwsProfile { profile, replaces, made: Default::default() }))
    }

    async fn about_user(&self, request: &Request) -> Result<Facts> {
        match request {
            Request::IamUser(request) => self.iam_user(request).await,
            Request::Root(request) => {
                Ok(Facts { user: self.root_user(request).await?, ..Facts::default() })
            }
            Request::Existing { .. } => Ok(Facts::default()),
        }
    }

    async fn iam_user(&self, request: &IamUserRequest) -> Result<Facts> {
        let name = &request.user_name;
        let iam = self.sdk.iam(&request.bootstrap.session);
        let wants_password = !matches!(request.console_password, ConsolePassword::None);
        let policy = async {
            if !wants_password {
                return Ok(None);
            }
            account::password_policy(&iam).await.map(Some)
        };
        let user =
            settled(|| async { Ok(Look::Sure(account::user(&iam, name, wants_password).await?)) });
        let (user, policy) = tokio::join!(user, policy);
        let mut warnings = Vec::new();
        let mut unless_denied = |what: String, failure: Failure| match failure.reason {
            Reason::Denied => {
                let operation = failure.operation;
                warnings.push(format!("could not check {what}: {operation} is not allowed"));
                Ok(failure)
            }
            _ => Err(failure),
        };
        let user = match user {
            Ok(user) => user.map_or(UserFact::Absent, UserFact::Present),
            Err(failure) => {
                let what = format!("whether the user `{name}` exists");
                UserFact::Unreadable(unless_denied(what, failure)?)
            }
        };
        let password_policy = policy.or_else(|failure| {
            unless_denied("the account's password policy".to_owned(), failure).map(|_| None)
        })?;
        Ok(Facts { user, password_policy, warnings, ..Facts::default() })
    }

    /// Root's keys, where it gets another one. Where AWS does not show them to a session of root, it
    /// makes none for it either.
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

    /// The secret of the wanted name; and its key, where STS does not accept it although IAM lists it.
    /// Fails where STS does neither: what may well work must not be replaced.
    async fn about_secret(&self, request: &Request) -> Result<(Facts, Option<AccessKey>)> {
        let Some(target) = request.target() else {
            return Ok(Default::default());
        };
        let secret_is_current = self.index.is_current(&target.secret);
        let facts = Facts { secret_is_current, ..Facts::default() };
        let Some((store, pair)) = self.find_pair(target).await? else {
            return Ok((facts, None));
        };
        let (verdict, by_sts, listed) = match &pair {
            Some(pair) => self.ask_about(pair, request).await?,
            None => (Verdict::NotAsked, None, None),
        };
        let entry = self.index.find(&target.secret);
        let by_index =
            entry.and_then(|it| Some(Identity::new(it.account_id.as_ref()?, it.arn.as_ref()?)));
        let identity = by_sts.or(by_index);
        let is_reusable = match request {
            Request::Existing { .. } => false,
            Request::IamUser(request) => identity.as_ref().is_some_and(|owner| {
                // IAM does not tell user names apart by case.
                let name = owner.user_name();
                name.is_some_and(|name| name.eq_ignore_ascii_case(&request.user_name))
                    && request.bootstrap.identity().map(|it| &it.account_id)
                        == Some(&owner.account_id)
            }),
            Request::Root(request) => {
                let is_given = |given: &KeyPair| pair.as_ref().is_some_and(|it| it.same_as(given));
                request.pair.as_ref().is_some_and(is_given)
                    || (identity.is_some() && identity.as_ref() == request.checked.identity())
            }
        };
        let access_key_id = pair.map(|pair| pair.access_key_id);
        let stored = Stored { store, access_key_id, identity, verdict, is_reusable };
        Ok((Facts { stored: Some(stored), ..facts }, listed))
    }

    /// What AWS says of a pair, which may be replaced once it rejects that for the whole settling time.
    async fn ask_about(&self, pair: &KeyPair, request: &Request) -> Result<Answer> {
        let caller = &request.caller().session;
        let user = match request {
            Request::IamUser(request) => Some(request.user_name.as_str()),
            Request::Existing { .. } | Request::Root(_) => None,
        };
        let answer = settled(|| async {
            let sdk = self.sdk.with_fresh_connections();
            let session = caller.with_pair(pair);
            match caller_identity(&sdk, &session).await {
                Ok(identity) => Ok(Look::Sure((Verdict::Works, Some(identity), None))),
                Err(failure) if failure.reason == Reason::WrongSecret => {
                    Ok(Look::Sure((Verdict::WrongSecret, None, None)))
                }
                Err(failure) if failure.reason == Reason::UnknownKey => {
                    let keys = account::access_keys(&sdk.iam(caller), user).await;
                    let mut keys = keys.unwrap_or_default().into_iter();
                    let key = keys.find(|key| key.id == pair.access_key_id);
                    let look = match &key {
                        Some(key) if !key.active => Look::Sure,
                        _ => Look::Unsure,
                    };
                    Ok(look((Verdict::UnknownKey, None, key)))
                }
                Err(failure) => Err(failure),
            }
        });
        Ok(answer.await?)
    }
}

/// With whom the pair belongs to, and its key where IAM lists it.
type Answer = (Verdict, Option<Identity>, Option<AccessKey>);
