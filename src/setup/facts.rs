//! What must be known before deciding: the user, the password policy, the secret of that name.
//! Reads AWS and the stores; changes and decides nothing.

use std::time::Duration;

use aws_config::Region;
use tokio::time::timeout;

use crate::aws::account::{self, PasswordPolicy, User};
use crate::aws::console::Console;
use crate::aws::failure::{Failure, Reason};
use crate::aws::found::Found;
use crate::aws::identity::{Identity, caller_identity};
use crate::aws::sdk::Sdk;
use crate::aws_profile::{self, AwsProfile, Holder};
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::secret::KeyPair;
use crate::setup::request::{ConsolePassword, IamUserRequest, Request, RootRequest, SecretTarget};
use crate::shared_config::Locations;
use crate::store::StoreKind;
use crate::store::index::Index;
use crate::store::vault::Vault;

/// How long STS may take to answer for a stored pair.
const LIMIT: Duration = Duration::from_secs(10);

/// How long IAM may take to tell of the root user, which nothing waits for.
const ROOT_LIMIT: Duration = Duration::from_secs(5);

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
    pub aws_profile: Option<(AwsProfile, Holder)>,
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
pub enum UserFact {
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

/// # Errors
/// When a read fails that the decision rests on; what the caller may not read is a fact, not an
/// error.
pub async fn gather(
    request: &Request,
    sdk: &Sdk,
    vault: &Vault,
    index: &Index,
    env: &Env,
) -> Result<Facts> {
    let aws_profile = aws_profile(request, env)?;
    let (facts, findings) =
        tokio::join!(of_request(request, sdk, vault, index), about_root(request.caller(), sdk));
    let mut facts = Facts { aws_profile, ..facts? };
    facts.warnings.extend(findings);
    if let (Some(_), Some(name)) = (&facts.aws_profile, env.moves_data()) {
        facts.warnings.push(aws_profile::works_only_with(name));
    }
    Ok(facts)
}

/// Nothing where the caller may not read it: the decision does not rest on it.
async fn about_root(caller: &Found, sdk: &Sdk) -> Vec<String> {
    let account = caller.identity().map(|it| it.account_id.as_str());
    let console = Console::of_region(caller.session.region.as_ref());
    let iam = sdk.iam(&caller.session);
    let Ok(Ok(root)) = timeout(ROOT_LIMIT, account::root_user(&iam)).await else {
        return Vec::new();
    };
    let weaknesses = root.weaknesses(account.unwrap_or_default(), console);
    weaknesses.iter().map(Diagnostic::with_hint).collect()
}

async fn of_request(request: &Request, sdk: &Sdk, vault: &Vault, index: &Index) -> Result<Facts> {
    match request {
        Request::Existing(_) => Ok(Facts {
            user: UserFact::Absent,
            password_policy: None,
            stored: None,
            stored_is_reusable: false,
            secret_is_current: false,
            aws_profile: None,
            warnings: Vec::new(),
        }),
        Request::IamUser(request) => of_iam_user(request, sdk, vault, index).await,
        Request::Root(request) => of_root(request, sdk, vault, index).await,
    }
}

/// # Errors
/// When the profile could not be written, or AWS's tools would not read it.
fn aws_profile(request: &Request, env: &Env) -> Result<Option<(AwsProfile, Holder)>> {
    let Some((keep, name)) =
        request.keep().and_then(|keep| Some((keep, keep.aws_profile.as_ref()?)))
    else {
        return Ok(None);
    };
    let program = env.program()?;
    let region = request.caller().region.clone();
    let profile = AwsProfile::new(name, program, Some(&keep.secret), region)?;
    let locations = Locations::of(env)?;
    let holder = aws_profile::holder(&locations, &profile)?;
    aws_profile::check_writable(&locations)?;
    Ok(Some((profile, holder)))
}

async fn of_iam_user(
    request: &IamUserRequest,
    sdk: &Sdk,
    vault: &Vault,
    index: &Index,
) -> Result<Facts> {
    let iam = sdk.iam(&request.bootstrap.session);
    let found = find_pair(&request.keep, vault, index).await?;
    let region = &request.bootstrap.session.region;
    let wants_password = !matches!(request.console_password, ConsolePassword::None);
    let password_policy =
        async { if wants_password { Some(account::password_policy(&iam).await) } else { None } };
    let (user, password_policy, stored) = tokio::join!(
        account::user(&iam, &request.user_name, wants_password),
        password_policy,
        known(found, &request.keep, sdk, region, index),
    );
    let stored = stored?;
    let mut warnings = Vec::new();
    let user = match user {
        Ok(Some(user)) => UserFact::Present(user),
        Ok(None) => UserFact::Absent,
        Err(failure) if failure.reason == Reason::Denied => {
            warnings.push(format!(
                "whether the user `{}` exists could not be checked: {} is not allowed",
                request.user_name, failure.operation
            ));
            UserFact::Unreadable(failure)
        }
        Err(failure) => return Err(failure.into()),
    };
    let password_policy = match password_policy {
        None => None,
        Some(Ok(policy)) => Some(policy),
        Some(Err(failure)) if failure.reason == Reason::Denied => {
            warnings.push(format!(
                "the account's password policy could not be checked: {} is not allowed",
                failure.operation
            ));
            None
        }
        Some(Err(failure)) => return Err(failure.into()),
    };
    let account = request.bootstrap.identity().map(|identity| &identity.account_id);
    let stored_is_reusable =
        stored.as_ref().and_then(|stored| stored.identity.as_ref()).is_some_and(|owner| {
            // IAM holds user names apart regardless of case.
            let same_user =
                owner.user_name().is_some_and(|name| name.eq_ignore_ascii_case(&request.user_name));
            same_user && Some(&owner.account_id) == account
        });
    Ok(Facts {
        user,
        password_policy,
        stored,
        stored_is_reusable,
        secret_is_current: index.is_current(&request.keep.secret),
        aws_profile: None,
        warnings,
    })
}

async fn of_root(request: &RootRequest, sdk: &Sdk, vault: &Vault, index: &Index) -> Result<Facts> {
    let found = find_pair(&request.keep, vault, index).await?;
    let same_pair = found.as_ref().is_some_and(|(_, pair)| {
        let (Some(stored), Some(given)) = (pair, &request.pair) else {
            return false;
        };
        stored.same_as(given)
    });
    let region = &request.checked.session.region;
    let (stored, user) = tokio::join!(
        known(found, &request.keep, sdk, region, index),
        root_as_it_stands(request, sdk)
    );
    let (stored, user) = (stored?, user?);
    let owner = stored.as_ref().and_then(|stored| stored.identity.as_ref());
    let stored_is_reusable = same_pair || (owner.is_some() && owner == request.checked.identity());
    Ok(Facts {
        user,
        password_policy: None,
        stored,
        stored_is_reusable,
        secret_is_current: index.is_current(&request.keep.secret),
        aws_profile: None,
        warnings: Vec::new(),
    })
}

/// Root's keys, where it gets another one.
///
/// # Errors
/// When AWS does not tell a session of root about root's keys: it makes none for it either.
async fn root_as_it_stands(request: &RootRequest, sdk: &Sdk) -> Result<UserFact> {
    if request.pair.is_some() {
        return Ok(UserFact::Absent);
    }
    let iam = sdk.iam(&request.checked.session);
    let keys = account::access_keys(&iam, None).await;
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
    keep: &SecretTarget,
    vault: &Vault,
    index: &Index,
) -> Result<Option<(StoreKind, Option<KeyPair>)>> {
    let Some(wanted) = keep.store else {
        return Ok(None);
    };
    let (secret, vault) = (keep.secret.clone(), vault.clone());
    let entry = index.find(&secret).cloned();
    // A keyring may take its time: its owner has to unlock it.
    let looking = tokio::task::spawn_blocking(move || {
        // Also finds out that the wanted store does not answer, before anything is planned.
        let pair = vault.find(wanted, &secret)?;
        match entry {
            Some(entry) if entry.store != wanted => {
                let pair = vault.find(entry.store, &entry.name)?;
                Ok(Some((entry.store, pair)))
            }
            Some(_) => Ok(Some((wanted, pair))),
            None => Ok(pair.map(|pair| (wanted, Some(pair)))),
        }
    });
    looking.await.map_err(|broken| Error::from(anyhow::Error::from(broken)))?
}

/// # Errors
/// When STS neither accepts nor rejects the pair: what may well work must not be replaced.
async fn known(
    found: Option<(StoreKind, Option<KeyPair>)>,
    keep: &SecretTarget,
    sdk: &Sdk,
    region: &Region,
    index: &Index,
) -> Result<Option<Stored>> {
    let Some((store, pair)) = found else {
        return Ok(None);
    };
    let (by_sts, verdict) = match &pair {
        Some(pair) => {
            let session = sdk.session(pair, region.clone());
            match caller_identity(sdk, &session, LIMIT).await {
                Ok(identity) => (Some(identity), Verdict::Works),
                Err(failure) => match failure.reason {
                    Reason::UnknownKey => (None, Verdict::UnknownKey),
                    Reason::WrongSecret => (None, Verdict::WrongSecret),
                    _ => return Err(failure.into()),
                },
            }
        }
        None => (None, Verdict::NotAsked),
    };
    let by_index = index
        .find(&keep.secret)
        .and_then(|entry| Some(Identity::new(entry.account_id.as_ref()?, entry.arn.as_ref()?)));
    Ok(Some(Stored {
        store,
        access_key_id: pair.map(|pair| pair.access_key_id),
        verdict,
        identity: by_sts.or(by_index),
    }))
}
