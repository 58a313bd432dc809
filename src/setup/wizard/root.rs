//! The root user's key: which one CloudStudio gets, and whether the one that creates an IAM user is
//! retired afterwards.

use crate::aws::credential::Credential;
use crate::aws::identity::{Identity, Principal};
use crate::cli::StoreChoice;
use crate::error::{Error, Result};
use crate::prompt::{Choice, Question};
use crate::setup::request::{Request, RootRequest, is_administrator_access};
use crate::setup::wizard::{Given, Wizard, working};

const WARNING: &str = "The root user may do everything in the account, and nothing can restrict \
it: whoever gets this key can lock you out. AWS strongly recommends not to have access keys for \
the root user at all.";
const ACKNOWLEDGEMENT: &str = "use root";

impl Wizard<'_> {
    pub fn root(&mut self) -> Result<Request> {
        let is_root = |it: &&Credential| it.identity().is_some_and(Identity::is_root);
        let of_machine = self.credentials.iter().find(is_root);
        if let Some(credential) = of_machine
            && self.attended
            && self.piped.pair.is_none()
        {
            let text = format!("{} is the root user's and works", credential.source.described());
            let choices = [
                (true, "Create an IAM user with it", "safe, recommended: its own user and key"),
                (false, "Use a root key anyway", "fast, risky"),
            ];
            if self.choose(Question::required(&text, "--mode"), choices)? {
                return self.iam_user(Some(credential.clone()));
            }
        }
        if !self.flags.acknowledge_root_risk {
            self.acknowledge_risk()?;
        }
        let (checked, pair) = if let Some(pair) = self.piped.pair.take() {
            (of_root(self.lookups.check_pair(&pair)?)?, Some(pair))
        } else if self.credentials_are_named {
            (of_root(self.first()?)?, None)
        } else {
            self.choose_root_key(of_machine)?
        };
        let (unused, if_exists) = (self.flags.given_for_a_user(), self.flags.if_exists);
        let target = self.target("root")?;
        Ok(Request::Root(RootRequest { pair, checked, unused, if_exists, target }))
    }

    fn acknowledge_risk(&mut self) -> Result<()> {
        self.prompt.tell(WARNING)?;
        let text = format!("Type `{ACKNOWLEDGEMENT}` to go on anyway");
        let question = Question::required(&text, "--acknowledge-root-risk");
        let refused = format!("type `{ACKNOWLEDGEMENT}`, or end with Ctrl-C: nothing is changed");
        let check = |typed: &str| {
            let is_right = typed.eq_ignore_ascii_case(ACKNOWLEDGEMENT);
            if is_right { Ok(()) } else { Err(Error::usage(&refused)) }
        };
        self.prompt.text(question, None, &check).map(drop)
    }

    /// The key to keep, or credentials that make a new one.
    fn choose_root_key(&mut self, of_machine: Option<&Credential>) -> Result<Given> {
        let mut choices = vec![
            Choice::new("Paste it", "both halves, not shown"),
            Choice::new("Make one in the AWS console", "step by step"),
        ];
        if let Some(credential) = of_machine {
            if !self.attended {
                return Ok((credential.clone(), None));
            }
            let with = format!("with {}", credential.source.described());
            choices.push(Choice::new("Make a new one now", with));
        }
        let question = Question::required("The root user's access key", "--key-stdin");
        match (self.prompt.select(question, &choices, 0)?, of_machine) {
            (0, _) => self.pasted_root_key(),
            (2, Some(credential)) => Ok((credential.clone(), None)),
            _ => self.root_key_from_console(),
        }
    }

    /// Asks until the key is root's and works.
    pub fn pasted_root_key(&mut self) -> Result<Given> {
        let text = "The root user's access key, both halves (not shown)";
        let question = Question::required(text, "--key-stdin");
        self.lookups.ask_for_pair(question, self.prompt, &of_root)
    }

    /// The root key's ID, if it is to be retired. Asked only where the new user can take its place: an
    /// administrator, whose pair is kept.
    pub fn root_key_to_retire(&mut self, bootstrap: &Credential) -> Result<Option<String>> {
        let is_flag = self.flags.retire_root_key;
        let id = match self.retirable_root_key(bootstrap) {
            Ok(id) => id,
            Err(obstacle) if is_flag => {
                return Err(Error::usage(format!("--retire-root-key does not fit: {obstacle}")).hint(
                    "leave it out; keys of the root user are listed in the console, under \"My security credentials\"",
                ));
            }
            Err(_) => return Ok(None),
        };
        let text = format!("What should become of the root key {id}, once the new user works?");
        let note =
            "recommended; whatever else uses it stops working, and root can activate it again";
        let choices =
            [(true, "Deactivate it", note), (false, "Leave it as it is", "it stays unrestricted")];
        let question = Question::optional(&text, "--retire-root-key");
        let is_retired = is_flag || self.attended && self.choose(question, choices)?;
        Ok(is_retired.then_some(id))
    }

    /// The ID of the root key that could be retired, or why there is none.
    fn retirable_root_key(&self, bootstrap: &Credential) -> Result<String, &'static str> {
        if !bootstrap.identity().is_some_and(Identity::is_root) {
            return Err("the user is not created with a root key");
        }
        let id = bootstrap.access_key_id.as_deref();
        // Temporary keys start with ASIA (IAM user guide, "Unique identifiers").
        let Some(id) = id.filter(|id| id.starts_with("AKIA")) else {
            return Err("a session of root has no key of its own");
        };
        let is_admin = self.flags.policy_arns.iter().all(|arn| is_administrator_access(arn));
        if !is_admin || self.flags.permissions_boundary.is_some() {
            return Err("the new user is no administrator, so it cannot take root's place");
        }
        if self.flags.store == Some(StoreChoice::Stdout) {
            return Err("the new pair is not kept");
        }
        Ok(id.to_owned())
    }
}

/// Working credentials of the root user, or what they are instead.
pub fn of_root(credential: Credential) -> Result<Credential> {
    let credential = working(credential)?;
    let Some(identity) = credential.identity().filter(|identity| !identity.is_root()) else {
        return Ok(credential);
    };
    let who = match identity.principal {
        Principal::User(_) => "an IAM user's",
        _ => "somebody else's",
    };
    let owner = identity.described();
    Err(Error::credentials(format!("this is {who} key, not the root user's: {owner}"))
        .hint("to create an IAM user with it, use --mode iam-user --key-stdin"))
}
